/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions: on which disk, in which gap, how large, under which number. */
#include <ctype.h>
#include <errno.h>

#include "base/xalloc.h"
#include "storage/layout-internal.h"

#define GPT_ENTRIES     128
#define GPT_ENTRY_BYTES 128

/* FAT32 has at least 65525 clusters of a sector each, and some room goes for the table. */
#define ESP_MIN_CLUSTERS 66000

struct gap {
	size_t pick;
	uint64_t start, end;
	uint64_t used; /* of it, by what is placed so far at its least size */
};

struct slot {
	const struct want_part *want;
	size_t pick;
	size_t gap;
	uint64_t size_bytes; /* at least, and in the end */
};

struct table {
	struct gap *gaps;
	size_t gap_count;
	struct slot *slots; /* one for each part that is wanted */
	size_t slot_count;
};

static void table_fini(struct table *t)
{
	free(t->gaps);
	free(t->slots);
}
#define autotable auto_with(table_fini) struct table

/* Behind it is the backup of the GPT: a header and the entries. */
static uint64_t usable_end(const struct inv_disk *d)
{
	uint64_t backup = d->sector_bytes + GPT_ENTRIES * GPT_ENTRY_BYTES;

	return d->size_bytes > backup ? plan_round_down(d->size_bytes - backup, LAYOUT_ALIGN) : 0;
}

static void add_gap(struct table *t, size_t pick, uint64_t start, uint64_t end)
{
	start = plan_round_up(start, LAYOUT_ALIGN);
	end = plan_round_down(end, LAYOUT_ALIGN);
	if (end <= start)
		return;
	t->gaps = xrealloc(t->gaps, (t->gap_count + 1) * sizeof(*t->gaps));
	t->gaps[t->gap_count++] = (struct gap){pick, start, end, 0};
}

static uint64_t end_of(const struct inv_part *part)
{
	uint64_t size = MAX(part->size_bytes, 1);

	return part->start_bytes + MIN(size, UINT64_MAX - part->start_bytes);
}

/* Behind the kept partitions that have off in them; a damaged table may let them overlap. */
static uint64_t skip_kept(const struct pick *pick, uint64_t off)
{
	bool moved = !pick->new_table;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < pick->disk->part_count; i++) {
			const struct inv_part *part = &pick->disk->parts[i];

			if (pick->goes[i] || part->start_bytes > off || end_of(part) <= off)
				continue;
			off = end_of(part);
			moved = true;
		}
	}
	return off;
}

/* Where the first kept partition behind off begins, at most end. */
static uint64_t next_kept(const struct pick *pick, uint64_t off, uint64_t end)
{
	for (size_t i = 0; !pick->new_table && i < pick->disk->part_count; i++) {
		uint64_t start = pick->disk->parts[i].start_bytes;

		if (!pick->goes[i] && start > off)
			end = MIN(end, start);
	}
	return end;
}

static void find_gaps(const struct plan *p, struct table *t)
{
	for (size_t i = 0; i < p->pick_count; i++) {
		const struct pick *pick = &p->picks[i];
		uint64_t end = usable_end(pick->disk);
		uint64_t off = skip_kept(pick, LAYOUT_ALIGN);

		while (off < end) {
			uint64_t stop = next_kept(pick, off, end);

			add_gap(t, i, off, stop);
			off = skip_kept(pick, stop);
		}
	}
}

static uint64_t gap_room(const struct gap *g)
{
	return g->end - g->start - g->used;
}

/* Where size bytes fit: the first gap, or the roomiest for what will grow; gap_count: nowhere. */
static size_t find_gap(const struct table *t, size_t pick, uint64_t size, bool roomiest)
{
	size_t best = t->gap_count;

	for (size_t i = 0; i < t->gap_count; i++) {
		const struct gap *g = &t->gaps[i];

		if (g->pick != pick || gap_room(g) < size)
			continue;
		if (best == t->gap_count || (roomiest && gap_room(g) > gap_room(&t->gaps[best])))
			best = i;
	}
	return best;
}

