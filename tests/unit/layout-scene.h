/* SPDX-License-Identifier: Apache-2.0 */
/* Machines in memory, for tests of layouts. */
#pragma once

#include "base/xalloc.h"
#include "storage/inventory.h"

static UNUSED struct inv_disk *scene_disk(struct inventory *inv, const char *name, uint64_t bytes)
{
	inv->disks = xrealloc(inv->disks, (inv->disk_count + 1) * sizeof(*inv->disks));
	struct inv_disk *d = &inv->disks[inv->disk_count++];

	*d = (struct inv_disk){
		.path = xasprintf("/dev/%s", name),
		.name = xstrdup(name),
		.model = xstrdup("QEMU"),
		.size_bytes = bytes,
		.sector_bytes = 512,
		.whole = {.path = xasprintf("/dev/%s", name), .size_bytes = bytes},
	};
	strv_take(&d->links, xasprintf("/dev/disk/by-id/virtio-%s", name));
	return d;
}

/* The last disk gets a GPT and behind its last partition another one. */
static UNUSED struct inv_part *scene_part(
	struct inventory *inv, const char *fstype, const char *label, uint64_t bytes)
{
	struct inv_disk *d = &inv->disks[inv->disk_count - 1];
	uint64_t start = MIB;

	if (!d->table)
		d->table = xstrdup("gpt");
	if (d->part_count > 0)
		start = d->parts[d->part_count - 1].start_bytes +
			d->parts[d->part_count - 1].size_bytes;
	d->parts = xrealloc(d->parts, (d->part_count + 1) * sizeof(*d->parts));
	struct inv_part *part = &d->parts[d->part_count++];

	*part = (struct inv_part){
		.path = xasprintf(
			"%s%s%zu", d->path, str_starts(d->name, "nvme") ? "p" : "", d->part_count),
		.number = (unsigned)d->part_count,
		.start_bytes = start,
		.size_bytes = bytes,
		.partuuid = xasprintf(
			"0000000%zu-0000-4000-8000-00000000000%zu", inv->disk_count, d->part_count),
		.fstype = fstype ? xstrdup(fstype) : NULL,
		.label = label ? xstrdup(label) : NULL,
	};
	return part;
}

/* A group on up to two devices, the second may be NULL. */
static UNUSED struct inv_vg *scene_vg(
	struct inventory *inv, const char *name, const char *pv, const char *other, uint64_t bytes)
{
	inv->vgs = xrealloc(inv->vgs, (inv->vg_count + 1) * sizeof(*inv->vgs));
	struct inv_vg *vg = &inv->vgs[inv->vg_count++];

	*vg = (struct inv_vg){.name = xstrdup(name), .size_bytes = bytes, .extent_bytes = 4 * MIB};
	strv_add(&vg->pvs, pv);
	if (other)
		strv_add(&vg->pvs, other);
	return vg;
}

/* Another volume of the last group. */
static UNUSED struct inv_lv *scene_lv(
	struct inventory *inv, const char *name, const char *tag, uint64_t bytes)
{
	struct inv_vg *vg = &inv->vgs[inv->vg_count - 1];

	vg->lvs = xrealloc(vg->lvs, (vg->lv_count + 1) * sizeof(*vg->lvs));
	struct inv_lv *lv = &vg->lvs[vg->lv_count++];

	*lv = (struct inv_lv){.name = xstrdup(name), .size_bytes = bytes};
	if (tag)
		strv_add(&lv->tags, tag);
	return lv;
}
