/* SPDX-License-Identifier: Apache-2.0 */
/* A layout for people and for programs. */
#include "base/json.h"
#include "base/xalloc.h"
#include "storage/layout.h"

static const char *const roles[] = {
	[LAYOUT_BIOS] = "bios",
	[LAYOUT_EFI] = "efi",
	[LAYOUT_BOOT] = "boot",
	[LAYOUT_PV] = "pv",
	[LAYOUT_SWAP] = "swap",
	[LAYOUT_DATA] = "data",
};

static void add_line(struct strbuf *b, const char *name, uint64_t bytes, const char *what)
{
	autofree char *size = str_bytes(bytes);
	autofree char *shown = str_printable(what);

	strbuf_printf(b, "  %-28s %10s  %s\n", name, size, shown);
}

static void add_erase(const struct layout *l, struct strbuf *b)
{
	if (l->erase_count == 0)
		strbuf_puts(b, "Nothing is erased.\n");
	else
		strbuf_puts(b, "THIS IS ERASED:\n");
	for (size_t i = 0; i < l->erase_count; i++) {
		/* Labels and models come from the disk. */
		autofree char *what = str_printable(l->erase[i].what);

		strbuf_printf(b, "  %-28s %s\n", l->erase[i].device, what);
	}
}

static void add_parts(const struct layout *l, struct strbuf *b)
{
	static const char *const kinds[] = {
		[LAYOUT_BIOS] = "BIOS boot",
		[LAYOUT_EFI] = "EFI system",
		[LAYOUT_BOOT] = "boot",
		[LAYOUT_PV] = "LVM",
		[LAYOUT_SWAP] = "swap",
		[LAYOUT_DATA] = "data",
	};

	for (size_t d = 0; d < l->disk_count; d++) {
		autofree char *size = str_bytes(l->disks[d].size_bytes);

		strbuf_printf(b, "\n%s, %s%s%s:\n", l->disks[d].path, size,
			l->disks[d].new_table ? ", new partition table" : "",
			d == l->boot_drive ? ", boot drive" : "");
		for (size_t i = 0; i < l->part_count; i++) {
			const struct layout_part *part = &l->parts[i];

			if (part->disk != d)
				continue;
			autofree char *what = xasprintf("%s%s%s%s%s%s", kinds[part->role],
				part->fstype ? ", " : "", part->fstype ? part->fstype : "",
				part->mount ? " on " : "", part->mount ? part->mount : "",
				part->keep ? ", kept" : "");
			add_line(b, part->path, part->size_bytes, what);
		}
	}
}

static void add_volumes(const struct layout *l, struct strbuf *b)
{
	autofree char *metadata = str_bytes(l->pool_metadata_bytes);
	autofree char *pool = xasprintf("thin pool, %s of metadata, chunks of %llu KiB", metadata,
		(unsigned long long)(l->pool_chunk_bytes / KIB));

	strbuf_printf(b, "\nvolume group %s%s:\n", l->vg, l->vg_is_new ? ", new" : ", kept");
	add_line(b, l->pool, l->pool_bytes, pool);
	add_line(b, "base", l->base_bytes, "the image, read-only");
	for (size_t i = 0; i < l->volume_count; i++) {
		const struct layout_volume *v = &l->volumes[i];
		bool is_swap = str_eq(v->fstype, "swap");
		autofree char *what = xasprintf(
			"%s%s%s", v->fstype, is_swap ? "" : " on ", is_swap ? "" : v->mount);

		add_line(b, v->name ? v->name : "layer", v->size_bytes, what);
	}
}

char *layout_text(const struct layout *l)
{
	autostrbuf b = {0};

	add_erase(l, &b);
	add_parts(l, &b);
	add_volumes(l, &b);
	return strbuf_take(&b);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *list_of(const struct strv *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(list, json_text(v->items[i]));
	return list;
}

static json_t *disks_json(const struct layout *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->disk_count; i++) {
		const struct layout_disk *d = &l->disks[i];
		json_t *remove = json_array();

		for (size_t j = 0; j < d->remove_count; j++)
			json_array_append_new(remove, number(d->remove[j]));
		json_array_append_new(list,
			json_pack("{so, so, so, sb, sb, so}", "path", json_text(d->path), "size",
				number(d->size_bytes), "sector_size", number(d->sector_bytes),
				"new_table", d->new_table, "boot_drive", i == l->boot_drive,
				"remove", remove));
	}
	return list;
}

static json_t *parts_json(const struct layout *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->part_count; i++) {
		const struct layout_part *part = &l->parts[i];

		json_array_append_new(list,
			json_pack("{ss, so, so, so, so, so, sb, so, so, so, so}", "role",
				roles[part->role], "disk", json_text(l->disks[part->disk].path),
				"path", json_text(part->path), "number", number(part->number),
				"start", number(part->start_bytes), "size",
				number(part->size_bytes), "keep", part->keep, "label",
				json_text(part->label), "mount", json_text(part->mount), "fstype",
				json_text(part->fstype), "options", json_text(part->fsoptions)));
	}
	return list;
}

static json_t *volumes_json(const struct layout *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->volume_count; i++) {
		const struct layout_volume *v = &l->volumes[i];

		json_array_append_new(list,
			json_pack("{so, so, so, so, so}", "name", json_text(v->name), "mount",
				json_text(v->mount), "fstype", json_text(v->fstype), "options",
				json_text(v->fsoptions), "size", number(v->size_bytes)));
	}
	return list;
}

json_t *layout_json(const struct layout *l)
{
	json_t *erase = json_array();

	for (size_t i = 0; i < l->erase_count; i++)
		json_array_append_new(erase,
			json_pack("{so, so}", "device", json_text(l->erase[i].device), "what",
				json_text(l->erase[i].what)));
	return json_pack("{so, so, so, s{so, sb, so}, s{so, so, so, so}, so, so, so, so}", "erase",
		erase, "disks", disks_json(l), "partitions", parts_json(l), "volume_group", "name",
		json_text(l->vg), "new", l->vg_is_new, "extent_size", number(l->extent_bytes),
		"pool", "name", json_text(l->pool), "size", number(l->pool_bytes), "metadata_size",
		number(l->pool_metadata_bytes), "chunk_size", number(l->pool_chunk_bytes),
		"base_size", number(l->base_bytes), "volumes", volumes_json(l), "remove_groups",
		list_of(&l->remove_vgs), "remove_volumes", list_of(&l->remove_lvs));
}
