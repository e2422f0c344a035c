/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any kickstart on a machine with several disks: whatever layout comes out lies on its disks, beside
 * what is kept, and promises no byte twice.
 */
#include <assert.h>

#include "../unit/layout-scene.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "ks/ks.h"
#include "storage/layout.h"
#include "storage/lvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int refuse_fetch(
	UNUSED void *ctx, const char *url, UNUSED char **text, UNUSED size_t *len, struct err *e)
{
	return err_set(e, ENOENT, "%.20s", url);
}

static void make_machine(struct inventory *inv, bool with_node)
{
	inv->memory_bytes = 3 * GIB;
	scene_disk(inv, "vda", 100 * GIB);
	scene_disk(inv, "nvme0n1", 80 * GIB)->sector_bytes = 4096;
	scene_part(inv, "vfat", "EFI", 100 * MIB);
	scene_part(inv, "ext4", "old", 20 * GIB);
	scene_part(inv, "ntfs", "win", 10 * GIB);
	scene_disk(inv, "sdd", 4 * GIB)->removable = true;
	scene_disk(inv, "vdc", 70 * GIB);
	if (!with_node)
		return;
	scene_part(inv, NULL, NULL, MIB);
	scene_part(inv, "vfat", NULL, 512 * MIB);
	scene_part(inv, "ext4", NULL, GIB);
	scene_part(inv, "LVM2_member", NULL, 60 * GIB);
	struct inv_vg *vg = scene_vg(inv, "mine", "/dev/vdc4", NULL, 60 * GIB - 4 * MIB);
	vg->free_bytes = 20 * GIB;
	strv_add(&vg->tags, LVM_TAG_VG);
	strv_add(&vg->tags, LVM_TAG_BIOS "00000004-0000-4000-8000-000000000001");
	strv_add(&vg->tags, LVM_TAG_EFI "00000004-0000-4000-8000-000000000002");
	strv_add(&vg->tags, LVM_TAG_BOOT "00000004-0000-4000-8000-000000000003");
	scene_lv(inv, "pool00", LVM_TAG_POOL, 39 * GIB)->metadata_bytes = GIB / 2;
	scene_lv(inv, "var", LVM_TAG_VOLUME, 5 * GIB)->pool = xstrdup("pool00");
	scene_lv(inv, "vms", NULL, GIB);
}

static void check_apart(const struct layout_part *part, uint64_t start, uint64_t size)
{
	assert(part->start_bytes + part->size_bytes <= start || start + size <= part->start_bytes);
}

static void check_parts(const struct layout *l, const struct inventory *inv)
{
	for (size_t i = 0; i < l->part_count; i++) {
		const struct layout_part *part = &l->parts[i];
		const struct layout_disk *d = &l->disks[part->disk];
		const struct inv_disk *found = inventory_disk(inv, d->path);

		assert(part->start_bytes >= MIB && part->size_bytes > 0);
		assert(part->start_bytes + part->size_bytes < d->size_bytes);
		for (size_t j = 0; j < i; j++)
			if (l->parts[j].disk == part->disk)
				check_apart(part, l->parts[j].start_bytes, l->parts[j].size_bytes);
		for (size_t j = 0; !d->new_table && !part->keep && j < found->part_count; j++) {
			bool goes = false;

			for (size_t k = 0; k < d->remove_count; k++)
				goes = goes || d->remove[k] == found->parts[j].number;
			if (!goes)
				check_apart(part, found->parts[j].start_bytes,
					found->parts[j].size_bytes);
		}
	}
}

static void check_pool(const struct layout *l)
{
	uint64_t used = 2 * l->base_bytes;

	for (size_t i = 0; i < l->volume_count; i++)
		used += l->volumes[i].size_bytes;
	assert(used <= l->pool_bytes);
	assert(str_eq(l->volumes[0].mount, "/"));
	assert(l->pool_bytes % l->extent_bytes == 0 && l->pool_chunk_bytes >= 64 * KIB);
}

static void try_plan(const struct ks_doc *doc, const struct inventory *inv, bool reinstall)
{
	const struct layout_params params = {.name = "node",
		.version = "1",
		.rootfs_bytes = 700 * MIB,
		.boot_bytes = 80 * MIB,
		.reinstall = reinstall};
	autolayout l = {0};
	struct err e = {0};

	if (layout_plan(doc, inv, &params, &l, &e) < 0) {
		assert(e.msg[0] && !strchr(e.msg, '\n'));
		return;
	}
	check_parts(&l, inv);
	check_pool(&l);
	autofree char *text = layout_text(&l);
	json_t *j = layout_json(&l);
	assert(*text && j);
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ks_options options = {.missing_include_ok = true, .fetch = refuse_fetch};
	autoptr(ks_doc) doc = NULL;
	autoinventory fresh = {0};
	autoinventory node = {0};
	struct err e = {0};

	log_set_level(LOG_LEVEL_QUIET);
	if (ks_parse_text("/nonexistent/fuzz.ks", (const char *)data, size, &options, &doc, &e) < 0)
		return 0;
	make_machine(&fresh, false);
	make_machine(&node, true);
	try_plan(doc, &fresh, false);
	try_plan(doc, &node, false);
	try_plan(doc, &node, true);
	return 0;
}
