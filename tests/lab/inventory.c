/* SPDX-License-Identifier: Apache-2.0 */
/* What inventory.sh calls: the disks as JSON, or with a kickstart the layout or why there is none. */
#include <stdio.h>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "ks/ks.h"
#include "storage/layout.h"

static json_t *list(const struct strv *v)
{
	json_t *j = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(j, json_text(v->items[i]));
	return j;
}

static json_t *part_json(const struct inv_part *part)
{
	return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:b}", "path", part->path,
		"start", part->start_bytes, "size", part->size_bytes, "type",
		json_text(part->type_uuid), "partlabel", json_text(part->partlabel), "fstype",
		json_text(part->fstype), "label", json_text(part->label), "in_use",
		json_text(part->in_use), "storage_domain", part->storage_domain);
}

static json_t *disk_json(const struct inv_disk *d)
{
	json_t *j = json_pack("{s:s, s:I, s:i, s:b, s:b, s:o, s:o, s:o, s:[]}", "path", d->path,
		"size", d->size_bytes, "sector", d->sector_bytes, "removable", d->removable,
		"read_only", d->read_only, "table", json_text(d->table), "in_use",
		json_text(d->in_use), "whole", part_json(&d->whole), "parts");

	for (size_t i = 0; i < d->part_count; i++)
		json_array_append_new(json_object_get(j, "parts"), part_json(&d->parts[i]));
	return j;
}

static json_t *vg_json(const struct inv_vg *vg)
{
	json_t *j = json_pack("{s:s, s:o, s:o, s:b, s:[]}", "name", vg->name, "tags",
		list(&vg->tags), "pvs", list(&vg->pvs), "storage_domain", vg->storage_domain,
		"lvs");

	for (size_t i = 0; i < vg->lv_count; i++) {
		const struct inv_lv *lv = &vg->lvs[i];

		json_array_append_new(json_object_get(j, "lvs"),
			json_pack("{s:s, s:I, s:I, s:o, s:o, s:b}", "name", lv->name, "size",
				lv->size_bytes, "metadata", lv->metadata_bytes, "pool",
				json_text(lv->pool), "in_use", json_text(lv->in_use),
				"storage_domain", lv->storage_domain));
	}
	return j;
}

static void print_inventory(const struct inventory *inv)
{
	json_t *j = json_pack("{s:[], s:[], s:b, s:b}", "disks", "vgs", "uefi", inv->uefi, "memory",
		inv->memory_bytes > 0);

	for (size_t i = 0; i < inv->disk_count; i++)
		json_array_append_new(json_object_get(j, "disks"), disk_json(&inv->disks[i]));
	for (size_t i = 0; i < inv->vg_count; i++)
		json_array_append_new(json_object_get(j, "vgs"), vg_json(&inv->vgs[i]));
	json_print(j);
}

static int print_layout(struct inventory *inv, const char *path, struct err *e)
{
	const struct layout_params params = {
		.name = "node", .version = "1", .rootfs_bytes = 64 * MIB, .boot_bytes = 16 * MIB};
	autoptr(ks_doc) doc = NULL;
	autolayout l = {0};
	int r = ks_parse_file(path, NULL, &doc, e);

	if (r == 0)
		r = layout_plan_here(doc, inv, &params, &l, e);
	if (r == 0)
		json_print(layout_json(&l));
	return r;
}

int main(int argc, char *argv[])
{
	autoinventory inv = {0};
	struct err e = {0};

	log_init("inventory");
	interrupt_catch();
	int r = inventory_read(&inv, &e);
	if (r == 0 && argc > 1)
		r = print_layout(&inv, argv[1], &e);
	else if (r == 0)
		print_inventory(&inv);
	if (r < 0)
		fprintf(stderr, "%s\n", e.msg);
	return r < 0;
}
