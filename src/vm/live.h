/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot an image in a virtual machine, live.
 *
 * Kernel and initramfs are taken out of the image into the machine's folder, the image itself is a
 * read-only disk and the writable half of its root is in the memory of the machine: nothing of a
 * run lasts.
 */
#pragma once

#include "base/err.h"
#include "image/image.h"
#include "vm/machine.h"

/*
 * append: more kernel parameters, or NULL.  -ENOENT: no kernel or initramfs in the image, or no
 * firmware here.  -EINVAL: a bad parameter.
 */
int live_new(struct image *img, const struct machine_params *params, const char *append,
	struct machine **out, struct err *e) MUST_CHECK;

/*
 * Before it is started: an archive of fmt/cpio.h that the kernel unpacks over the initramfs of the image.
 * Not with dry_run.
 */
int live_add_initramfs(struct machine *m, const void *archive, size_t len, struct err *e)
	MUST_CHECK;
