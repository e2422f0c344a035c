/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-map.h"

#include <string.h>

#include "base/xalloc.h"

#define DIRECT_BLOCKS 12
#define POINTER_BYTES 4

struct map {
	ext2_filsys fs;
	struct ext4_io *io;
	struct ext4_map_budget *budget;
	struct ext4_place *place;
	uint64_t next;  /* the lowest logical block that may come next */
	uint64_t limit; /* behind the last logical block */
	/* Nodes found, by depth: 0 maps content. */
	struct node_list {
		uint32_t *items;
		size_t count, room;
	} nodes[EXTENT_MAX_DEPTH];
};

static int damaged(const struct map *m, const char *what, struct err *e)
{
	return err_set(e, EUCLEAN, "inode %u: %s", m->place->inode, what);
}

static bool is_inside(const struct map *m, uint64_t start, uint64_t count)
{
	uint64_t first = m->fs->super->s_first_data_block;
	uint64_t end = ext2fs_blocks_count(m->fs->super);

	return start > first && start < end && count <= end - start;
}

static int read_node(struct map *m, uint64_t block, unsigned depth, uint8_t *out, struct err *e)
{
	struct node_list *l = &m->nodes[depth];
	errcode_t code;

	if (!is_inside(m, block, 1))
		return damaged(m, "its map lies outside the file system", e);
	if (m->budget->nodes == 0)
		return damaged(m, "more maps than blocks", e);
	m->budget->nodes--;
	if (l->count == l->room) {
		l->room = MAX(1, 2 * l->room);
		l->items = xrealloc(l->items, l->room * sizeof(*l->items));
	}
	l->items[l->count++] = (uint32_t)block;

	code = io_channel_read_blk64(m->fs->io, block, 1, out);
	return code ? ext4_io_error(m->io, code, "reading a map", e) : 0;
}

static int add_run(struct map *m, uint64_t logical, uint64_t start, uint64_t count, struct err *e)
{
	if (!is_inside(m, start, count))
		return damaged(m, "its blocks lie outside the file system", e);
	if (count > m->budget->blocks)
		return damaged(m, "files have more blocks than there are", e);
	m->budget->blocks -= count;
	/* What lies behind the end of the file may be there, but nobody sees it. */
	if (logical < m->limit)
		block_runs_add(&m->place->runs,
			(struct block_run){(uint32_t)logical, (uint32_t)start,
				(uint32_t)MIN(count, m->limit - logical)});
	return 0;
}

static int read_extent(struct map *m, const struct disk_extent *x, struct err *e)
{
	uint64_t start = (uint64_t)le16_get(x->start_hi) << 32 | le32_get(x->start_lo);
	uint32_t logical = le32_get(x->logical), count = le16_get(x->count);
	bool written = count <= EXTENT_MAX_BLOCKS;

	if (!written)
		count -= EXTENT_MAX_BLOCKS;
	if (count == 0 || logical < m->next)
		return damaged(m, "its extents are not in order", e);
	m->next = (uint64_t)logical + count;
	return written ? add_run(m, logical, start, count, e) : 0;
}

/* Calls itself once for each level, of which there are at most EXTENT_MAX_DEPTH. */
static int read_extents(
	struct map *m, const uint8_t *data, size_t len, unsigned depth, struct err *e)
{
	size_t block_bytes = m->fs->blocksize;
	struct disk_extent_header h;
	autofree uint8_t *below = NULL;
	int r = 0;

