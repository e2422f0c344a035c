/* SPDX-License-Identifier: Apache-2.0 */
/* Boot loaders right in tftp/: shim and GRUB for UEFI out of an image, PXELINUX of this machine. */
#pragma once

#include <stdbool.h>

#include "netroot/input.h"
#include "netroot/netroot.h"

bool loaders_has(const struct netroot_db *db, const char *name);

/*
 * Put in what is missing, with renew what the image has in the place of what is there: shim and GRUB
 * start the kernels that their distribution has signed.
 */
int loaders_provide(struct netroot *n, struct netroot_input *in, bool renew, struct err *e)
	MUST_CHECK;
