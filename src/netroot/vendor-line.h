/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel parameters that a live ISO starts with, without those that find its medium. */
#pragma once

#include "base/err.h"
#include "base/io.h"

/* "" when it has no menu that is known.  The caller frees *out. */
int vendor_line_read(struct source *iso, char **out, struct err *e) MUST_CHECK;

/* From the text of a menu, of isolinux or GRUB.  NULL: it has none.  The caller frees it. */
char *vendor_line_parse(const char *menu) MUST_CHECK;
