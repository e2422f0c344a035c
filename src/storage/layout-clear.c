/* SPDX-License-Identifier: Apache-2.0 */
/* What clearpart and zerombr let go, and whether something forbids that. */
#include <errno.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "storage/layout-internal.h"
#include "storage/lvm.h"

void plan_add_erase(struct layout *l, const char *device, char *what)
{
	l->erase = xrealloc(l->erase, (l->erase_count + 1) * sizeof(*l->erase));
	l->erase[l->erase_count++] = (struct layout_erase){.device = xstrdup(device), .what = what};
}

char *plan_describe(const struct inv_part *part)
{
	autofree char *size = str_bytes(part->size_bytes);
	const char *type = part->fstype;

	if (!type)
		return xasprintf("nothing known%s%s%s, %s", part->partlabel ? " '" : "",
			part->partlabel ? part->partlabel : "", part->partlabel ? "'" : "", size);
	if (str_eq(type, "LVM2_member"))
		return xasprintf("LVM physical volume, %s", size);
	if (str_eq(type, "swap"))
		return xasprintf("swap, %s", size);
	return xasprintf("%s%s%s%s, %s", type, part->label ? " '" : "",
		part->label ? part->label : "", part->label ? "'" : "", size);
}

static bool is_linux(const struct inv_part *part)
{
	/* libblkid's words for what is in it; then GPT and MBR types. */
	static const char *const contents[] = {"LVM2_member", "LVM1_member", "btrfs", "crypto_LUKS",
		"ext2", "ext3", "ext4", "f2fs", "jfs", "linux_raid_member", "reiserfs", "swap",
		"xfs"};
	static const char *const types[] = {
		"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", /* swap */
		"0fc63daf-8483-4772-8e79-3d69d8477de4", /* file system */
		"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", /* root, x86-64 */
		"933ac7e1-2eb4-4f13-b844-0e14e2aef915", /* /home */
		"a19d880f-05fc-4d3b-a006-743f0f84911e", /* RAID */
		"bc13c2ff-59e6-4262-a352-b275fd6f7172", /* extended boot */
		"e6d6d379-f507-44c2-a23c-238f2a3df928", /* LVM */
		"0x82",
		"0x83",
		"0x8e",
		"0xfd",
	};

	for (size_t i = 0; part->fstype && i < ARRAY_LEN(contents); i++)
		if (str_eq(part->fstype, contents[i]))
			return true;
	for (size_t i = 0; part->type_uuid && i < ARRAY_LEN(types); i++)
		if (str_eq(part->type_uuid, types[i]))
			return true;
	return false;
}

static bool is_listed(const struct ks_cmd *c, const struct inv_part *part)
{
	const struct strv *list = ks_list(c, "list");

	return strv_has(list, part->path) || strv_has(list, part->path + strlen("/dev/"));
}

/* The first partition that stays, or NULL. */
static const struct inv_part *first_kept(const struct pick *pick)
{
	for (size_t i = 0; i < pick->disk->part_count; i++)
		if (!pick->goes[i])
			return &pick->disk->parts[i];
	return NULL;
}

/* Somebody else's storage stays alone on its disk: an install beside it is more often a mistake. */
static int check_kept(const struct pick *pick, struct err *e)
{
	const struct inv_disk *d = pick->disk;

	for (size_t i = 0; i < d->part_count; i++) {
		const struct inv_part *part = &d->parts[i];
		bool is_pv = part->fstype &&
			(str_eq(part->fstype, "LVM2_member") ||
				str_eq(part->fstype, "LVM1_member"));

		if (!pick->goes[i] && (is_pv || part->storage_domain))
			return err_set(e, EBUSY,
				"%s: %s is %s and not covered by clearpart: let it be erased, or "
				"use another disk",
				d->path, part->path,
				is_pv ? "an LVM physical volume" : "a storage domain");
	}
	return 0;
}

/* A disk without a partition table: what is on it, if anything, lies on the whole of it. */
static int clear_whole(const struct plan *p, struct pick *pick, bool all, struct err *e)
{
	const struct inv_disk *d = pick->disk;
	autofree char *what = plan_describe(&d->whole);

	if (d->whole.fstype && !all)
		return err_set(e, EBUSY, "%s: %s is on the whole disk and not covered by clearpart",
			d->path, what);
	if (!d->whole.fstype && !ks_next(p->doc, "zerombr", NULL))
		return err_set(e, EBUSY,
			"%s has no partition table, what is on it is unknown: zerombr lets it be "
			"used",
			d->path);
	pick->whole_goes = pick->new_table = true;
	return 0;
}

static int clear_disk(const struct plan *p, const struct ks_cmd *c, struct pick *pick, bool covered,
	struct err *e)
{
	const struct inv_disk *d = pick->disk;
	const char *type = c && ks_str(c, "all") ? ks_str(c, "all") : "none";
	bool all = covered && str_eq(type, "all");

