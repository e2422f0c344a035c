/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel and initramfs of an image as a boot entry of the node. */
#pragma once

#include "base/err.h"
#include "base/tree.h"
#include "boot/entry.h"

/*
 * t lists the image, root_fd is the same, mounted.  entry has all but its release, which is filled in.
 * -ENOENT: no kernel, or none with an initramfs; -ENOSPC.
 */
int entry_files_write(const struct tree *t, int root_fd, int boot_fd, struct boot_entry *entry,
	struct err *e) MUST_CHECK;
