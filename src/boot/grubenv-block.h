/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of GRUB's environment block.  Only for grubenv.c and tests. */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#define GRUBENV_BYTES 1024

/* The lines of a block, without its fill, which the caller frees. */
int grubenv_block_parse(const char *block, size_t len, char **lines, struct err *e) MUST_CHECK;
/* The value of a name in them, or NULL.  The caller frees it. */
char *grubenv_block_value(const char *lines, const char *name) MUST_CHECK;
/* Add a block of GRUBENV_BYTES to out: lines with names changed as of grubenv_set().  -ENOSPC. */
int grubenv_block_format(const char *lines, const char *const names[], const char *const values[],
	struct strbuf *out, struct err *e) MUST_CHECK;