	if (!d->table)
		return clear_whole(p, pick, all, e);
	for (size_t i = 0; i < d->part_count; i++)
		pick->goes[i] = all ||
			(covered && str_eq(type, "linux") && is_linux(&d->parts[i])) ||
			(str_eq(type, "list") && is_listed(c, &d->parts[i]));
	int r = check_kept(pick, e);
	if (r < 0)
		return r;
	const struct inv_part *kept = first_kept(pick);
	pick->new_table = !kept;
	if (!kept || str_eq(d->table, "gpt"))
		return 0;
	autofree char *what = plan_describe(kept);
	return err_set(e, EBUSY,
		"%s: its partition table is not a GPT, and %s (%s) is not covered by clearpart",
		d->path, kept->path, what);
}

/* Whether a device is among what goes. */
static bool device_goes(const struct plan *p, const char *device)
{
	for (size_t i = 0; i < p->pick_count; i++) {
		const struct pick *pick = &p->picks[i];

		if (pick->whole_goes && str_eq(pick->disk->path, device))
			return true;
		for (size_t j = 0; j < pick->disk->part_count; j++)
			if (pick->goes[j] && str_eq(pick->disk->parts[j].path, device))
				return true;
	}
	return false;
}

/* What cannot be searched may be somebody's only copy: whoever knows better wipes it. */
static int check_searched(const char *device, const char *unsearched, struct err *e)
{
	return unsearched
		? err_set(e, EBUSY,
			  "%s was not searched for a storage domain: %s; if nothing on it "
			  "is needed: wipefs --all %s",
			  device, unsearched, device)
		: 0;
}

/* Where there is no volume to wipe it is the group that has to go. */
static int refuse_idle(
	const struct inv_vg *vg, const char *device, const char *unsearched, struct err *e)
{
	autostrbuf pvs = {0};

	for (size_t i = 0; i < vg->pvs.count; i++)
		strbuf_printf(&pvs, " %s", vg->pvs.items[i]);
	return err_set(e, EBUSY,
		"%s was not searched for a storage domain: %s; if nothing of volume group '%s' is "
		"needed: wipefs --all%s",
		device, unsearched, vg->name, pvs.data ? pvs.data : "");
}

static int check_volume_goes(
	const struct plan *p, const struct inv_vg *vg, const struct inv_lv *lv, struct err *e)
{
	autofree char *device = xasprintf("/dev/%s/%s", vg->name, lv->name);

	if (lv->in_use)
		return err_set(e, EBUSY, "%s is in use: %s", device, lv->in_use);
	if (!lv->idle || !lv->unsearched)
		return check_searched(device, lv->unsearched, e);
	return p->looks_again ? 0 : refuse_idle(vg, device, lv->unsearched, e);
}

static int check_group_goes(const struct plan *p, const struct inv_vg *vg, struct err *e)
{
	const char *mine = NULL, *other = NULL;
	int r = 0;

	for (size_t i = 0; i < vg->pvs.count; i++) {
		if (device_goes(p, vg->pvs.items[i]))
			mine = vg->pvs.items[i];
		else
			other = vg->pvs.items[i];
	}
	if (!mine)
		return 0;
	if (vg->storage_domain)
		return err_set(e, EBUSY,
			"%s belongs to volume group '%s', which is or has a storage domain", mine,
			vg->name);
	if (other && str_starts(other, "["))
		return err_set(e, EBUSY,
			"%s belongs to volume group '%s', of which a disk is missing", mine,
			vg->name);
	if (other)
		return err_set(e, EBUSY,
			"%s belongs to volume group '%s', which is on %s too, and that is not to be "
			"erased",
			mine, vg->name, other);
	for (size_t i = 0; r == 0 && i < vg->lv_count; i++)
		r = check_volume_goes(p, vg, &vg->lvs[i], e);
	return r;
}

static bool is_same_pv(const struct inv_part *a, const struct inv_part *b)
{
	return a->path && b->path && !str_eq(a->path, b->path) && a->fstype && b->fstype &&
		str_eq(a->fstype, "LVM2_member") && str_eq(b->fstype, "LVM2_member") && a->uuid &&
		b->uuid && str_eq(a->uuid, b->uuid);
}

/*
 * A second path to a disk on a SAN without multipathd, or a copy.  LVM takes one of the two for the physical
 * volume, and what is known of its group is known of that one only.
 */
static int check_is_only_pv(const struct inventory *inv, const struct inv_part *part, struct err *e)
{
	const struct inv_part *other = NULL;

	for (size_t i = 0; !other && i < inv->disk_count; i++) {
		const struct inv_disk *d = &inv->disks[i];

		other = is_same_pv(part, &d->whole) ? &d->whole : NULL;
		for (size_t j = 0; !other && j < d->part_count; j++)
			other = is_same_pv(part, &d->parts[j]) ? &d->parts[j] : NULL;
	}
	return other
		? err_set(e, EBUSY,
			  "%s and %s have the same LVM physical volume: they are one disk, or a "
			  "disk and its copy; if nothing on them is needed: wipefs --all %s",
			  part->path, other->path, part->path)
		: 0;
}

