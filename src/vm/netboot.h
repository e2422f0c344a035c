/* SPDX-License-Identifier: Apache-2.0 */
/* Boot a machine over the network, from a folder that QEMU's own TFTP server offers. */
#pragma once

#include "base/err.h"
#include "vm/machine.h"

/* The folder, which the caller makes and fills before the machine starts. */
char *netboot_folder(const struct machine *m) MUST_CHECK;
/* bootfile: of that folder, what the firmware loads. */
int netboot_prepare(struct machine *m, const char *bootfile, struct err *e) MUST_CHECK;
