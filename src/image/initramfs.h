/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initramfs of each kernel in a tree: /boot/initrd.img-KVER, uncompressed, generic.
 *
 * Made by the tree's own dracut.  Results are kept in CACHE/initramfs together with the digest of
 * every file of the tree that they were made from; a result whose files all are the same in this
 * tree is taken from there, so that a changed %post seldom costs a run of dracut.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/macro.h"

#define INITRAMFS_MAX_BYTES (200 * MIB)

/*
 * A tree without a kernel gets none and that is fine.  -ENOENT: a kernel, but no dracut.  -EFBIG:
 * past INITRAMFS_MAX_BYTES.  Needs root and chroot_enter_namespace().
 */
int initramfs_build(const char *tree_path, const char *cache_dir, int64_t source_date, int log_fd,
	struct err *e) MUST_CHECK;
