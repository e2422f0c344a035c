/* SPDX-License-Identifier: Apache-2.0 */
/* How a layout is made: what has data, what stays where it was, where the rest goes. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "fmt/ext4-alloc.h"
#include "fmt/ext4-layout.h"
#include "fmt/ext4-xattr.h"

#define CHUNK_BYTES          MIB
#define DEFAULT_GDT_ROOM     8 /* descriptors of 128 GiB */
#define DESCRIPTORS_IN_BLOCK (EXT4_BLOCK_BYTES / 32)
#define DEFAULT_INODES       8192                   /* in a group, unless the content needs more */
#define MAX_INODES           (8 * EXT4_BLOCK_BYTES) /* of one bitmap block */
#define LAST_GROUP_MIN       64 /* free blocks; libext2fs drops a group with less than 50 */
#define RESERVED_INODES      10

struct plan {
	struct tree *tree;
	const struct dir_index *ix;
	const struct ext4_params *params;
	struct ext4_work *work;
	struct ext4_layout *l;
	const struct ext4_place **old; /* by place, NULL: there is none */
	uint8_t *buf;                  /* CHUNK_BYTES */
	struct block_alloc *alloc;
	uint8_t *inode_used; /* by number */
	uint32_t inode_limit, next_inode;
};

static bool is_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Note the blocks from start to end, both of the source, that are not all zeros. */
static int scan_range(struct plan *pl, struct source *s, uint64_t start, uint64_t end,
	struct block_runs *wanted, struct err *e)
{
	for (uint64_t off = start; off < end; off += CHUNK_BYTES) {
		size_t len = (size_t)MIN(CHUNK_BYTES, end - off);
		int r = source_read_at(s, pl->buf, len, off, e);

		if (r < 0)
			return r;
		for (size_t at = 0; at < len; at += EXT4_BLOCK_BYTES) {
			uint32_t logical = (uint32_t)((off + at) / EXT4_BLOCK_BYTES);

			if (!is_zero(pl->buf + at, MIN(EXT4_BLOCK_BYTES, len - at)))
				block_runs_add(wanted, (struct block_run){logical, 0, 1});
		}
		r = ext4_work_add(pl->work, len, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int scan_file(
	struct plan *pl, const struct tree_entry *en, struct block_runs *wanted, struct err *e)
{
	autoptr(source) s = NULL;
	uint64_t start, end, off = 0;
	int r;

	if (en->size_bytes == 0)
		return 0;
	if (en->size_bytes > (uint64_t)UINT32_MAX * EXT4_BLOCK_BYTES)
		return err_set(e, EFBIG, "'/%s': too large for ext4", en->path);
	r = tree_open(pl->tree, en, &s, e);
	if (r < 0)
		return r;
	if (s->size_bytes != en->size_bytes)
		return err_set(e, EIO, "'/%s': its size has changed", en->path);

	while (off < s->size_bytes) {
		r = source_next_data(s, off, &start, &end, e);
		if (r < 0)
			return err_wrap(e, r, "'/%s'", en->path);
		start = MAX(off, start / EXT4_BLOCK_BYTES * EXT4_BLOCK_BYTES);
		end = (end + EXT4_BLOCK_BYTES - 1) / EXT4_BLOCK_BYTES * EXT4_BLOCK_BYTES;
		end = MIN(end, s->size_bytes);
		if (start >= end)
			break;
		r = ext4_work_add(pl->work, start - off, e);
		if (r == 0)
			r = scan_range(pl, s, start, end, wanted, e);
		if (r < 0)
			return err_wrap(e, r, "'/%s'", en->path);
		off = end;
	}
	return ext4_work_add(pl->work, s->size_bytes - off, e);
}

/* What entry i, the first of its inode, needs. */
static int measure(struct plan *pl, size_t i, struct ext4_place *place, struct err *e)
{
	const struct tree_entry *en = &pl->tree->entries[i];
	struct xattr_image attributes;
	int r = xattr_encode(en, &attributes, e);

	if (r < 0)
		return err_wrap(e, r, "'/%s'", en->path);
	place->wants_xattr_block = attributes.in_block;
	place->is_folder = S_ISDIR(en->mode);
	if (S_ISREG(en->mode))
		return scan_file(pl, en, &place->wanted, e);
	if (S_ISDIR(en->mode))
		block_runs_add(
			&place->wanted, (struct block_run){0, 0, dir_block_count(pl->ix, i)});
	if (S_ISLNK(en->mode) && strlen(en->target) >= EXT4_BLOCK_BYTES)
		return err_set(e, ENAMETOOLONG, "'/%s': target too long", en->path);
	if (S_ISLNK(en->mode) && strlen(en->target) >= EXT4_FAST_LINK_MAX)
		block_runs_add(&place->wanted, (struct block_run){0, 0, 1});
	return 0;
}

static int measure_all(struct plan *pl, struct err *e)
{
	const struct tree *t = pl->tree;
	struct ext4_layout *l = pl->l;

	l->paths = xcalloc(t->count, sizeof(*l->paths));
	l->place_of = xcalloc(t->count, sizeof(*l->place_of));
	l->places = xcalloc(t->count, sizeof(*l->places));
	for (size_t i = 0; i < t->count; i++) {
		size_t first = t->entries[i].link_of;
		int r = 0;

		l->paths[l->path_count++] = xstrdup(t->entries[i].path);
		l->place_of[i] = first == i ? l->place_count++ : l->place_of[first];
		if (first == i)
			r = measure(pl, i, &l->places[l->place_of[i]], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t blocks_needed(const struct ext4_layout *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->place_count; i++) {
		const struct ext4_place *p = &l->places[i];

		/* A node for every 64 fragments is more than enough for any fragmentation. */
		n += block_runs_total(&p->wanted) + p->wanted.count / 64 + 1;
	}
	return n;
}

static uint32_t group_data_blocks(const struct ext4_geometry *g)
{
	return EXT4_GROUP_BLOCKS - ext4_group_data(g, 0);
}

/* The number of groups that surely hold all content, whatever stays in its old place. */
static uint64_t groups_needed(const struct plan *pl, const struct ext4_geometry *g)
{
	const struct ext4_layout *prev = pl->params->previous;
	uint64_t groups = blocks_needed(pl->l) / group_data_blocks(g) + 2;
	uint64_t inodes = pl->l->place_count + RESERVED_INODES;

	if (prev)
		groups += ext4_group_count(&prev->geo);
	return MAX(groups, inodes / g->inodes_per_group + 1);
}

/* A last group that could not even hold its own bitmaps and inodes is left out. */
static uint32_t without_stub(const struct ext4_geometry *g, uint64_t blocks)
{
	uint32_t group = (uint32_t)(blocks / EXT4_GROUP_BLOCKS);
	uint32_t rest = (uint32_t)(blocks % EXT4_GROUP_BLOCKS);
	uint32_t least = ext4_group_data(g, group) - group * EXT4_GROUP_BLOCKS + LAST_GROUP_MIN;

	return (uint32_t)(blocks - (rest < least ? rest : 0));
}

static int choose_geometry(struct plan *pl, uint64_t size_bytes, struct err *e)
{
	const struct ext4_layout *prev = pl->params->previous;
	struct ext4_geometry *g = &pl->l->geo;
	uint64_t inodes = pl->l->place_count + RESERVED_INODES;
	uint64_t blocks = size_bytes / EXT4_BLOCK_BYTES, groups;

	*g = (struct ext4_geometry){
		.inodes_per_group = DEFAULT_INODES, .gdt_room = DEFAULT_GDT_ROOM};
	groups = blocks_needed(pl->l) / group_data_blocks(g) + 1;
	if (prev && prev->geo.inodes_per_group != 0)
		*g = prev->geo;
	else
		while (g->inodes_per_group < MAX_INODES &&
			g->inodes_per_group * groups < inodes + inodes / 4)
			g->inodes_per_group *= 2;

	if (size_bytes == 0)
		blocks = groups_needed(pl, g) * EXT4_GROUP_BLOCKS;
	if (blocks > UINT32_MAX - EXT4_GROUP_BLOCKS)
		return err_set(e, EFBIG, "more than 16 TiB");
	groups = (blocks + EXT4_GROUP_BLOCKS - 1) / EXT4_GROUP_BLOCKS;
	while ((uint64_t)g->gdt_room * DESCRIPTORS_IN_BLOCK < groups)
		g->gdt_room *= 2;
	g->block_count = without_stub(g, blocks);
	if (groups * g->inodes_per_group > UINT32_MAX)
		return err_set(e, EFBIG, "more than 4 billion inodes");
	return 0;
}

static void reserve_metadata(struct plan *pl)
{
	const struct ext4_geometry *g = &pl->l->geo;

	for (uint32_t group = 0; group < ext4_group_count(g); group++) {
		uint32_t start = group * EXT4_GROUP_BLOCKS;

		block_alloc_reserve(pl->alloc, start, ext4_group_data(g, group) - start);
	}
}

static bool claim_inode(struct plan *pl, uint32_t inode)
{
	if (inode < EXT4_FIRST_INODE || inode > pl->inode_limit || pl->inode_used[inode])
		return false;
	pl->inode_used[inode] = 1;
	return true;
}

/* Give place what old has and is still to be had. */
static void keep_blocks(struct plan *pl, struct ext4_place *place, const struct ext4_place *old)
{
	size_t j = 0;

	for (size_t i = 0; i < place->wanted.count; i++) {
		const struct block_run *run = &place->wanted.items[i];

		for (uint32_t b = run->logical; b < run->logical + run->count; b++) {
			uint32_t start = 0;

			while (j < old->runs.count &&
				old->runs.items[j].logical + old->runs.items[j].count <= b)
				j++;
			if (j < old->runs.count && old->runs.items[j].logical <= b)
				start = old->runs.items[j].start + (b - old->runs.items[j].logical);
			if (start != 0 && !block_alloc_claim(pl->alloc, start))
				start = 0;
			pl->l->kept_blocks += start != 0;
			block_runs_add(&place->runs, (struct block_run){b, start, 1});
		}
	}
	if (place->wants_xattr_block && block_alloc_claim(pl->alloc, old->xattr_block))
		place->xattr_block = old->xattr_block;

	place->nodes = xcalloc(old->node_count + 1, sizeof(*place->nodes));
	for (size_t i = 0; i < old->node_count; i++)
		if (block_alloc_claim(pl->alloc, old->nodes[i]))
			place->nodes[place->node_count++] = old->nodes[i];
}

static void keep_all(struct plan *pl)
{
	for (size_t i = 0; i < pl->l->place_count; i++) {
		struct ext4_place *place = &pl->l->places[i];
		const struct ext4_place *old = pl->old[i];

		place->inode = i == 0 ? EXT2_ROOT_INO : 0;
		if (old && i > 0 && claim_inode(pl, old->inode))
			place->inode = old->inode;
		if (old) {
			keep_blocks(pl, place, old);
			continue;
		}
		for (size_t k = 0; k < place->wanted.count; k++)
			block_runs_add(&place->runs, place->wanted.items[k]);
	}
}

static int take_block(struct plan *pl, uint32_t *out)
{
	return block_alloc_take(pl->alloc, 1, 0, out) ? 0 : -ENOSPC;
}

/* Find room for one run and append it to out, in as many pieces as it takes. */
static int place_run(struct plan *pl, struct block_run run, struct block_runs *out)
{
	const struct block_run *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
	uint32_t hint = last ? last->start + last->count : 0;

	while (run.count > 0) {
		struct block_run part = {.logical = run.logical};

		part.count = block_alloc_take(pl->alloc, run.count, hint, &part.start);
		if (part.count == 0)
			return -ENOSPC;
		block_runs_add(out, part);
		hint = part.start + part.count;
		run.logical += part.count;
		run.count -= part.count;
	}
	return 0;
}

/* Find room for the runs of place that have none yet. */
static int place_runs(struct plan *pl, struct ext4_place *place)
{
	struct block_runs done = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < place->runs.count; i++) {
		const struct block_run *run = &place->runs.items[i];

		if (run->start != 0) {
			block_runs_add(&done, *run);
			continue;
		}
		pl->l->new_blocks += run->count;
		r = place_run(pl, *run, &done);
	}
	block_runs_fini(&place->runs);
	place->runs = done;
	return r;
}

static int place_rest(struct plan *pl, struct ext4_place *place)
{
	int r = place_runs(pl, place);
	size_t nodes = ext4_node_count(&place->runs);

	place->nodes = xrealloc(place->nodes, (nodes + 1) * sizeof(*place->nodes));
	place->node_count = MIN(place->node_count, nodes);
	while (r == 0 && place->node_count < nodes)
		r = take_block(pl, &place->nodes[place->node_count++]);
	if (r == 0 && place->wants_xattr_block && place->xattr_block == 0)
		r = take_block(pl, &place->xattr_block);
	if (r == 0 && place->inode == 0) {
		while (pl->next_inode <= pl->inode_limit && pl->inode_used[pl->next_inode])
			pl->next_inode++;
		if (pl->next_inode > pl->inode_limit)
			return -ENOSPC;
		place->inode = pl->next_inode++;
	}
	return r;
}

static void forget_places(struct plan *pl)
{
	for (size_t i = 0; i < pl->l->place_count; i++) {
		struct ext4_place *place = &pl->l->places[i];

		block_runs_fini(&place->runs);
		free(take_ptr(place->nodes));
		place->node_count = 0;
		place->xattr_block = 0;
	}
	pl->l->kept_blocks = pl->l->new_blocks = 0;
}

/* Drop what no file reaches from the end of a file system that may have any size. */
static void cut(struct ext4_layout *l)
{
	struct ext4_geometry *g = &l->geo;
	uint32_t last = 0, groups = 0;

	for (size_t i = 0; i < l->place_count; i++) {
		const struct ext4_place *p = &l->places[i];

		for (size_t k = 0; k < p->runs.count; k++)
			last = MAX(last, p->runs.items[k].start + p->runs.items[k].count - 1);
		for (size_t k = 0; k < p->node_count; k++)
			last = MAX(last, p->nodes[k]);
		last = MAX(last, p->xattr_block);
		groups = MAX(groups, (p->inode - 1) / g->inodes_per_group);
	}
	groups = MAX(groups, last / EXT4_GROUP_BLOCKS);
	g->block_count = MAX(last + 1, ext4_group_data(g, groups) + LAST_GROUP_MIN);
}

/* The highest inode number worth looking at: behind all old ones there is one for each new. */
static uint32_t inode_limit(const struct plan *pl)
{
	const struct ext4_geometry *g = &pl->l->geo;
	uint64_t limit = pl->l->place_count + RESERVED_INODES;
	uint32_t last = 0;

	for (size_t i = 0; i < pl->l->place_count; i++)
		last = MAX(last, pl->old[i] ? pl->old[i]->inode : 0);
	return (uint32_t)MIN(limit + last, (uint64_t)ext4_group_count(g) * g->inodes_per_group);
}

/*
 * Folders come before files: who walks a tree, in a cold cache or through a compressed image, then
 * reads one stretch instead of a bit of everything.
 */
static int place_new(struct plan *pl)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pl->l->place_count; i++)
		if (pl->l->places[i].is_folder)
			r = place_rest(pl, &pl->l->places[i]);
	for (size_t i = 0; r == 0 && i < pl->l->place_count; i++)
		if (!pl->l->places[i].is_folder)
			r = place_rest(pl, &pl->l->places[i]);
	return r;
}

/* One attempt, within size_bytes or, when that is 0, without a limit. */
static int place_all(struct plan *pl, uint64_t size_bytes, struct err *e)
{
	const struct ext4_geometry *g = &pl->l->geo;
	autoptr(block_alloc) alloc = NULL;
	autofree uint8_t *inode_used = NULL;
	int r = choose_geometry(pl, size_bytes, e);

	if (r < 0)
		return r;
	forget_places(pl);
	pl->alloc = alloc = block_alloc_new(g->block_count);
	pl->inode_limit = inode_limit(pl);
	pl->inode_used = inode_used = xcalloc(pl->inode_limit + 1, 1);
	pl->next_inode = EXT4_FIRST_INODE;
	reserve_metadata(pl);
	keep_all(pl);
	r = place_new(pl);
	if (r < 0)
		return err_set(e, -r, "the file system is too small");
	if (size_bytes == 0)
		cut(pl->l);
	return 0;
}

static int explain_no_space(struct plan *pl, struct err *e)
{
	uint64_t have = pl->params->size_bytes, need;
	int r = place_all(pl, 0, e);

	if (r < 0)
		return r;
	need = (uint64_t)pl->l->geo.block_count * EXT4_BLOCK_BYTES;
	return err_set(e, ENOSPC,
		"a file system of %" PRIu64 " MiB is too small, the content needs %" PRIu64 " MiB",
		(uint64_t)(have / MIB), (uint64_t)((need + MIB - 1) / MIB));
}

int ext4_layout_make(struct tree *t, const struct dir_index *ix, const struct ext4_params *p,
	struct ext4_work *w, struct ext4_layout **out, struct err *e)
{
	autoptr(ext4_layout) l = xcalloc(1, sizeof(*l));
	autofree uint8_t *buf = xcalloc(1, CHUNK_BYTES);
	struct plan pl = {.tree = t, .ix = ix, .params = p, .work = w, .l = l, .buf = buf};
	int r = measure_all(&pl, e);

	if (r < 0)
		return r;
	autofree const struct ext4_place **old = xcalloc(l->place_count, sizeof(*old));
	pl.old = old;
	if (p->previous)
		ext4_match(l, p->previous, old);
	r = place_all(&pl, p->size_bytes, e);
	if (r == -ENOSPC && p->size_bytes != 0)
		return explain_no_space(&pl, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->place_count; i++)
		block_runs_fini(&l->places[i].wanted);
	*out = take_ptr(l);
	return 0;
}
