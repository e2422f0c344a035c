/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read the block maps of inodes, extents or the older lists of blocks, from images that may be
 * damaged on purpose.
 */
#pragma once

#include "fmt/ext4-disk.h"
#include "fmt/ext4-layout.h"

/*
 * Together all maps of an image can not have more than its blocks: whoever has more shares blocks
 * or goes in circles.
 */
struct ext4_map_budget {
	uint64_t blocks; /* of content */
	uint64_t nodes;  /* that map others */
};

/* Fill p->runs and p->nodes.  -EUCLEAN when the map is damaged. */
int ext4_map_read(ext2_filsys fs, const struct ext2_inode *inode, struct ext4_map_budget *budget,
	struct ext4_place *p, struct err *e) MUST_CHECK;
