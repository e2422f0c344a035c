/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward error correction data of dm-verity: Reed-Solomon parity over data and hash tree.
 *
 * The bytes are those that libcryptsetup makes, which takes about thirty times as long.  Format:
 * Linux kernel, drivers/md/dm-verity-fec.c: code words of 255 bytes over GF(256) with the
 * polynomial 0x11d, first root 0; the bytes of one code word lie as far apart as possible.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"

#define FEC_BLOCK_BYTES 4096
#define FEC_ROOTS_MIN   2
#define FEC_ROOTS_MAX   24

/*
 * Write parity of the first data_bytes and of tree_bytes from tree_offset, both whole blocks, to
 * fec_offset.  *fec_bytes is how much that is.
 */
struct fec_areas {
	uint64_t data_bytes;
	uint64_t tree_offset, tree_bytes;
	uint64_t fec_offset;
	unsigned roots;
};
int fec_append(int fd, const struct fec_areas *a, uint64_t *fec_bytes, struct err *e) MUST_CHECK;

/* Of so many blocks of data and tree. */
uint64_t fec_bytes(uint64_t blocks, unsigned roots);

/* Parity of an earlier image with as many blocks, at offset, changed block by block. */
struct fec_update;
int fec_update_new(struct source *before, uint64_t offset, uint64_t blocks, unsigned roots,
	struct fec_update **out, struct err *e) MUST_CHECK;
void fec_update_free(struct fec_update *u);
DEFINE_AUTOPTR(fec_update, fec_update_free)
/* Block index, counted through data and tree, was before and is now. */
void fec_update_add(
	struct fec_update *u, uint64_t index, const uint8_t *before, const uint8_t *now);
int fec_update_write(const struct fec_update *u, int fd, uint64_t offset, struct err *e) MUST_CHECK;