	memcpy(&h, data, sizeof(h));
	if (le16_get(h.magic) != EXTENT_MAGIC || le16_get(h.depth) != depth ||
		le16_get(h.entries) > len / sizeof(struct disk_extent) - 1)
		return damaged(m, "bad extent header", e);
	if (depth > 0)
		below = xcalloc(1, block_bytes);
	for (size_t i = 1; r == 0 && i <= le16_get(h.entries); i++) {
		struct disk_extent_index x;

		if (depth == 0) {
			struct disk_extent extent;

			memcpy(&extent, data + i * sizeof(extent), sizeof(extent));
			r = read_extent(m, &extent, e);
			continue;
		}
		memcpy(&x, data + i * sizeof(x), sizeof(x));
		r = read_node(m, (uint64_t)le16_get(x.node_hi) << 32 | le32_get(x.node_lo),
			depth - 1, below, e);
		if (r == 0)
			r = read_extents(m, below, block_bytes, depth - 1, e);
	}
	return r;
}

/* A block of pointers to content (depth 0) or to further such blocks: three levels at most. */
static int read_pointers(struct map *m, uint64_t block, unsigned depth, struct err *e)
{
	size_t block_bytes = m->fs->blocksize, count = block_bytes / POINTER_BYTES;
	autofree uint8_t *data = NULL;
	uint64_t span = 1;
	int r = 0;

	for (unsigned i = 0; i < depth; i++)
		span *= count;
	if (block == 0 || m->next >= m->limit) {
		m->next += span * count;
		return 0;
	}
	data = xcalloc(1, block_bytes);
	r = read_node(m, block, depth, data, e);
	for (size_t i = 0; r == 0 && i < count && m->next < m->limit; i++) {
		le32 pointer;

		memcpy(&pointer, data + i * POINTER_BYTES, sizeof(pointer));
		if (depth > 0) {
			r = read_pointers(m, le32_get(pointer), depth - 1, e);
			continue;
		}
		if (le32_get(pointer) != 0)
			r = add_run(m, m->next, le32_get(pointer), 1, e);
		m->next++;
	}
	return r;
}

static int read_block_list(struct map *m, const struct ext2_inode *inode, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < DIRECT_BLOCKS; i++, m->next++)
		if (inode->i_block[i] != 0)
			r = add_run(m, i, inode->i_block[i], 1, e);
	for (unsigned depth = 0; r == 0 && depth < 3; depth++)
		r = read_pointers(m, inode->i_block[DIRECT_BLOCKS + depth], depth, e);
	return r;
}

/* Hand the nodes over in the order in which the writer takes them: level by level, leaves first. */
static void take_nodes(struct map *m)
{
	struct ext4_place *p = m->place;
	size_t count = 0;

	for (unsigned depth = 0; depth < EXTENT_MAX_DEPTH; depth++)
		count += m->nodes[depth].count;
	if (count > 0)
		p->nodes = xcalloc(count, sizeof(*p->nodes));
	for (unsigned depth = 0; depth < EXTENT_MAX_DEPTH; depth++) {
		struct node_list *l = &m->nodes[depth];

		for (size_t i = 0; i < l->count; i++)
			p->nodes[p->node_count++] = l->items[i];
		free(l->items);
	}
}

static int read_map(struct map *m, const struct ext2_inode *inode, struct err *e)
{
	struct disk_extent_header h;

	if (m->limit > UINT32_MAX)
		return damaged(m, "too large", e);
	if (!(inode->i_flags & EXT4_EXTENTS_FL))
		return read_block_list(m, inode, e);
	memcpy(&h, inode->i_block, sizeof(h));
	if (le16_get(h.depth) > EXTENT_MAX_DEPTH)
		return damaged(m, "extent tree too deep", e);
	return read_extents(
		m, (const uint8_t *)inode->i_block, sizeof(inode->i_block), le16_get(h.depth), e);
}

int ext4_map_read(ext2_filsys fs, const struct ext2_inode *inode, struct ext4_map_budget *budget,
	struct ext4_place *p, struct err *e)
{
	uint64_t size = EXT2_I_SIZE(inode);
	struct map m = {
		.fs = fs,
		.io = fs->io->private_data,
		.budget = budget,
		.place = p,
		.limit = size / fs->blocksize + (size % fs->blocksize != 0),
	};
	int r = read_map(&m, inode, e);

	take_nodes(&m);
	return r;
}
