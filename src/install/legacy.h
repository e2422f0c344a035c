/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel arguments of older nodes as a kickstart: storage_init=, BOOTIF=, ip= and so on.
 *
 * What is written here is all that is known of them: everything behind it sees a kickstart.  Who
 * can set the kernel command line may do anything, but a server that writes it from a form must not
 * let a value become another command: values are checked against what they may hold, and quoted.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "storage/inventory.h"

/* Whether the words ask for such an install: storage_init or ovirt_init is there. */
bool legacy_is_wanted(const struct strv *cmd_line);

/*
 * inv: to find disks by bus and serial number.  The caller frees *text.  -EINVAL: an argument is
 * wrong, cannot be carried out here, or leaves open what has to be known; -ENODEV: no such disk.
 */
int legacy_kickstart(const struct strv *cmd_line, const struct inventory *inv, char **text,
	struct err *e) MUST_CHECK;