/* What is wanted of a disk in all, and what it has. */
static int refuse_too_small(
	const struct plan *p, const struct table *t, size_t index, uint64_t size, struct err *e)
{
	const struct pick *pick = &p->picks[index];
	const char *hint = "";
	uint64_t need = size, has = 0;

	for (size_t i = 0; i < t->gap_count; i++)
		has += t->gaps[i].pick == index ? t->gaps[i].end - t->gaps[i].start : 0;
	for (size_t i = 0; i < t->slot_count; i++)
		need += t->slots[i].pick == index ? t->slots[i].size_bytes : 0;
	/* Of a disk that is ours alone people know the size, not what a GPT leaves of it. */
	if (pick->new_table) {
		need += pick->disk->size_bytes - has;
		has = pick->disk->size_bytes;
		if (p->want.automatic && p->want.volume_count > 2)
			hint = " (autopart --profile=minimal needs less)";
	}
	autofree char *need_text = str_bytes(need);
	autofree char *has_text = str_bytes(has);
	if (need <= has)
		return err_set(e, pick->new_table ? ENOSPC : EBUSY,
			"%s: %s is free, but not in one piece where the partitions need %s",
			pick->disk->path, has_text, need_text);
	autofree char *more_text = str_bytes(need - has);
	return err_set(e, pick->new_table ? ENOSPC : EBUSY, "%s%s needs %s, has %s, %s more%s%s",
		pick->disk->path,
		pick->new_table ? " is too small:" : " has too little free space:", need_text,
		has_text, more_text, hint,
		pick->new_table ? "" : "; clearpart does not cover what else is on it");
}

static int choose_pick(const struct plan *p, const struct table *t, const struct want_part *want,
	size_t *out, struct err *e)
{
	*out = p->out->boot_drive;
	if (want->disk) {
		int r = plan_find_pick(p, want->cmd, want->disk, out, e);

		if (r < 0)
			return r;
		if (want->role <= LAYOUT_BOOT && *out != p->out->boot_drive)
			return plan_refuse(want->cmd, e, EINVAL,
				"it must be on the boot drive, which is %s",
				p->picks[p->out->boot_drive].disk->path);
		return 0;
	}
	if (want->role <= LAYOUT_BOOT)
		return 0;
	for (size_t i = 0; i < p->pick_count; i++) {
		if (find_gap(t, i, want->size.bytes, want->size.grow) < t->gap_count) {
			*out = i;
			return 0;
		}
	}
	return 0;
}

static int place(const struct plan *p, struct table *t, const struct want_part *want, struct err *e)
{
	struct slot s = {.want = want, .size_bytes = plan_round_up(want->size.bytes, LAYOUT_ALIGN)};
	int r = choose_pick(p, t, want, &s.pick, e);

	if (r < 0)
		return r;
	s.gap = find_gap(t, s.pick, s.size_bytes, want->size.grow);
	if (s.gap == t->gap_count)
		return refuse_too_small(p, t, s.pick, s.size_bytes, e);
	t->gaps[s.gap].used += s.size_bytes;
	t->slots[t->slot_count++] = s;
	return 0;
}

/* What does not grow first: it finds its place in any gap. */
static int place_all(const struct plan *p, struct table *t, struct err *e)
{
	const struct want *w = &p->want;
	int r = 0;

	t->slots = xcalloc(w->part_count + 1, sizeof(*t->slots));
	for (int grow = 0; grow < 2; grow++)
		for (size_t i = 0; r == 0 && i < w->part_count; i++)
			if (w->parts[i].size.grow == grow)
				r = place(p, t, &w->parts[i], e);
	return r;
}

