/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write a base: rootfs.img out of a liveimg onto a volume, and prove it.
 *
 * Blocks are decompressed on all processors and written in order; runs of zeros are skipped on a
 * new thin volume, where they read as zeros anyway.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/manifest.h"
#include "storage/apply.h"

/*
 * device_fd is a volume of at least manifest->rootfs.size_bytes that reads as zeros.  Everything is
 * on the device when this returns.  Memory: at most 64 MiB.  -EBADMSG: the image is damaged (the
 * message names the block) or its file system image is of another size than the manifest's; -ENOSPC,
 * -EIO from the device.  The digest is not computed on the way: base_read_verified() proves every
 * block, by what is signed.
 */
int base_write(struct image *img, const struct manifest *manifest, int device_fd,
	struct progress *p, struct err *e) MUST_CHECK;

/*
 * Read the whole of a device that was opened through dm-verity, beside other work.  mapper_fd stays
 * the caller's, open until base_reading_free(), which stops what still reads.
 */
struct base_reading;

int base_reading_start(int mapper_fd, uint64_t size_bytes, struct base_reading **out, struct err *e)
	MUST_CHECK;
/* For its end, showing how far it is.  -EBADMSG: a block does not verify. */
int base_reading_wait(struct base_reading *rd, struct progress *p, struct err *e) MUST_CHECK;
void base_reading_free(struct base_reading *rd);
DEFINE_AUTOPTR(base_reading, base_reading_free)

/* All of it at once. */
int base_read_verified(int mapper_fd, uint64_t size_bytes, struct progress *p, struct err *e)
	MUST_CHECK;

#define BASE_VERIFY_NAME "bedplate-verify" /* of /dev/mapper, a base that is read back */

struct base_verity base_verity_of(const struct manifest *m);

/*
 * The same with a base that is protected, by the root hash that was signed: opened, read, closed.
 * -EKEYREJECTED: it has another root hash.
 */
int base_verify(const char *vg, const char *base, const struct manifest *m, struct progress *p,
	struct err *e) MUST_CHECK;
