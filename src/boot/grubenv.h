/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB's environment block: 1024 bytes that GRUB reads and writes in place.
 *
 * Format: GRUB manual, section "The GRUB environment block", and grub-editenv(1): the line
 * "# GRUB Environment Block", NAME=VALUE lines, filled up with '#'.
 */
#pragma once

#include "base/err.h"

#define GRUBENV_PATH "grub/grubenv" /* under /boot */

/* The value, which the caller frees; *value NULL: not set.  -EBADMSG: not an environment block. */
int grubenv_get(int boot_fd, const char *name, char **value, struct err *e) MUST_CHECK;
/*
 * Set (value NULL: unset) names in one write that is on disk when this returns; other names stay.
 * names and values are of the same length, ended by a NULL name.  The file is made when missing.
 */
int grubenv_set(int boot_fd, const char *const names[], const char *const values[], struct err *e)
	MUST_CHECK;
/* An empty block in the place of whatever is there. */
int grubenv_reset(int boot_fd, struct err *e) MUST_CHECK;
