/* SPDX-License-Identifier: Apache-2.0 */
/* Reinstall: the node that is here keeps its partitions and its group, and foreign volumes theirs. */
#include <errno.h>
#include <strings.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "storage/layout-internal.h"
#include "storage/lvm.h"

static int find_group(struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->inv->vg_count; i++) {
		const struct inv_vg *vg = &p->inv->vgs[i];

		if (!inventory_has_tag(&vg->tags, LVM_TAG_VG))
			continue;
		if (p->old_vg)
			return err_set(e, EBUSY,
				"there is more than one node here: volume groups '%s' and '%s'",
				p->old_vg->name, vg->name);
		p->old_vg = vg;
	}
	if (!p->old_vg)
		return err_set(e, ENOENT, "there is no node here to be installed again");
	for (size_t i = 0; i < p->old_vg->pvs.count; i++)
		if (p->old_vg->pvs.items[i][0] == '[')
			return err_set(e, EBUSY, "a disk of volume group '%s' is missing",
				p->old_vg->name);
	return 0;
}

static const struct inv_lv *own_pool(const struct inv_vg *vg)
{
	for (size_t i = 0; i < vg->lv_count; i++)
		if (inventory_has_tag(&vg->lvs[i].tags, LVM_TAG_POOL))
			return &vg->lvs[i];
	return NULL;
}

static int check_own(const struct inv_vg *vg, const struct inv_lv *lv, struct err *e)
{
	if (lv->in_use)
		return err_set(
			e, EBUSY, "/dev/%s/%s is in use: %s", vg->name, lv->name, lv->in_use);
	if (lv->storage_domain)
		return err_set(e, EBUSY, "/dev/%s/%s has a storage domain", vg->name, lv->name);
	return 0;
}

static int check_foreign(const struct inv_vg *vg, const struct inv_lv *lv, struct err *e)
{
	const struct inv_lv *pool = own_pool(vg);

	if (!pool || !lv->pool || !str_eq(lv->pool, pool->name))
		return 0;
	return err_set(e, EBUSY,
		"/dev/%s/%s is not of the node but in its thin pool, which is made anew: move it "
		"away first",
		vg->name, lv->name);
}

static int check_volumes(const struct inv_vg *vg, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < vg->lv_count; i++)
		r = inventory_lv_is_ours(&vg->lvs[i]) ? check_own(vg, &vg->lvs[i], e)
						      : check_foreign(vg, &vg->lvs[i], e);
	return r;
}

/* What removing the pool gives back: itself, its metadata, and the spare if no other pool needs it. */
static void note_volumes(struct plan *p)
{
	const struct inv_vg *vg = p->old_vg;
	bool foreign_pool = false;

	p->vg_room_bytes = vg->free_bytes;
	for (size_t i = 0; i < vg->lv_count; i++)
		foreign_pool = foreign_pool ||
			(vg->lvs[i].metadata_bytes > 0 && !inventory_lv_is_ours(&vg->lvs[i]));
	for (size_t i = 0; i < vg->lv_count; i++) {
		const struct inv_lv *lv = &vg->lvs[i];
		autofree char *device = xasprintf("/dev/%s/%s", vg->name, lv->name);
		autofree char *size = str_bytes(lv->size_bytes);

		if (!inventory_lv_is_ours(lv))
			continue;
		strv_take(&p->out->remove_lvs, xasprintf("%s/%s", vg->name, lv->name));
		plan_add_erase(p->out, device,
			xasprintf("%s of the node, %s", lv->pool ? "volume" : "thin pool", size));
		if (!lv->pool)
			p->vg_room_bytes += lv->size_bytes +
				(foreign_pool ? 1 : 2) * lv->metadata_bytes;
	}
}

