/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of the squashfs reader: image, metadata streams, inodes, data blocks. */
#pragma once

#include "fmt/squashfs-internal.h"

#define SQUASHFS_META_BYTES 8192
#define SQUASHFS_NO_TABLE   UINT64_MAX
#define SQUASHFS_NO_XATTR   UINT32_MAX

struct squashfs_super {
	uint32_t inodes, time, block_bytes, fragments;
	uint16_t compressor, ids;
	uint64_t root, used_bytes;
	uint64_t id_table, xattr_table, inode_table, folder_table, fragment_table;
};

struct squashfs_image; /* an open image and its caches; one thread at a time */

int squashfs_image_open(struct source *s, struct squashfs_image **out, struct err *e) MUST_CHECK;
void squashfs_image_free(struct squashfs_image *img);
DEFINE_AUTOPTR(squashfs_image, squashfs_image_free)
const struct squashfs_super *squashfs_image_super(const struct squashfs_image *img);

/* A place in a stream of metadata blocks. */
struct squashfs_cursor {
	uint64_t block; /* of the image */
	uint32_t off;   /* in the unpacked block */
};

/* -EBADMSG when a part is out of the image or damaged; *c moves on. */
int squashfs_meta_read(struct squashfs_image *img, struct squashfs_cursor *c, void *buf, size_t len,
	struct err *e) MUST_CHECK;
/* ref is as in the format: block << 16 | offset, from the start of a table. */
struct squashfs_cursor squashfs_cursor_at(uint64_t table, uint64_t ref);
/* Entry number i of a table that is reached through a list of its blocks. */
int squashfs_table_read(struct squashfs_image *img, uint64_t list, uint64_t i, size_t entry_bytes,
	void *out, struct err *e) MUST_CHECK;

/* Bytes that are not in a metadata block. */
int squashfs_plain_read(struct squashfs_image *img, uint64_t place, void *out, size_t len,
	struct err *e) MUST_CHECK;

/*
 * A data block of the image, unpacked, at most block_bytes long.  It stays valid until the next
 * call.
 */
int squashfs_data_read(struct squashfs_image *img, uint64_t place, uint32_t word,
	const uint8_t **data, uint32_t *len, struct err *e) MUST_CHECK;
/* Location and size word of fragment block i. */
int squashfs_fragment_find(struct squashfs_image *img, uint32_t i, uint64_t *place, uint32_t *word,
	struct err *e) MUST_CHECK;

struct squashfs_inode {
	uint32_t mode, uid, gid; /* with the type, as st_mode */
	int64_t mtime;
	uint32_t number, xattr;
	uint32_t device, target_bytes;
	/* Of a folder. */
	uint64_t listing_block;
	uint32_t listing_off, listing_bytes;
	/* Of a file. */
	uint64_t size_bytes, start;
	uint32_t fragment, fragment_off;
	/* Behind the fixed part: the block list of a file, the target of a link. */
	struct squashfs_cursor rest;
};

int squashfs_inode_read(struct squashfs_image *img, uint64_t ref, struct squashfs_inode *out,
	struct err *e) MUST_CHECK;

/*
 * Content of the regular file in.  The image must outlive it.  block_places() gives the list of
 * its data blocks: places[i] and places[i + 1] enclose block i, equal for a hole, with
 * SQUASHFS_PLACE_RAW set in places[i] for one that is not compressed.
 */
#define SQUASHFS_PLACE_RAW (1ULL << 63)
int squashfs_file_open(struct squashfs_image *img, const struct squashfs_inode *in,
	struct source **out, struct err *e) MUST_CHECK;
struct squashfs_file {
	struct source s;
	struct squashfs_image *img;
	uint64_t *places;
	uint64_t block_count; /* without a tail in a fragment */
	uint32_t fragment, fragment_off;
};
/* What s is, when squashfs_file_open() made it; otherwise NULL. */
struct squashfs_file *squashfs_file_of(struct source *s);
int squashfs_file_places(struct squashfs_image *img, const struct squashfs_inode *in,
	uint64_t **places, uint64_t *count, struct err *e) MUST_CHECK;

/* Attributes of id, appended to *out; *budget is what may still be allocated. */
int squashfs_xattrs_read(struct squashfs_image *img, uint32_t id, struct tree_entry *out,
	uint64_t *budget, struct err *e) MUST_CHECK;
