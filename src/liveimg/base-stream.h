/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.img out of a liveimg, from start to end: what a base is written from, new or over another.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/manifest.h"

/* Of data and offsets in base_stream(), and of dm-verity here. */
#define BASE_BLOCK_BYTES 4096

/* -EBADMSG: there is no file system image in it, or of another size than the manifest's. */
int base_stream_check(struct image *img, const struct manifest *manifest, struct err *e) MUST_CHECK;

struct base_sink {
	/*
	 * The next bytes.  data is aligned to, and off a multiple of BASE_BLOCK_BYTES; what is left
	 * out is zero.
	 */
	int (*data)(void *ctx, const void *data, size_t len, uint64_t off, struct err *e);
	void *ctx;
};

/* p advances to the bytes done.  Memory: at most 24 MiB.  -EBADMSG: the image is damaged. */
int base_stream(struct image *img, const struct base_sink *sink, struct progress *p, struct err *e)
	MUST_CHECK;

/*
 * Past the page cache as long as that works: the cache would only be filled with what nobody reads
 * again, and on a machine with little memory it pushes out the image that is being read.
 */
bool base_set_direct(int fd, bool on);