static size_t keep_disk(struct plan *p, const struct inv_disk *d)
{
	struct layout *l = p->out;

	for (size_t i = 0; i < l->disk_count; i++)
		if (str_eq(l->disks[i].path, d->path))
			return i;
	l->disks = xrealloc(l->disks, (l->disk_count + 1) * sizeof(*l->disks));
	l->disks[l->disk_count] = (struct layout_disk){.path = xstrdup(d->path),
		.size_bytes = d->size_bytes,
		.sector_bytes = d->sector_bytes};
	return l->disk_count++;
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void keep_part(struct plan *p, const struct inv_disk *d, const struct inv_part *part,
	const struct want_part *want)
{
	struct layout *l = p->out;
	size_t disk = keep_disk(p, d);

	l->parts = xrealloc(l->parts, (l->part_count + 1) * sizeof(*l->parts));
	l->parts[l->part_count++] = (struct layout_part){.role = want->role,
		.disk = disk,
		.number = part->number,
		.start_bytes = part->start_bytes,
		.size_bytes = part->size_bytes,
		.keep = true,
		.path = xstrdup(part->path),
		.label = copy(part->partlabel),
		.mount = copy(want->mount),
		.fstype = copy(want->fstype),
		.fsoptions = plan_part_fsoptions(want)};
}

/* The group's tags name what firmware and GRUB need; swap and data are known by their labels. */
static bool find_role(
	const struct plan *p, const struct inv_part *part, const struct want_part **out)
{
	static const char *const prefixes[] = {LVM_TAG_BIOS, LVM_TAG_EFI, LVM_TAG_BOOT};
	static const struct want_part fixed[] = {
		{.role = LAYOUT_BIOS},
		{.role = LAYOUT_EFI, .mount = "/boot/efi", .fstype = "vfat"},
		{.role = LAYOUT_BOOT, .mount = "/boot", .fstype = "ext4"},
	};
	static const struct want_part pv = {.role = LAYOUT_PV};

	for (size_t i = 0; i < ARRAY_LEN(prefixes) && part->partuuid; i++) {
		const char *value = lvm_tag_value(&p->old_vg->tags, prefixes[i]);

		*out = &fixed[i];
		if (value && strcasecmp(value, part->partuuid) == 0)
			return true;
	}
	*out = &pv;
	if (strv_has(&p->old_vg->pvs, part->path))
		return true;
	for (size_t i = 0; i < p->want.part_count && part->partlabel && part->fstype; i++) {
		const struct want_part *want = &p->want.parts[i];

		if (want->role < LAYOUT_SWAP)
			continue;
		autofree char *label = plan_label(want);
		*out = want;
		if (str_eq(part->partlabel, label) && str_eq(part->fstype, want->fstype))
			return true;
	}
	return false;
}

static int keep_parts_of(struct plan *p, const struct inv_disk *d, struct err *e)
{
	const struct inv_part *next;
	uint64_t after = 0;

	/* In order of place, which a partition table need not have. */
	do {
		const struct want_part *want;

		next = NULL;
		for (size_t i = 0; i < d->part_count; i++)
			if (d->parts[i].start_bytes > after &&
				(!next || d->parts[i].start_bytes < next->start_bytes))
				next = &d->parts[i];
		if (!next)
			break;
		after = next->start_bytes;
		if (!find_role(p, next, &want))
			continue;
		if (next->in_use)
			return err_set(e, EBUSY, "%s is in use: %s", next->path, next->in_use);
		keep_part(p, d, next, want);
	} while (next);
	return 0;
}

/* Partitions are not made anew: what the node did not have it will not have. */
static void warn_of_new(const struct plan *p)
{
	for (size_t i = 0; i < p->want.part_count; i++) {
		const struct want_part *want = &p->want.parts[i];
		bool kept = false;

		for (size_t j = 0; j < p->out->part_count; j++)
			kept = kept ||
				(p->out->parts[j].role == want->role && p->out->parts[j].mount &&
					str_eq(p->out->parts[j].mount, want->mount));
		if (want->role >= LAYOUT_SWAP && !kept)
			log_warning("%s:%u: part %s: the node has no such partition, and a "
				    "reinstall makes none",
				ks_file(want->cmd), ks_line(want->cmd), want->mount);
	}
}

static int check_parts(struct plan *p, struct err *e)
{
	static const char *const names[] = {"BIOS boot", "EFI system", "/boot"};
	struct layout *l = p->out;

	for (size_t role = 0; role < ARRAY_LEN(names); role++) {
		const struct layout_part *found = NULL;

		for (size_t i = 0; i < l->part_count; i++)
			if (l->parts[i].role == role)
				found = &l->parts[i];
		if (!found)
			return err_set(e, EBUSY,
				"the %s partition of the node in volume group '%s' is missing: "
				"install anew",
				names[role], p->old_vg->name);
		if (role == LAYOUT_BIOS)
			l->boot_drive = found->disk;
	}
	warn_of_new(p);
	return plan_check_parts(p, e);
}

/* Which disks and what goes from them, the node has decided already. */
static void warn_of_useless(const struct plan *p)
{
	static const char *const commands[] = {"clearpart", "ignoredisk", "zerombr"};
	static const char *const options[] = {"boot-drive", "driveorder"};
	const struct ks_cmd *loader = ks_next(p->doc, "bootloader", NULL);
	autostrbuf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (ks_next(p->doc, commands[i], NULL))
			strbuf_printf(&b, "%s%s", b.len ? ", " : "", commands[i]);
	for (size_t i = 0; loader && i < ARRAY_LEN(options); i++)
		if (ks_given(loader, options[i]))
			strbuf_printf(&b, "%sbootloader --%s", b.len ? ", " : "", options[i]);
	if (b.len > 0)
		log_warning(
			"a reinstall keeps the node's disks and partitions, ignored: %s", b.data);
}

int plan_keep_node(struct plan *p, struct err *e)
{
	int r = find_group(p, e);

	if (r == 0)
		warn_of_useless(p);

	if (r == 0)
		r = check_volumes(p->old_vg, e);
	for (size_t i = 0; r == 0 && i < p->inv->disk_count; i++)
		r = keep_parts_of(p, &p->inv->disks[i], e);
	if (r == 0)
		r = check_parts(p, e);
	if (r < 0)
		return r;
	note_volumes(p);
	p->want.extent_bytes = p->out->extent_bytes = p->old_vg->extent_bytes;
	p->out->vg = xstrdup(p->old_vg->name);
	return 0;
}
