/* SPDX-License-Identifier: Apache-2.0 */
/* Which disks a kickstart means, and which of them boots. */
#include <errno.h>
#include <fnmatch.h>

#include "base/xalloc.h"
#include "storage/layout-internal.h"

struct disk_list {
	const struct inv_disk **items;
	size_t count;
};

static bool list_has(const struct disk_list *l, const struct inv_disk *disk)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i] == disk)
			return true;
	return false;
}

static void list_add(struct disk_list *l, const struct inv_disk *disk)
{
	if (list_has(l, disk))
		return;
	l->items = xrealloc(l->items, (l->count + 1) * sizeof(const struct inv_disk *));
	l->items[l->count++] = disk;
}

static void list_fini(struct disk_list *l)
{
	free(l->items);
}
#define autodisks auto_with(list_fini) struct disk_list

/* "/dev/vda (20.0 GiB, QEMU), /dev/vdb (1.0 TiB)" */
static char *describe_disks(const struct disk_list *l)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < l->count; i++) {
		const struct inv_disk *d = l->items[i];
		autofree char *size = str_bytes(d->size_bytes);

		strbuf_printf(&b, "%s%s (%s%s%s)", i ? ", " : "", d->path, size,
			d->model ? ", " : "", d->model ? d->model : "");
	}
	return strbuf_take(&b);
}

static bool glob_matches(const char *glob, const struct inv_disk *d)
{
	if (fnmatch(glob, d->path, FNM_PATHNAME) == 0 || fnmatch(glob, d->name, 0) == 0)
		return true;
	for (size_t i = 0; i < d->links.count; i++) {
		const char *link = d->links.items[i];

		if (fnmatch(glob, link, FNM_PATHNAME) == 0 ||
			(str_starts(link, "/dev/") && fnmatch(glob, link + 5, FNM_PATHNAME) == 0))
			return true;
	}
	return false;
}

/* The disks that a word of a list means. */
static int find_disks(const struct plan *p, const struct ks_cmd *c, const char *word,
	struct disk_list *out, struct err *e)
{
	const struct inventory *inv = p->inv;
	const struct inv_disk *disk = inventory_disk(inv, word);
	struct disk_list all = {0};

	if (disk)
		list_add(out, disk);
	for (size_t i = 0; !disk && i < inv->disk_count; i++)
		if (strpbrk(word, "*?[") && glob_matches(word, &inv->disks[i]))
			list_add(out, &inv->disks[i]);
	if (out->count > 0)
		return 0;
	for (size_t i = 0; i < inv->disk_count; i++)
		list_add(&all, &inv->disks[i]);
	autofree char *text = describe_disks(&all);
	list_fini(&all);
	return plan_refuse(c, e, ENODEV, "there is no disk '%.80s'; there are: %s", word,
		*text ? text : "none");
}

static int read_list(const struct plan *p, const struct ks_cmd *c, const char *option,
	struct disk_list *out, struct err *e)
{
	const struct strv *words = ks_list(c, option);

	for (size_t i = 0; i < words->count; i++) {
		autodisks found = {0};
		int r = find_disks(p, c, words->items[i], &found, e);

		if (r < 0)
			return r;
		for (size_t j = 0; j < found.count; j++) {
			if (list_has(out, found.items[j]))
				return plan_refuse(c, e, EINVAL, "--%s names the disk %s twice",
					option, found.items[j]->path);
		}
		for (size_t j = 0; j < found.count; j++)
			list_add(out, found.items[j]);
	}
	return 0;
}

/* The disk that has the partition, "vda2" or "/dev/vda2". */
static const struct inv_disk *disk_of_part(const struct inventory *inv, const char *name)
{
	const char *tail = str_starts(name, "/dev/") ? name + 5 : name;

	for (size_t i = 0; i < inv->disk_count; i++)
		for (size_t j = 0; j < inv->disks[i].part_count; j++)
			if (str_eq(inv->disks[i].parts[j].path + strlen("/dev/"), tail))
				return &inv->disks[i];
	return NULL;
}

static int add_named(const struct plan *p, const struct ks_cmd *c, const char *word,
	struct disk_list *named, struct err *e)
{
	autodisks found = {0};
	int r = find_disks(p, c, word, &found, e);

	for (size_t i = 0; r == 0 && i < found.count; i++)
		list_add(named, found.items[i]);
	return r;
}

/* Disks that clearpart, part and bootloader name, where ignoredisk does not say. */
static int read_named(const struct plan *p, struct disk_list *named, struct err *e)
{
	const struct ks_cmd *clear = ks_next(p->doc, "clearpart", NULL);
	const struct ks_cmd *boot = ks_next(p->doc, "bootloader", NULL);
	int r = 0;

	if (clear) {
		const struct strv *parts = ks_list(clear, "list");

		r = read_list(p, clear, "drives", named, e);
		for (size_t i = 0; r == 0 && i < parts->count; i++) {
			const struct inv_disk *disk = disk_of_part(p->inv, parts->items[i]);

			if (!disk)
				return plan_refuse(clear, e, ENODEV,
					"there is no partition '%.80s'", parts->items[i]);
			list_add(named, disk);
		}
	}
	for (size_t i = 0; r == 0 && i < p->want.part_count; i++)
		if (p->want.parts[i].disk)
			r = add_named(p, p->want.parts[i].cmd, p->want.parts[i].disk, named, e);
	if (r == 0 && boot && *ks_str(boot, "boot-drive"))
		r = add_named(p, boot, ks_str(boot, "boot-drive"), named, e);
	return r;
}

