/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Make a dm-verity hash tree, and forward error correction data, at the end of an image; open the
 * result.  Through libcryptsetup.
 *
 * Making one happens on a regular file: no root, no device-mapper and no loop device needed.
 * fmt/verity.h checks the result.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"

/* An earlier image, with its hash tree behind data of the same size, and what is different now. */
struct verity_before {
	struct source *image;
	const uint8_t *changed; /* one bit a block of data, the lowest first */
};

struct verity_params {
	uint64_t data_bytes; /* whole 4096-byte blocks; the hash area starts there */
	uint8_t salt[32];
	uint8_t uuid[16];
	unsigned fec_roots; /* parity bytes in 255, 2 to 24; 0: no error correction */
	/* Saves time where the earlier image's tree fits; NULL: there is none. */
	const struct verity_before *before;
};

struct verity_result {
	uint8_t root_hash[32];
	uint64_t hash_offset; /* of the superblock of the hash area */
	uint64_t fec_offset;  /* of the error correction data; 0: none */
	uint64_t total_bytes; /* the file's size now */
};

/* path is a regular file of exactly p->data_bytes.  Same content and parameters, same bytes. */
int verity_append(const char *path, const struct verity_params *p, struct verity_result *out,
	struct err *e) MUST_CHECK;

struct verity_device {
	const char *path;     /* of data, hash tree and error correction data */
	uint64_t hash_offset; /* of the superblock */
	uint64_t fec_offset;  /* 0: none */
	unsigned fec_roots;
	bool once; /* a block that has verified is not hashed again */
};

/*
 * Make /dev/mapper/NAME, read-only; blocks are verified as they are read.  A kernel without error
 * correction is warned of.  -EKEYREJECTED: the root hash does not fit; -EINVAL: there is no hash
 * tree; -EEXIST: the name is taken.
 */
int verity_open(const struct verity_device *d, const uint8_t root_hash[32], const char *name,
	struct err *e) MUST_CHECK;
/* -ENODEV: there is no such device; -EBUSY. */
int verity_close(const char *name, struct err *e) MUST_CHECK;
