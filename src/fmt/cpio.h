/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that the kernel unpacks over its initramfs: cpio in the form "newc".
 *
 * Format: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html.  It writes them
 * only, and into memory.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

/*
 * A folder comes before what is in it.  mode has the type; data of a link is where it leads, a folder
 * has none.  Owner is root, times are 0.
 */
void cpio_add(struct strbuf *b, const char *path, unsigned mode, const void *data, size_t len);
/* Behind the last one.  From here on b holds a multiple of 512 bytes. */
void cpio_end(struct strbuf *b);
