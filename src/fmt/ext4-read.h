/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the reader, for making a layout of what it has read. */
#pragma once

#include "fmt/ext4-layout.h"

/* A tree of ext4_tree_open(): its file system and its places, sorted by inode. */
ext2_filsys ext4_tree_fs(struct tree *t);
struct ext4_place *ext4_tree_places(struct tree *t, size_t *count);
/* The place of an entry of it, as an index. */
size_t ext4_tree_place_of(struct tree *t, const struct tree_entry *en);
