/* SPDX-License-Identifier: Apache-2.0 */
/* Uninstall: what the node's tags name goes, all else stays. */
#include <errno.h>
#include <strings.h>

#include "base/xalloc.h"
#include "storage/apply.h"
#include "storage/lvm.h"
#include "storage/wipe.h"
#include "sys/partition.h"

#define LVM_PARTLABEL "bedplate-lvm"

struct removal {
	const struct inventory *inv;
	const struct inv_vg *vg;
	bool keeps_pool;  /* a foreign volume is in it */
	bool keeps_group; /* a foreign volume is in the group */
	struct progress *p;
	uint64_t steps;
};

static bool is_pool(const struct inv_lv *lv)
{
	return inventory_has_tag(&lv->tags, LVM_TAG_POOL);
}

/* The pool that a foreign volume is in stays, with its tag: it is still the node's making. */
static bool goes(const struct removal *rm, const struct inv_lv *lv)
{
	return inventory_lv_is_ours(lv) && !(is_pool(lv) && rm->keeps_pool);
}

static int find_node(struct removal *rm, struct err *e)
{
	for (size_t i = 0; i < rm->inv->vg_count; i++) {
		const struct inv_vg *vg = &rm->inv->vgs[i];

		if (!inventory_has_tag(&vg->tags, LVM_TAG_VG))
			continue;
		if (rm->vg)
			return err_set(e, EBUSY,
				"there is more than one node here: volume groups '%s' and '%s'",
				rm->vg->name, vg->name);
		rm->vg = vg;
	}
	if (!rm->vg)
		return err_set(e, ENOENT, "there is no node here");
	if (!lvm_name_ok(rm->vg->name))
		return err_set(e, EINVAL, "volume group '%s' has an impossible name", rm->vg->name);
	return 0;
}

static int check_volumes(struct removal *rm, struct err *e)
{
	const struct inv_vg *vg = rm->vg;

	for (size_t i = 0; i < vg->lv_count; i++) {
		const struct inv_lv *lv = &vg->lvs[i], *pool = NULL;

		if (inventory_lv_is_ours(lv) && (lv->in_use || lv->storage_domain))
			return err_set(e, EBUSY, "/dev/%s/%s is in use: %s", vg->name, lv->name,
				lv->in_use ? lv->in_use : "it has a storage domain");
		if (inventory_lv_is_ours(lv))
			continue;
		rm->keeps_group = true;
		for (size_t j = 0; lv->pool && j < vg->lv_count; j++)
			if (str_eq(vg->lvs[j].name, lv->pool))
				pool = &vg->lvs[j];
		rm->keeps_pool = rm->keeps_pool || (pool && is_pool(pool));
	}
	return 0;
}

static bool is_tagged(const struct inv_vg *vg, const char *prefix, const struct inv_part *part)
{
	for (size_t i = 0; part->partuuid && i < vg->tags.count; i++)
		if (str_starts(vg->tags.items[i], prefix) &&
			strcasecmp(vg->tags.items[i] + strlen(prefix), part->partuuid) == 0)
			return true;
	return false;
}

bool node_owns_part(const struct inventory *inv, const char *prefix, const struct inv_part *part)
{
	for (size_t i = 0; i < inv->vg_count; i++)
		if (inventory_has_tag(&inv->vgs[i].tags, LVM_TAG_VG) &&
			is_tagged(&inv->vgs[i], prefix, part))
			return true;
	return false;
}

/* Whether a tag of the group names it, or it is a physical volume of a group that goes. */
static bool part_goes(const struct removal *rm, const struct inv_part *part)
{
	static const char *const prefixes[] = {LVM_TAG_BIOS, LVM_TAG_EFI, LVM_TAG_BOOT};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (is_tagged(rm->vg, prefixes[i], part))
			return true;
	return !rm->keeps_group && strv_has(&rm->vg->pvs, part->path) && part->partlabel &&
		str_eq(part->partlabel, LVM_PARTLABEL);
}

static int check_parts(const struct removal *rm, struct err *e)
{
	for (size_t i = 0; i < rm->inv->disk_count; i++) {
		const struct inv_disk *d = &rm->inv->disks[i];

		for (size_t j = 0; j < d->part_count; j++) {
			const struct inv_part *part = &d->parts[j];

			/* Its group being active is what a physical volume is used for. */
			if (part->in_use && part_goes(rm, part) &&
				!strv_has(&rm->vg->pvs, part->path))
				return err_set(
					e, EBUSY, "%s is in use: %s", part->path, part->in_use);
		}
	}
	return 0;
}

