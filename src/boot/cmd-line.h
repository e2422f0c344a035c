/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel command line of a layer's boot entry, complete but for what GRUB adds. */
#pragma once

#include "base/str.h"

/*
 * Add the words of text.  What only a layer's entry says, and what GRUB would change, is left out,
 * with a warning that names where it is from unless `from` is NULL.
 */
void cmd_line_collect(struct strv *out, const char *text, const char *from);

/*
 * The words of layer and root hash (64 digits), a restart after a kernel panic unless words have a
 * "panic=", and words; what is there twice stands where it stood last.  The caller frees it.
 */
char *cmd_line_compose(const char *layer, const char *root_hash, const struct strv *words)
	MUST_CHECK;

/*
 * That of a new layer, after the old layer's: what the new image says, without what was taken away
 * from what the old image said, then what was added to it; consoles stay.  The caller frees it.
 */
char *cmd_line_carry(const char *old_line, const char *old_image, const char *new_image,
	const char *layer, const char *root_hash) MUST_CHECK;
