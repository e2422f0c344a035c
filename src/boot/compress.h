/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs as it lies on media and in /boot: compressed with zstd, which the kernel unpacks. */
#pragma once

#include "base/err.h"
#include "base/io.h"
#include "base/progress.h"

/* An installer has no time but room in /boot; a medium is written once and read often. */
enum initramfs_size { INITRAMFS_QUICK, INITRAMFS_SMALL };

/*
 * Write an initramfs to fd, which is an empty regular file.  A plain cpio archive is compressed,
 * anything else (compressed already, or with microcode in front) is copied.  The same input gives the
 * same bytes, whatever the number of processors.
 *
 * Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
int initramfs_compress(struct source *in, enum initramfs_size size, int fd, struct progress *p,
	struct err *e) MUST_CHECK;