static void grow_gap(const struct table *t, size_t gap)
{
	autofree struct grower *g = xcalloc(t->slot_count + 1, sizeof(*g));
	size_t count = 0;

	for (size_t i = 0; i < t->slot_count; i++) {
		const struct want_size *size = &t->slots[i].want->size;

		if (t->slots[i].gap == gap && size->grow)
			g[count++] = (struct grower){.base = t->slots[i].size_bytes / LAYOUT_ALIGN,
				.limit = size->max_bytes ? size->max_bytes / LAYOUT_ALIGN
							 : UINT64_MAX};
	}
	plan_grow(g, count, gap_room(&t->gaps[gap]) / LAYOUT_ALIGN);
	count = 0;
	for (size_t i = 0; i < t->slot_count; i++)
		if (t->slots[i].gap == gap && t->slots[i].want->size.grow)
			t->slots[i].size_bytes = g[count++].got * LAYOUT_ALIGN;
}

static bool number_is_taken(const struct plan *p, size_t index, unsigned number)
{
	const struct pick *pick = &p->picks[index];

	for (size_t i = 0; !pick->new_table && i < pick->disk->part_count; i++)
		if (!pick->goes[i] && pick->disk->parts[i].number == number)
			return true;
	for (size_t i = 0; i < p->out->part_count; i++)
		if (p->out->parts[i].disk == index && p->out->parts[i].number == number)
			return true;
	return false;
}

/* "bedplate-data_disks": at most what a GPT holds. */
char *plan_label(const struct want_part *want)
{
	static const char *const labels[] = {
		"bedplate-bios", "bedplate-efi", "bedplate-boot", "bedplate-lvm", "bedplate-swap"};

	if (want->role < LAYOUT_DATA)
		return xstrdup(labels[want->role]);
	char *label = xasprintf("bedplate-%.27s", want->mount + 1);
	for (char *s = label; *s; s++)
		if (*s == '/')
			*s = '_';
	return label;
}

char *plan_fsoptions(const char *given, bool discard)
{
	autofree char *padded = xasprintf(",%s,", given ? given : "defaults");

	if (!discard || strstr(padded, ",discard,"))
		return xstrdup(given ? given : "defaults");
	return xasprintf("%s,discard", given && *given ? given : "defaults");
}

char *plan_part_fsoptions(const struct want_part *want)
{
	if (!want->fstype)
		return NULL;
	/* It has no owners: nobody but root looks at what starts the node. */
	if (want->role == LAYOUT_EFI && !want->fsoptions)
		return xstrdup("umask=0077,shortname=winnt");
	return plan_fsoptions(want->fsoptions, false);
}

static int add_part(struct plan *p, const struct slot *s, uint64_t start, struct err *e)
{
	struct layout *l = p->out;
	const char *disk = l->disks[s->pick].path;
	const struct want_part *want = s->want;
	unsigned number = 1;

	while (number <= GPT_ENTRIES && number_is_taken(p, s->pick, number))
		number++;
	if (number > GPT_ENTRIES)
		return err_set(e, ENOSPC, "%s has no place for another partition", disk);
	l->parts[l->part_count++] = (struct layout_part){
		.role = want->role,
		.disk = s->pick,
		.number = number,
		.start_bytes = start,
		.size_bytes = s->size_bytes,
		/* nvme0n1p1, mmcblk0p1, but vda1 */
		.path = xasprintf("%s%s%u", disk,
			isdigit((unsigned char)disk[strlen(disk) - 1]) ? "p" : "", number),
		.label = plan_label(want),
		.mount = want->mount ? xstrdup(want->mount) : NULL,
		.fstype = want->fstype ? xstrdup(want->fstype) : NULL,
		.fsoptions = plan_part_fsoptions(want),
	};
	return 0;
}

/* Slots are in order of growing or not, wants in the order of the kickstart. */
static const struct slot *slot_of(const struct table *t, const struct want_part *want)
{
	const struct slot *s = t->slots;

	while (s->want != want)
		s++;
	return s;
}

