/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4 images: written straight from a tree, read as a tree, without a mount or a loop device.
 *
 * The writer makes what suits a read-only base: 4096-byte blocks, extents, no journal and no
 * metadata checksums (they depend on the UUID, so that a new UUID would change every inode;
 * dm-verity does their work).  Its output depends on its arguments alone.  With the layout of a
 * previous image, a path that exists in both keeps its inode and, block by block, its place, so
 * that two images differ only where their files do; a path that is new takes over from a vanished
 * one that differs in its numbers only.
 *
 * The reader takes any image of the ext2/3/4 family that needs no recovery, and trusts nothing in
 * it.  Format: Linux kernel, Documentation/filesystems/ext4/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/progress.h"
#include "base/tree.h"

#define EXT4_BLOCK_BYTES     4096
#define EXT4_LABEL_MAX_BYTES 16

struct ext4_layout; /* where each path of an image has its inode and blocks */

struct ext4_params {
	uint8_t uuid[16], hash_seed[16];
	const char *label;                  /* at most EXT4_LABEL_MAX_BYTES, or NULL */
	uint64_t size_bytes;                /* of the file system; 0: the content and some room */
	bool discard;                       /* it is mounted with discard by default */
	int64_t time;                       /* of the superblock; no file is younger */
	const struct ext4_layout *previous; /* or NULL */
};

struct ext4_result {
	uint64_t size_bytes;  /* of the file system and the file */
	uint64_t used_bytes;  /* of it, metadata included */
	uint64_t kept_blocks; /* of files and folders, where the previous layout has them */
	uint64_t new_blocks;  /* the rest of them */
	uint64_t inodes;      /* in use, the reserved ones not counted */
};

/*
 * Write t as an ext4 file system into fd, an empty regular file open for reading and writing.
 * Progress: a stage of its own, "rootfs", in bytes of file content.  -ENOSPC: p->size_bytes is too
 * small, the message names the size needed.
 */
int ext4_write(struct tree *t, const struct ext4_params *p, int fd, struct ext4_result *out,
	struct progress *progress, struct err *e) MUST_CHECK;

/* The layout of an existing image.  -ENOTSUP when its blocks are not of EXT4_BLOCK_BYTES. */
int ext4_layout_load(struct source *image, struct ext4_layout **out, struct err *e) MUST_CHECK;
/*
 * The layout that ext4_write() would give t.  Nothing is written; files are read for their blocks
 * of zeros, which become holes.
 */
int ext4_layout_plan(struct tree *t, const struct ext4_params *p, struct ext4_layout **out,
	struct err *e) MUST_CHECK;
/* Whether the image it was loaded from is mounted with discard by default. */
bool ext4_layout_discard(const struct ext4_layout *l);
void ext4_layout_free(struct ext4_layout *l);
DEFINE_AUTOPTR(ext4_layout, ext4_layout_free)

/*
 * How much of image b is where image a has it, for files with a path in both: blocks counts the
 * blocks of such files in b, in_place those of them at the same place in a.  Content is not
 * compared.
 */
struct ext4_overlap {
	uint64_t blocks, in_place;
};
struct ext4_overlap ext4_layout_compare(const struct ext4_layout *a, const struct ext4_layout *b);

/* Whether path has the same inode and all its blocks at the same place in both. */
bool ext4_layout_same_place(
	const struct ext4_layout *a, const struct ext4_layout *b, const char *path);

/*
 * The tree of an image, which stays the caller's and must outlive it.  Files read through
 * tree_open() know their holes.  -EINVAL: not such a file system, -EUCLEAN: a damaged one,
 * -ENOTSUP: a feature that this reader does not know.
 */
int ext4_tree_open(struct source *image, struct tree **out, struct err *e) MUST_CHECK;

/* The size that the superblock tells, which is where a dm-verity hash area may follow. */
int ext4_size(struct source *image, uint64_t *size_bytes, struct err *e) MUST_CHECK;
