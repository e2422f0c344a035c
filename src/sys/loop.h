/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a file or disk as a block device, read-only. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * len bytes from off of what is open as fd.  The device goes with its last user: this descriptor, or a
 * mount.  Returns the descriptor; the caller frees *device.
 */
int loop_open(int fd, uint64_t off, uint64_t len, char **device, struct err *e) MUST_CHECK;