/* Gaps are in order of disk and place. */
static int write_parts(struct plan *p, const struct table *t, struct err *e)
{
	int r = 0;

	p->out->parts = xcalloc(t->slot_count + 1, sizeof(*p->out->parts));
	for (size_t i = 0; i < t->gap_count; i++) {
		uint64_t start = t->gaps[i].start;

		grow_gap(t, i);
		for (size_t w = 0; r == 0 && w < p->want.part_count; w++) {
			const struct slot *s = slot_of(t, &p->want.parts[w]);

			if (s->gap != i)
				continue;
			r = add_part(p, s, start, e);
			start += s->size_bytes;
		}
	}
	return r;
}

/* The disk of /boot and the like is the boot drive, unless bootloader says. */
static int follow_boot_parts(struct plan *p, struct err *e)
{
	const struct ks_cmd *c = ks_next(p->doc, "bootloader", NULL);

	if (c && (*ks_str(c, "boot-drive") || ks_list(c, "driveorder")->count > 0))
		return 0;
	for (size_t i = 0; i < p->want.part_count; i++) {
		const struct want_part *want = &p->want.parts[i];

		if (want->role <= LAYOUT_BOOT && want->disk)
			return plan_find_pick(p, want->cmd, want->disk, &p->out->boot_drive, e);
	}
	return 0;
}

static void add_automatic(struct plan *p)
{
	uint64_t least = LAYOUT_ALIGN;

	/* On one disk it is known how large the group must be. */
	if (p->pick_count == 1)
		least = plan_least_group(p) + LAYOUT_ALIGN;
	for (size_t i = 0; i < p->pick_count; i++)
		want_add_part(&p->want,
			&(struct want_part){.cmd = p->want.cmd,
				.role = LAYOUT_PV,
				.disk = p->picks[i].disk->path,
				.size = {.bytes = least, .grow = true}});
}

static int check_least(const struct plan *p, const struct layout_part *part, struct err *e)
{
	uint64_t least = 0;
	uint64_t sector = p->out->disks[part->disk].sector_bytes;

	if (part->role == LAYOUT_EFI)
		least = plan_round_up(ESP_MIN_CLUSTERS * sector, LAYOUT_ALIGN);
	/* Two layers of kernels, GRUB, and what ext4 and its reserve take. */
	if (part->role == LAYOUT_BOOT)
		least = plan_round_up(
			(2 * p->params->boot_bytes + 24 * MIB) / 9 * 10, LAYOUT_ALIGN);
	if (part->size_bytes >= least)
		return 0;
	autofree char *need = str_bytes(least);
	autofree char *has = str_bytes(part->size_bytes);
	autofree char *more = str_bytes(least - part->size_bytes);
	return err_set(e, ENOSPC, "%s (%s) is too small: needs %s, has %s, %s more", part->path,
		part->mount, need, has, more);
}

int plan_check_parts(const struct plan *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->out->part_count; i++)
		r = check_least(p, &p->out->parts[i], e);
	return r;
}

/* LVM would say so when the old content is gone already. */
static int check_sectors(const struct plan *p, struct err *e)
{
	const struct layout_disk *first = NULL;

	for (size_t i = 0; i < p->out->part_count; i++) {
		const struct layout_disk *d = &p->out->disks[p->out->parts[i].disk];

		if (p->out->parts[i].role != LAYOUT_PV)
			continue;
		if (!first)
			first = d;
		if (d->sector_bytes != first->sector_bytes)
			return err_set(e, EINVAL,
				"%s has sectors of %u bytes and %s of %u, which LVM does not take "
				"into one volume group: leave one of them out",
				first->path, first->sector_bytes, d->path, d->sector_bytes);
	}
	return 0;
}

int plan_parts(struct plan *p, struct err *e)
{
	autotable t = {0};
	int r = follow_boot_parts(p, e);

	if (r < 0)
		return r;
	if (p->want.automatic)
		add_automatic(p);
	find_gaps(p, &t);
	r = place_all(p, &t, e);
	if (r == 0)
		r = write_parts(p, &t, e);
	if (r == 0)
		r = check_sectors(p, e);
	return r == 0 ? plan_check_parts(p, e) : r;
}