static int check_part_goes(const struct inventory *inv, const struct inv_part *part, struct err *e)
{
	if (part->storage_domain)
		return err_set(e, EBUSY, "%s has a storage domain", part->path);
	int r = check_searched(part->path, part->unsearched, e);
	return r == 0 ? check_is_only_pv(inv, part, e) : r;
}

static int check_parts(const struct plan *p, const struct pick *pick, struct err *e)
{
	const struct inv_disk *d = pick->disk;
	int r = pick->whole_goes ? check_part_goes(p->inv, &d->whole, e) : 0;

	for (size_t i = 0; r == 0 && i < d->part_count; i++)
		if (pick->goes[i])
			r = check_part_goes(p->inv, &d->parts[i], e);
	return r;
}

static int check_all(const struct plan *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->pick_count; i++)
		r = check_parts(p, &p->picks[i], e);
	for (size_t i = 0; r == 0 && i < p->inv->vg_count; i++)
		r = check_group_goes(p, &p->inv->vgs[i], e);
	return r;
}

static bool group_goes(const struct plan *p, const struct inv_vg *vg)
{
	return vg->pvs.count > 0 && device_goes(p, vg->pvs.items[0]);
}

/* Groups are removed and found by name, and a node by its tag: neither may be there twice. */
static int check_other_groups(const struct plan *p, struct err *e)
{
	const struct layout *l = p->out;

	for (size_t i = 0; i < p->inv->vg_count; i++) {
		const struct inv_vg *vg = &p->inv->vgs[i];
		const char *where = vg->pvs.count > 0 ? vg->pvs.items[0] : "no disk";

		if (group_goes(p, vg))
			continue;
		if (str_eq(vg->name, p->want.vg) || strv_has(&l->remove_vgs, vg->name))
			return err_set(e, EBUSY,
				"there is another volume group '%s' on %s: rename it, or let "
				"clearpart erase it",
				vg->name, where);
		if (inventory_has_tag(&vg->tags, LVM_TAG_VG))
			return err_set(e, EBUSY,
				"there is a node on %s already (volume group '%s'): reinstall or "
				"uninstall it, or let clearpart erase it",
				where, vg->name);
	}
	return 0;
}

static void note_groups(struct plan *p)
{
	for (size_t i = 0; i < p->inv->vg_count; i++) {
		const struct inv_vg *vg = &p->inv->vgs[i];

		if (!group_goes(p, vg))
			continue;
		strv_add(&p->out->remove_vgs, vg->name);
		for (size_t j = 0; j < vg->lv_count; j++) {
			autofree char *device = xasprintf("/dev/%s/%s", vg->name, vg->lvs[j].name);
			autofree char *size = str_bytes(vg->lvs[j].size_bytes);

			plan_add_erase(p->out, device, xasprintf("logical volume, %s", size));
		}
	}
}

static void note_disk(struct plan *p, size_t index)
{
	const struct pick *pick = &p->picks[index];
	const struct inv_disk *d = pick->disk;
	struct layout_disk *out = &p->out->disks[index];
	autofree char *size = str_bytes(d->size_bytes);

	out->new_table = pick->new_table;
	if (pick->new_table)
		plan_add_erase(p->out, d->path,
			xasprintf("the whole disk, %s%s%s", size, d->model ? ", " : "",
				d->model ? d->model : ""));
	if (pick->whole_goes && d->whole.fstype)
		plan_add_erase(p->out, d->path, plan_describe(&d->whole));
	out->remove = xcalloc(d->part_count + 1, sizeof(*out->remove));
	for (size_t i = 0; i < d->part_count; i++) {
		if (!pick->goes[i])
			continue;
		plan_add_erase(p->out, d->parts[i].path, plan_describe(&d->parts[i]));
		if (!pick->new_table)
			out->remove[out->remove_count++] = d->parts[i].number;
	}
}

static int check_command(const struct ks_cmd *c, struct err *e)
{
	const char *label = ks_str(c, "disklabel");

	if (label && *label && !str_eq(label, "gpt"))
		return plan_refuse(
			c, e, EINVAL, "--disklabel=%.40s is not supported: use gpt", label);
	if (ks_flag(c, "cdl"))
		log_warning("%s:%u: clearpart: --cdl is ignored: it is about DASD of IBM Z",
			ks_file(c), ks_line(c));
	return 0;
}

int plan_clear_disks(struct plan *p, struct err *e)
{
	const struct ks_cmd *c = ks_next(p->doc, "clearpart", NULL);
	autofree bool *covered = xcalloc(p->pick_count, sizeof(*covered));
	int r = 0;

	if (c) {
		r = check_command(c, e);
		if (r == 0)
			r = plan_pick_list(p, c, "drives", covered, e);
	}
	for (size_t i = 0; r == 0 && i < p->pick_count; i++)
		r = clear_disk(p, c, &p->picks[i], covered[i], e);
	if (r == 0)
		r = check_all(p, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->pick_count; i++)
		note_disk(p, i);
	note_groups(p);
	return check_other_groups(p, e);
}
