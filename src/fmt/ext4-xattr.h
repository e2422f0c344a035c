/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes as they lie in an ext4 inode and in the block it may have for more.
 *
 * ACLs have another form on disk than in getxattr(2); both directions convert.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/tree.h"

#define XATTR_INODE_BYTES 96 /* what an inode of 256 bytes with 32 of its own extra has left */
#define XATTR_BLOCK_BYTES 4096

struct xattr_image {
	bool in_inode, in_block; /* whether the area below has anything in it */
	uint8_t inode[XATTR_INODE_BYTES];
	uint8_t block[XATTR_BLOCK_BYTES];
};

/* The attributes of en.  -E2BIG: they do not fit, -EINVAL: a name that ext4 has no place for. */
int xattr_encode(const struct tree_entry *en, struct xattr_image *out, struct err *e) MUST_CHECK;

/*
 * Append what is in an area of an inode (is_block false) or in a block to the attributes of en.
 * -EUCLEAN when it is damaged.
 */
int xattr_decode(const uint8_t *data, size_t len, bool is_block, struct tree_entry *en,
	struct err *e) MUST_CHECK;
/* Put them in the order that a tree has. */
void xattr_sort(struct tree_entry *en);
