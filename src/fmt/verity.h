/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check an image against its dm-verity hash tree, without device-mapper.
 *
 * The image is fed in order, data and then hash area, so one pass over a stream is enough; only
 * the superblock of the hash area has to be read first, for the salt.  Forward error correction
 * data is not looked at.  Format: Linux kernel, Documentation/admin-guide/device-mapper/verity.rst,
 * and cryptsetup's wiki, "DMVerity", for the superblock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/progress.h"

#define VERITY_BLOCK_BYTES    4096 /* of data and of hashes; others are refused */
#define VERITY_SALT_MAX_BYTES 256

struct verity_super {
	uint8_t uuid[16];
	uint8_t salt[VERITY_SALT_MAX_BYTES];
	size_t salt_len;
	uint64_t data_bytes;
	uint64_t hash_offset; /* of the superblock */
	uint64_t tree_offset; /* of the first hash block, the top of the tree */
	uint64_t tree_bytes;
};

/* -EINVAL: no superblock at hash_offset, -ENOTSUP: not SHA-256 or not such blocks. */
int verity_super_read(struct source *image, uint64_t hash_offset, struct verity_super *out,
	struct err *e) MUST_CHECK;

struct verity_check; /* a check in progress; needs 8 MiB of memory for each GiB of data */

struct verity_check *verity_check_new(
	const struct verity_super *sb, const uint8_t root_hash[SHA256_BYTES]) MUST_CHECK;
void verity_check_free(struct verity_check *c);
DEFINE_AUTOPTR(verity_check, verity_check_free)

/* The next len bytes of the image.  -EBADMSG as soon as something does not match. */
int verity_check_feed(struct verity_check *c, const void *data, size_t len, struct err *e)
	MUST_CHECK;
/* After the last byte.  -EBADMSG: the message names the first bad block, -EIO: it was cut. */
int verity_check_end(struct verity_check *c, struct err *e) MUST_CHECK;

/* All of the above for an image at hand.  Advances progress, if any, to the bytes read. */
int verity_check_source(struct source *image, uint64_t hash_offset,
	const uint8_t root_hash[SHA256_BYTES], struct progress *progress, struct err *e) MUST_CHECK;
