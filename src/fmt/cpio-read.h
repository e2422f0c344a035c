/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go through archives that the kernel unpacks over its initramfs: cpio in the forms "newc" and "crc".
 *
 * Format: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html.  Several archives may
 * follow each other with zeroes between them.  Nothing in them is trusted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CPIO_SMALL_BYTES (1 * MIB)

struct cpio_walk {
	/* The next bytes: *got is less than len only at the end. */
	int (*read)(void *ctx, void *buf, size_t len, size_t *got, struct err *e);
	/* path has no leading "/" or "./"; data is NULL past CPIO_SMALL_BYTES, and ends with a NUL. */
	void (*visit)(void *ctx, const char *path, uint64_t size_bytes, const char *data);
	void *ctx;
};

/*
 * *rest is the offset of the first byte that belongs to no archive, where something compressed may
 * begin, or the length of all.  -EBADMSG: damaged or cut off.
 */
int cpio_walk(const struct cpio_walk *walk, uint64_t *rest, struct err *e) MUST_CHECK;
