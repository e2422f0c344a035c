/* SPDX-License-Identifier: Apache-2.0 */
/*
 * squashfs 4.0: write an image from a tree or around one file, read an image as a tree.
 *
 * The writer compresses on several threads and gives the same bytes whatever their number.  It
 * needs a descriptor only: no mount, no loop device.  The reader takes any source, so it works on
 * an image inside an image, and trusts nothing in it.
 *
 * Format: the kernel's fs/squashfs/squashfs_fs.h and squashfs-tools-ng's doc/format.adoc.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/progress.h"
#include "base/tree.h"

#define SQUASHFS_BLOCK_DEFAULT_BYTES (128 * KIB)
#define SQUASHFS_ROOTFS_PATH         "LiveOS/rootfs.img"

enum squashfs_compressor { SQUASHFS_ZSTD, SQUASHFS_XZ, SQUASHFS_LZ4 };

/* "zstd", "xz", "lz4".  -EINVAL for any other name. */
int squashfs_compressor_parse(const char *name, enum squashfs_compressor *out, struct err *e)
	MUST_CHECK;
const char *squashfs_compressor_name(enum squashfs_compressor c);

struct squashfs_index; /* where in an image the block with a given content lies */
struct squashfs_reuse; /* an earlier image and its index: blocks to copy instead of compress */

/*
 * Blocks of squashfs_write_image()'s file that are, byte for byte, those of an earlier one: they are
 * copied as they are packed there, whatever packed them, and not looked at.
 */
struct squashfs_keep {
	struct source *image; /* the whole */
	struct source
		*file; /* the earlier one, out of squashfs_tree_open(); blocks of the same size */
	const uint8_t *same; /* one bit a block, the lowest first */
	uint64_t count;      /* of bits */
};

struct squashfs_params {
	enum squashfs_compressor compressor;
	int level;            /* zstd only, 1 to 22; 0: 15, as mksquashfs */
	uint32_t block_bytes; /* power of two, 4 KiB to 1 MiB; 0: the default */
	unsigned threads;     /* 0: one a CPU */
	int64_t time;         /* of the image, and of all in it with squashfs_write_image() */
	const struct squashfs_reuse *reuse; /* or NULL.  Never changes the bytes written */
	const struct squashfs_keep *keep;   /* or NULL.  squashfs_write_image() only */
};

struct squashfs_result {
	uint64_t image_bytes;
	uint64_t blocks;        /* data blocks that are not zero */
	uint64_t reused_blocks; /* of these, copied from the earlier image */
	uint64_t sparse_blocks;
	/* Attributes squashfs has no place for (ACLs), in files and in number; flat images only. */
	uint64_t lossy_files, lost_xattrs;
	struct squashfs_index *index; /* of this image, for squashfs_index_save() */
};

void squashfs_result_fini(struct squashfs_result *r);

/*
 * A live image: rootfs as LiveOS/rootfs.img, everything owned by root.  fd is an empty regular
 * file opened for reading and writing; the caller syncs it.  out starts zeroed and ends with
 * squashfs_result_fini().  -EINVAL: bad parameters, -EINTR, -ENOSPC and so on.
 */
int squashfs_write_image(struct source *rootfs, const struct squashfs_params *params, int fd,
	struct squashfs_result *out, struct progress *p, struct err *e) MUST_CHECK;

/* A flat image: the tree itself. */
int squashfs_write_tree(struct tree *t, const struct squashfs_params *params, int fd,
	struct squashfs_result *out, struct progress *p, struct err *e) MUST_CHECK;

/* What the superblock says. */
struct squashfs_info {
	const char *compressor; /* "zstd", "gzip", ... */
	uint32_t block_bytes;
	uint64_t used_bytes;
	int64_t time;
	uint32_t inodes;
};

/* -EBADMSG when it is no squashfs 4.0 image or is damaged. */
int squashfs_probe(struct source *image, struct squashfs_info *out, struct err *e) MUST_CHECK;

/*
 * Any squashfs 4.0 image as a tree.  image must outlive the tree.  The inode of an entry is its
 * place in the inode table plus one, so that hard links are told by what they are.
 */
int squashfs_tree_open(struct source *image, struct tree **out, struct err *e) MUST_CHECK;

/*
 * Where block i of a file out of squashfs_tree_open() lies in the image, packed; *len is 0 for a hole.
 * False: it has no such block.
 */
bool squashfs_block_at(struct source *file, uint64_t i, uint64_t *off, uint32_t *len, bool *packed);

#define SQUASHFS_STREAM_PIECE_BYTES (64 * KIB)

struct squashfs_stream_spec {
	unsigned threads; /* 0: one a CPU, and one that reads meanwhile */
	/*
	 * The next piece of data, on the thread of the caller; data lies at a multiple of 4096 and
	 * off is a multiple of SQUASHFS_STREAM_PIECE_BYTES.  What is left out is zero.
	 */
	int (*data)(void *ctx, const void *data, size_t len, uint64_t off, struct err *e);
	void *ctx;
};

/*
 * The content of a file out of squashfs_tree_open(), from start to end, unpacked on several threads.
 * The image must be a source that several threads may read (a file or memory).  Memory: at most
 * 24 MiB.  p, if any, advances to the bytes done.  -EBADMSG: damaged, the message names the block;
 * -EINVAL: not such a file.
 */
int squashfs_stream(struct source *file, const struct squashfs_stream_spec *spec,
	struct progress *p, struct err *e) MUST_CHECK;

/* Kept in a file beside or apart from the image.  -EBADMSG: damaged, or of another version. */
int squashfs_index_save(const struct squashfs_index *x, const char *path, struct err *e) MUST_CHECK;
int squashfs_index_load(const char *path, struct squashfs_index **out, struct err *e) MUST_CHECK;
void squashfs_index_free(struct squashfs_index *x);
DEFINE_AUTOPTR(squashfs_index, squashfs_index_free)

/*
 * Ready the blocks of old_image for reuse.  index is the one saved when it was written; NULL
 * builds one by unpacking the whole image once.  Both must outlive *out, and the image must be a
 * source that several threads may read (a file or memory).  A wrong or stale index
 * is harmless: each block is checked before it is copied.  An image whose compressor, level,
 * block size or compressing library differ from params is never used: the writer then compresses.
 */
int squashfs_reuse_load(struct source *old_image, const struct squashfs_index *index,
	struct squashfs_reuse **out, struct progress *p, struct err *e) MUST_CHECK;
void squashfs_reuse_free(struct squashfs_reuse *x);
DEFINE_AUTOPTR(squashfs_reuse, squashfs_reuse_free)
