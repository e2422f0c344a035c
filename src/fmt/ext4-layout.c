/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-layout.h"

#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/ext4-read.h"

void ext4_places_free(struct ext4_place *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		block_runs_fini(&places[i].wanted);
		block_runs_fini(&places[i].runs);
		free(places[i].nodes);
	}
	free(places);
}

void ext4_layout_free(struct ext4_layout *l)
{
	if (!l)
		return;
	ext4_places_free(l->places, l->place_count);
	for (size_t i = 0; i < l->path_count; i++)
		free(l->paths[i]);
	free(l->paths);
	free(l->place_of);
	free(l);
}

uint32_t ext4_group_count(const struct ext4_geometry *g)
{
	return (g->block_count + EXT4_GROUP_BLOCKS - 1) / EXT4_GROUP_BLOCKS;
}

static bool is_power_of(uint32_t n, uint32_t base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

bool ext4_group_has_super(uint32_t group)
{
	return group <= 1 || is_power_of(group, 3) || is_power_of(group, 5) ||
		is_power_of(group, 7);
}

uint32_t ext4_group_bitmap(const struct ext4_geometry *g, uint32_t group)
{
	uint32_t start = group * EXT4_GROUP_BLOCKS;

	return ext4_group_has_super(group) ? start + 1 + g->gdt_room : start;
}

uint32_t ext4_group_data(const struct ext4_geometry *g, uint32_t group)
{
	return ext4_group_bitmap(g, group) + 2 + g->inodes_per_group / INODES_IN_BLOCK;
}

int ext4_work_add(struct ext4_work *w, uint64_t bytes, struct err *e)
{
	w->done += bytes;
	return progress_advance(w->progress, w->done, e);
}

size_t ext4_node_count(const struct block_runs *runs)
{
	size_t level = 0, nodes = 0;

	for (size_t i = 0; i < runs->count; i++)
		level += (runs->items[i].count + EXTENT_MAX_BLOCKS - 1) / EXTENT_MAX_BLOCKS;
	while (level > EXTENTS_IN_INODE) {
		level = (level + EXTENTS_IN_NODE - 1) / EXTENTS_IN_NODE;
		nodes += level;
	}
	return nodes;
}

/* Position of path in l->paths, or l->path_count. */
static size_t find_path(const struct ext4_layout *l, const char *path)
{
	size_t low = 0, high = l->path_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = tree_path_compare(l->paths[mid], path);

		if (order == 0)
			return mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return l->path_count;
}

/* How many blocks of b have the same start in a. */
static uint64_t count_in_place(const struct block_runs *a, const struct block_runs *b)
{
	uint64_t same = 0;
	size_t i = 0, j = 0;

	while (i < a->count && j < b->count) {
		const struct block_run *x = &a->items[i], *y = &b->items[j];
		uint32_t from = MAX(x->logical, y->logical);
		uint32_t to = MIN(x->logical + x->count, y->logical + y->count);

		if (from < to && x->start + (from - x->logical) == y->start + (from - y->logical))
			same += to - from;
		if (x->logical + x->count <= y->logical + y->count)
			i++;
		else
			j++;
	}
	return same;
}

struct ext4_overlap ext4_layout_compare(const struct ext4_layout *a, const struct ext4_layout *b)
{
	autofree bool *seen = xcalloc(b->place_count + 1, sizeof(*seen));
	struct ext4_overlap o = {0};

	for (size_t i = 0; i < b->path_count; i++) {
		size_t k = find_path(a, b->paths[i]);

		if (k == a->path_count || seen[b->place_of[i]])
			continue;
		seen[b->place_of[i]] = true;
		const struct block_runs *runs = &b->places[b->place_of[i]].runs;
		o.blocks += block_runs_total(runs);
		o.in_place += count_in_place(&a->places[a->place_of[k]].runs, runs);
	}
	return o;
}

bool ext4_layout_same_place(
	const struct ext4_layout *a, const struct ext4_layout *b, const char *path)
{
	size_t i = find_path(a, path), k = find_path(b, path);

	if (i == a->path_count || k == b->path_count)
		return false;
	const struct ext4_place *x = &a->places[a->place_of[i]];
	const struct ext4_place *y = &b->places[b->place_of[k]];

	return x->inode == y->inode && x->runs.count == y->runs.count &&
		(x->runs.count == 0 ||
			memcmp(x->runs.items, y->runs.items,
				x->runs.count * sizeof(*x->runs.items)) == 0);
}

int ext4_layout_plan(
	struct tree *t, const struct ext4_params *p, struct ext4_layout **out, struct err *e)
{
	autoptr(dir_index) ix = NULL;
	struct ext4_work work = {0};
	int r = dir_index_new(t, &ix, e);

	return r < 0 ? r : ext4_layout_make(t, ix, p, &work, out, e);
}

/* The geometry of an image, when it is laid out as ext4-layout.h says. */
static struct ext4_geometry geometry_of(ext2_filsys fs)
{
	const struct ext2_super_block *sb = fs->super;
	struct ext4_geometry g = {.block_count = sb->s_blocks_count};
	uint64_t room = ext2fs_block_bitmap_loc(fs, 0) - 1;
	struct ext4_geometry ours = {sb->s_blocks_count, sb->s_inodes_per_group, (uint32_t)room};

	if (sb->s_blocks_per_group != EXT4_GROUP_BLOCKS ||
		EXT2_INODE_SIZE(sb) != EXT4_INODE_BYTES ||
		sb->s_inodes_per_group % INODES_IN_BLOCK != 0 || sb->s_inodes_per_group == 0 ||
		sb->s_inodes_per_group > 8 * EXT4_BLOCK_BYTES || room == 0 ||
		room >= EXT4_GROUP_BLOCKS / 2)
		return g;
	for (uint32_t group = 0; group < fs->group_desc_count; group++) {
		uint32_t bitmap = ext4_group_bitmap(&ours, group);

		if (ext2fs_block_bitmap_loc(fs, group) != bitmap ||
			ext2fs_inode_bitmap_loc(fs, group) != bitmap + 1 ||
			ext2fs_inode_table_loc(fs, group) != bitmap + 2)
			return g;
	}
	return ours;
}

bool ext4_layout_discard(const struct ext4_layout *l)
{
	return l->discard;
}

int ext4_layout_load(struct source *image, struct ext4_layout **out, struct err *e)
{
	autoptr(ext4_layout) l = NULL;
	autoptr(tree) t = NULL;
	struct ext4_place *places;
	int r = ext4_tree_open(image, &t, e);

	if (r < 0)
		return r;
	if (ext4_tree_fs(t)->blocksize != EXT4_BLOCK_BYTES)
		return err_set(e, ENOTSUP, "its blocks are not of %d bytes", EXT4_BLOCK_BYTES);

	l = xcalloc(1, sizeof(*l));
	l->geo = geometry_of(ext4_tree_fs(t));
	l->discard = ext4_tree_fs(t)->super->s_default_mount_opts & EXT4_DEFM_DISCARD;
	l->paths = xcalloc(t->count, sizeof(*l->paths));
	l->place_of = xcalloc(t->count, sizeof(*l->place_of));
	for (size_t i = 0; i < t->count; i++) {
		l->paths[l->path_count++] = take_ptr(t->entries[i].path);
		l->place_of[i] = ext4_tree_place_of(t, &t->entries[i]);
	}
	/* What is taken out of them here the tree no longer frees. */
	places = ext4_tree_places(t, &l->place_count);
	l->places = xmemdup(places, l->place_count * sizeof(*places));
	memset(places, 0, l->place_count * sizeof(*places));
	*out = take_ptr(l);
	return 0;
}
