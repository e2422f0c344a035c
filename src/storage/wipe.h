/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Make what was on a device unfindable: zeros over the first and the last MiB.
 *
 * That is where boot sectors, partition tables, LVM labels and metadata, RAID superblocks and the
 * file systems' own superblocks are.  Content in between stays.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* A whole device that nobody uses.  -EBUSY: somebody does. */
int wipe_device(const char *path, struct err *e) MUST_CHECK;
/* What a new partition will cover, before the partition table says so. */
int wipe_region(const char *disk, uint64_t start_bytes, uint64_t size_bytes, struct err *e)
	MUST_CHECK;

/*
 * Tell a device that nothing on it is needed.  false: it does not care, as disks that rotate, or it
 * would take long.
 */
bool wipe_discard(const char *path);
/* Whether a block device takes discards at all. */
bool wipe_can_discard(int fd);
