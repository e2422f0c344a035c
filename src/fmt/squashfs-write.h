/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the squashfs writer: data blocks, and the metadata that describes them. */
#pragma once

#include <sqfs/frag_table.h>

#include "fmt/squashfs-internal.h"

/* Where the content of a regular file went. */
struct squashfs_content {
	uint64_t start, sparse_bytes;
	uint32_t *words;
	size_t block_count;
	uint32_t fragment, fragment_off;
};

struct squashfs_out {
	sqfs_file_t file; /* first: libsquashfs hands this back */
	int fd;
	uint64_t pos; /* end of what is written */
	struct err e; /* of the last failed write */
};

/* As squashfs_error(), with the reason when it was a write of ours. */
int squashfs_out_error(const struct squashfs_out *o, struct err *e, int code, const char *what)
	MUST_CHECK;

struct squashfs_meta {
	const struct tree *tree;
	const struct squashfs_content *content; /* by index of the tree entry */
	sqfs_frag_table_t *fragments;
	struct squashfs_out *out;
	sqfs_compressor_t *cmp;
	sqfs_super_t *super;
	struct squashfs_result *result; /* counts what is lost */
};

/* Everything behind the data, and the fields of the superblock that say where it is. */
int squashfs_write_meta(const struct squashfs_meta *m, struct err *e) MUST_CHECK;
