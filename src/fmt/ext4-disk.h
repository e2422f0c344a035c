/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the ext4 code share: structures on disk and libext2fs over our own I/O.
 *
 * libext2fs keeps superblock, group descriptors, bitmaps and inodes; extents, folders and extended
 * attributes are ours, because the library neither lets us choose their places nor reads them from
 * hostile images within bounds.  Format: Linux kernel, Documentation/filesystems/ext4/.
 */
#pragma once

#include <stdbool.h>

#include <ext2fs/ext2fs.h>

#include "base/endian.h"
#include "base/err.h"
#include "base/io.h"

#define EXTENT_MAGIC      0xf30a
#define EXTENT_MAX_BLOCKS 32768 /* longer means "not initialised" */
#define EXTENT_MAX_DEPTH  5
#define EXTENTS_IN_INODE  4

struct disk_extent_header {
	le16 magic;
	le16 entries;
	le16 max;
	le16 depth; /* 0: extents follow, else index entries */
	le32 generation;
};
static_assert(sizeof(struct disk_extent_header) == 12, "extent header");

struct disk_extent {
	le32 logical;
	le16 count;
	le16 start_hi;
	le32 start_lo;
};
static_assert(sizeof(struct disk_extent) == 12, "extent");

struct disk_extent_index {
	le32 logical;
	le32 node_lo;
	le16 node_hi;
	le16 unused;
};
static_assert(sizeof(struct disk_extent_index) == 12, "extent index entry");

struct disk_dirent {
	le32 inode;
	le16 entry_bytes; /* to the next one */
	uint8_t name_len;
	uint8_t type; /* EXT2_FT_* */
};
static_assert(sizeof(struct disk_dirent) == 8, "folder entry");

#define XATTR_MAGIC 0xea020000

struct disk_xattr_header { /* of an attribute block; in an inode there is only the magic */
	le32 magic;
	le32 refcount;
	le32 blocks;
	le32 hash;
	le32 checksum;
	le32 reserved[3];
};
static_assert(sizeof(struct disk_xattr_header) == 32, "attribute header");

struct disk_xattr_entry {
	uint8_t name_len;
	uint8_t name_index;
	le16 value_offset; /* from the block, or from the first entry in an inode */
	le32 value_inode;
	le32 value_bytes;
	le32 hash;
};
static_assert(sizeof(struct disk_xattr_entry) == 16, "attribute entry");

/* A stretch of a file and where it lies.  A start of 0 means "nowhere yet". */
struct block_run {
	uint32_t logical, start, count; /* in blocks */
};

/* A growing list of them. */
struct block_runs {
	struct block_run *items;
	size_t count, room;
};

void block_runs_fini(struct block_runs *l);
/* Append, joining it to the last one where it continues that. */
void block_runs_add(struct block_runs *l, struct block_run run);
uint64_t block_runs_total(const struct block_runs *l);

/* Where libext2fs reads and writes. */
struct ext4_io {
	struct source *source; /* read when set, and nothing is written */
	int fd;
	struct err err; /* the first that its callbacks met */
};

/* The name of io for ext2fs_open() and ext2fs_initialize(), beside ext4_io_manager. */
#define EXT4_IO_NAME_BYTES (2 * sizeof(void *) + 1)
void ext4_io_name(struct ext4_io *io, char out[EXT4_IO_NAME_BYTES]);
extern io_manager ext4_io_manager;

/* *e from an error of libext2fs, or from what io met.  Negative errno. */
int ext4_io_error(struct ext4_io *io, errcode_t code, const char *what, struct err *e);
