/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-layout.h"

#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"

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
