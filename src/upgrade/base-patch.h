/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turn what a device holds into rootfs.img of an image, by writing what differs; or count what that
 * would take.
 *
 * The device is read ahead by a thread while the image is unpacked by others.  What is not zero any
 * more is given back to the pool in whole chunks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "image/image.h"
#include "upgrade/base-make.h"

struct base_patch {
	struct image *img;
	int old_fd;           /* -1: all of it is zero */
	int new_fd;           /* the same device, to write to; -1: count only */
	uint64_t old_bytes;   /* of the device; behind them it is zero */
	uint64_t chunk_bytes; /* that the pool is allocated in */
	bool discards;        /* the device takes them */
	/* Before the pool grows to that many more bytes than before; may be NULL. */
	int (*grow)(void *ctx, uint64_t chunk_bytes, struct err *e);
	void *ctx;
};

/*
 * Descriptors are left with O_DIRECT.  Up to a whole block of 4096 bytes; on the device when this returns.  Memory: at most 40 MiB.  A part
 * of the old content that cannot be read is taken for different.  -EBADMSG: the image is damaged.
 */
int base_patch(const struct base_patch *spec, struct base_cost *out, struct progress *p,
	struct err *e) MUST_CHECK;
