/* SPDX-License-Identifier: Apache-2.0 */
/* File systems and swap, by the programs that know how. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct mkfs_spec {
	const char *device;
	const char *fstype;  /* "ext2", "ext3", "ext4", "xfs", "vfat", "swap" */
	const char *label;   /* cut to what the type can hold */
	const char *content; /* ext*: a folder whose content is copied into it, or NULL */
	bool for_grub;       /* without what GRUB 2.06 cannot read */
	bool reads_as_zeros; /* a new thin volume */
};

/* -EINVAL: no such type; -ENOENT: its program is missing. */
int mkfs_check(const char *fstype, struct err *e) MUST_CHECK;
int mkfs_run(const struct mkfs_spec *spec, struct err *e) MUST_CHECK;
