/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of an ext4 image: who is in which, and the blocks that list them.
 *
 * Lists are linear, in tree order, after "." and "..": small, the same for the same names, and
 * made in one go however many names there are.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"

struct dir_index {
	const struct tree *tree;
	/* By entry, as indexes into the tree.  0 stands for "none", as the root is in no folder. */
	size_t *parent, *first, *next;
	size_t *folders; /* how many folders are in it */
	size_t *names;   /* how many names its inode has; by the first of them */
};

/* -EINVAL when the entries do not make a tree. */
int dir_index_new(const struct tree *t, struct dir_index **out, struct err *e) MUST_CHECK;
void dir_index_free(struct dir_index *ix);
DEFINE_AUTOPTR(dir_index, dir_index_free)

/* Blocks that the list of folder entry i takes. */
uint32_t dir_block_count(const struct dir_index *ix, size_t i);
/* Fill them.  inodes has the inode number of each entry of the tree. */
void dir_fill(const struct dir_index *ix, size_t i, const uint32_t *inodes, uint8_t *blocks);
