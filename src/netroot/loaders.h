/* SPDX-License-Identifier: Apache-2.0 */
/* Boot loaders right in tftp/: shim and GRUB for UEFI out of an image, PXELINUX of this machine. */
#pragma once

#include <stdbool.h>

#include "netroot/input.h"
#include "netroot/netroot.h"

bool loaders_has(const struct netroot_db *db, const char *name);

/* One that may be in a tree. */
bool loaders_is_name(const char *name);

/*
 * Get ready what is missing, with renew what the image has for the place of what is there: shim and
 * GRUB start the kernels that their distribution has signed.  It waits under another name for
 * loaders_complete() or loaders_abandon().
 */
int loaders_provide(struct netroot *n, struct netroot_input *in, bool renew, struct err *e)
	MUST_CHECK;

/* Once the database has them: give them their names. */
int loaders_complete(struct netroot *n, struct err *e) MUST_CHECK;
/* It is whole, and only its name is missing. */
bool loaders_is_waiting(const struct netroot *n, const char *name);
void loaders_abandon(struct netroot *n);
/* Of a tree that did not come to be. */
void loaders_drop(struct netroot *n);