/* Nothing names a disk: the only one that can be meant. */
static int choose_only_one(
	const struct plan *p, const struct disk_list *ignored, struct disk_list *out, struct err *e)
{
	autodisks candidates = {0};

	for (size_t i = 0; i < p->inv->disk_count; i++) {
		const struct inv_disk *d = &p->inv->disks[i];

		if (!d->removable && !d->read_only && !d->live_medium && !list_has(ignored, d))
			list_add(&candidates, d);
	}
	if (candidates.count == 1) {
		list_add(out, candidates.items[0]);
		return 0;
	}
	autofree char *text = describe_disks(&candidates);
	if (candidates.count > 1)
		return err_set(e, EINVAL,
			"which disk is meant? there are %s: name those to use with ignoredisk "
			"--only-use=",
			text);
	return err_set(e, ENODEV,
		p->inv->disk_count == 0
			? "there is no disk in this machine"
			: "there is no disk to install on: those that are there are "
			  "removable, read-only, ignored or the one this system "
			  "was started from");
}

static int choose(const struct plan *p, struct disk_list *out, struct err *e)
{
	const struct ks_cmd *c = ks_next(p->doc, "ignoredisk", NULL);
	autodisks ignored = {0};
	autodisks named = {0};
	bool has_only = c && ks_list(c, "only-use")->count > 0;
	int r = 0;

	if (has_only)
		r = read_list(p, c, "only-use", out, e);
	else if (c)
		r = read_list(p, c, "drives", &ignored, e);
	if (r == 0)
		r = read_named(p, &named, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < named.count; i++) {
		if (list_has(&ignored, named.items[i]) ||
			(has_only && !list_has(out, named.items[i])))
			return plan_refuse(c, e, EINVAL,
				"it keeps %s from being used, but another line names that disk",
				named.items[i]->path);
		if (!has_only)
			list_add(out, named.items[i]);
	}
	return out->count > 0 ? 0 : choose_only_one(p, &ignored, out, e);
}

static int check_usable(const struct inv_disk *d, struct err *e)
{
	if (d->live_medium)
		return err_set(e, EBUSY, "%s is what this system was started from", d->path);
	if (d->read_only)
		return err_set(e, EBUSY, "%s is read-only", d->path);
	if (d->in_use)
		return err_set(e, EBUSY, "%s is in use: %s", d->path, d->in_use);
	return 0;
}

static size_t pick_of(const struct plan *p, const struct inv_disk *disk)
{
	size_t i = 0;

	while (i < p->pick_count && p->picks[i].disk != disk)
		i++;
	return i;
}

static int choose_boot_drive(struct plan *p, struct err *e)
{
	const struct ks_cmd *c = ks_next(p->doc, "bootloader", NULL);
	const char *name = c ? ks_str(c, "boot-drive") : "";
	const char *location = c ? ks_str(c, "location") : "mbr";
	autodisks order = {0};
	autodisks wanted = {0};
	int r = 0;

	if (!c)
		return 0;
	if (str_eq(location, "none") || str_eq(location, "partition") || ks_flag(c, "disabled"))
		return plan_refuse(c, e, EINVAL,
			"a node needs its boot loader on the disk: leave out --location=%s and "
			"--disabled",
			location);
	r = read_list(p, c, "driveorder", &order, e);
	if (r == 0 && *name)
		r = find_disks(p, c, name, &wanted, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < order.count; i++)
		list_add(&wanted, order.items[i]);
	/* The first of them; the others in the order may well be disks of something else. */
	if (wanted.count == 0)
		return 0;
	p->out->boot_drive = pick_of(p, wanted.items[0]);
	if (p->out->boot_drive == p->pick_count)
		return plan_refuse(c, e, EINVAL, "%s is not one of the disks that are used",
			wanted.items[0]->path);
	return 0;
}

int plan_choose_disks(struct plan *p, struct err *e)
{
	autodisks used = {0};
	int r = choose(p, &used, e);

	for (size_t i = 0; r == 0 && i < used.count; i++)
		r = check_usable(used.items[i], e);
	if (r < 0)
		return r;
	p->pick_count = p->out->disk_count = used.count;
	p->picks = xcalloc(used.count, sizeof(*p->picks));
	p->out->disks = xcalloc(used.count, sizeof(*p->out->disks));
	for (size_t i = 0; i < used.count; i++) {
		const struct inv_disk *d = used.items[i];

		p->picks[i] = (struct pick){
			.disk = d, .goes = xcalloc(d->part_count + 1, sizeof(bool))};
		p->out->disks[i] = (struct layout_disk){.path = xstrdup(d->path),
			.size_bytes = d->size_bytes,
			.sector_bytes = d->sector_bytes};
	}
	return choose_boot_drive(p, e);
}

int plan_find_pick(
	const struct plan *p, const struct ks_cmd *c, const char *name, size_t *out, struct err *e)
{
	autodisks found = {0};
	int r = find_disks(p, c, name, &found, e);

	if (r < 0)
		return r;
	*out = pick_of(p, found.items[0]);
	if (found.count != 1 || *out == p->pick_count)
		return plan_refuse(
			c, e, EINVAL, "'%.80s' is not one of the disks that are used", name);
	return 0;
}

int plan_pick_list(
	const struct plan *p, const struct ks_cmd *c, const char *option, bool *out, struct err *e)
{
	autodisks listed = {0};
	int r = read_list(p, c, option, &listed, e);

	for (size_t i = 0; r == 0 && i < p->pick_count; i++)
		out[i] = listed.count == 0 || list_has(&listed, p->picks[i].disk);
	return r;
}