static void list(const struct removal *rm, bool with_partitions, struct strv *out)
{
	const struct inv_vg *vg = rm->vg;

	for (size_t i = 0; i < vg->lv_count; i++)
		if (goes(rm, &vg->lvs[i]))
			strv_take(out,
				xasprintf("%s /dev/%s/%s",
					is_pool(&vg->lvs[i]) ? "thin pool" : "volume", vg->name,
					vg->lvs[i].name));
	if (!rm->keeps_group)
		strv_take(out, xasprintf("volume group %s", vg->name));
	for (size_t i = 0; with_partitions && i < rm->inv->disk_count; i++) {
		const struct inv_disk *d = &rm->inv->disks[i];

		for (size_t j = 0; j < d->part_count; j++)
			if (part_goes(rm, &d->parts[j]))
				strv_take(out,
					xasprintf("partition %s (%s)", d->parts[j].path,
						d->parts[j].partlabel ? d->parts[j].partlabel
								      : "no name"));
	}
}

static int step(struct removal *rm, struct err *e)
{
	return progress_advance(rm->p, ++rm->steps, e);
}

/* The pool last, when nothing is in it. */
static int remove_volumes(struct removal *rm, struct err *e)
{
	int r = 0;

	for (unsigned pools = 0; pools < 2; pools++) {
		for (size_t i = 0; r == 0 && i < rm->vg->lv_count; i++) {
			const struct inv_lv *lv = &rm->vg->lvs[i];
			autofree char *name = xasprintf("%s/%s", rm->vg->name, lv->name);

			if (is_pool(lv) != pools || !goes(rm, lv))
				continue;
			r = lvm_run(e, "lvremove", "--force", "--force", name, NULL);
			if (r == 0)
				r = step(rm, e);
		}
	}
	return r;
}

/* A group with foreign volumes stays, and is no node any more. */
static int remove_tags(const struct removal *rm, struct err *e)
{
	autostrv args = {0};

	strv_add(&args, "vgchange");
	for (size_t i = 0; i < rm->vg->tags.count; i++)
		if (str_starts(rm->vg->tags.items[i], "bedplate:"))
			strv_take(&args, xasprintf("--deltag=%s", rm->vg->tags.items[i]));
	strv_add(&args, rm->vg->name);
	return lvm_run_args(&args, e);
}

static int remove_group(struct removal *rm, struct err *e)
{
	autostrv args = {0};
	int r;

	if (rm->keeps_group)
		return remove_tags(rm, e);
	r = lvm_run(e, "vgremove", "--force", rm->vg->name, NULL);
	strv_add(&args, "pvremove");
	for (size_t i = 0; i < rm->vg->pvs.count; i++)
		if (rm->vg->pvs.items[i][0] == '/')
			strv_add(&args, rm->vg->pvs.items[i]);
	return r == 0 && args.count > 1 ? lvm_run_args(&args, e) : r;
}

/* pvs: the physical volumes, otherwise what the tags name. */
static int remove_parts(struct removal *rm, const struct inv_disk *d, bool pvs, struct err *e)
{
	autofree unsigned *numbers = xcalloc(d->part_count + 1, sizeof(*numbers));
	struct partition_change c = {.remove = numbers};
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->part_count; i++) {
		const struct inv_part *part = &d->parts[i];

		if (strv_has(&rm->vg->pvs, part->path) != pvs || !part_goes(rm, part))
			continue;
		r = wipe_device(part->path, e);
		numbers[c.remove_count++] = part->number;
	}
	if (r == 0 && c.remove_count > 0)
		r = partition_write(d->path, &c, e);
	return r;
}

static int remove_all_parts(struct removal *rm, bool pvs, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rm->inv->disk_count; i++)
		r = remove_parts(rm, &rm->inv->disks[i], pvs, e);
	return r == 0 ? step(rm, e) : r;
}

/* As long as anything of it is there, the group's tags say what: the group goes after the rest. */
static int remove_node(struct removal *rm, bool with_partitions, struct err *e)
{
	int r = remove_volumes(rm, e);

	if (r == 0 && with_partitions)
		r = remove_all_parts(rm, false, e);
	if (r == 0)
		r = remove_group(rm, e);
	if (r == 0)
		r = step(rm, e);
	if (r == 0 && with_partitions)
		r = remove_all_parts(rm, true, e);
	return r;
}

int node_remove(const struct inventory *inv, bool with_partitions, bool dry_run,
	struct strv *removed, struct progress *p, struct err *e)
{
	struct removal rm = {.inv = inv, .p = p};
	int r = find_node(&rm, e);

	if (r == 0)
		r = check_volumes(&rm, e);
	if (r == 0 && with_partitions)
		r = check_parts(&rm, e);
	if (r < 0)
		return r;
	if (removed)
		list(&rm, with_partitions, removed);
	if (dry_run)
		return 0;
	progress_begin(p, "removal", rm.vg->lv_count + 3, "steps");
	r = remove_node(&rm, with_partitions, e);
	if (r == 0)
		progress_end(p);
	return r;
}
