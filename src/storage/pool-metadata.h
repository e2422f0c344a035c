/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata of a thin pool, checked while the pool is in use. */
#pragma once

#include "base/err.h"

/*
 * thin_check(8) of the device that a pool has its metadata on ("/dev/mapper/VG-POOL_tmeta").  Nothing is
 * written, and the pool is not stopped.  Blocks that nothing uses are no error.  -EBADMSG: it is
 * damaged.  -EBUSY: it changes faster than it can be read.
 */
int pool_metadata_check(const char *device, struct err *e) MUST_CHECK;
