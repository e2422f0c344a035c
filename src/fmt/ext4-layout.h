/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts: where everything of an ext4 image lies.  Made for a tree that is to be written, or read
 * from an image.
 *
 * Each block group of EXT4_GROUP_BLOCKS keeps its own bitmaps and inode table at its front, behind
 * a room of constant size for group descriptors.  So nothing of it moves when an image grows by
 * more groups.
 */
#pragma once

#include <stdbool.h>

#include "fmt/ext4-dir.h"
#include "fmt/ext4-disk.h"
#include "fmt/ext4.h"

#define EXT4_GROUP_BLOCKS  32768
#define EXT4_INODE_BYTES   256
#define EXT4_FIRST_INODE   11
#define EXT4_FAST_LINK_MAX 60 /* a shorter target stands in the inode itself */
#define EXTENTS_IN_NODE    ((EXT4_BLOCK_BYTES - 12) / 12)
#define INODES_IN_BLOCK    (EXT4_BLOCK_BYTES / EXT4_INODE_BYTES)

struct ext4_geometry {
	uint32_t block_count;
	uint32_t inodes_per_group; /* 0: of an image that is not laid out like ours */
	uint32_t gdt_room;         /* blocks kept for group descriptors */
};

uint32_t ext4_group_count(const struct ext4_geometry *g);
/* Whether a group has a copy of the superblock and of the descriptors (sparse_super). */
bool ext4_group_has_super(uint32_t group);
/* The first block of a group's bitmaps; inode bitmap and inode table follow. */
uint32_t ext4_group_bitmap(const struct ext4_geometry *g, uint32_t group);
/* The first block behind a group's own. */
uint32_t ext4_group_data(const struct ext4_geometry *g, uint32_t group);

/* One inode: where its content and what belongs to it lies. */
struct ext4_place {
	uint32_t inode;
	bool is_folder;
	bool wants_xattr_block;
	uint32_t xattr_block;     /* 0: none */
	struct block_runs wanted; /* while planning: what has data, without a start */
	struct block_runs runs;   /* by logical block; what is not in it is a hole */
	uint32_t *nodes;          /* blocks of the extent tree */
	size_t node_count;
};

struct ext4_layout {
	struct ext4_geometry geo;
	struct ext4_place *places; /* by first path; by inode when read from an image */
	size_t place_count;
	char **paths;     /* in tree order */
	size_t *place_of; /* of each path */
	size_t path_count;
	uint64_t kept_blocks, new_blocks;
	bool discard; /* of an image: a default of its mounts */
};

void ext4_places_free(struct ext4_place *places, size_t count);

/* Progress of planning and writing: every byte of content is passed twice. */
struct ext4_work {
	struct progress *progress;
	uint64_t done;
};
int ext4_work_add(struct ext4_work *w, uint64_t bytes, struct err *e) MUST_CHECK;

/* Nodes that an extent tree over these runs needs beside the inode. */
size_t ext4_node_count(const struct block_runs *runs);

/*
 * Find for each place of l the one of prev at one of its paths; where there is none, at a path that
 * differs in its numbers only, as a new version of a kernel's modules or of a library has it.  old
 * has an element for each place of l, and keeps NULL where nothing is found.
 */
void ext4_match(
	const struct ext4_layout *l, const struct ext4_layout *prev, const struct ext4_place **old);

/* Decide on a place for everything.  Each entry of the tree has the path of the same index. */
int ext4_layout_make(struct tree *t, const struct dir_index *ix, const struct ext4_params *p,
	struct ext4_work *w, struct ext4_layout **out, struct err *e) MUST_CHECK;
