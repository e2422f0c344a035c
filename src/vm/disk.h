/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that their firmware boots: from a disk image, or from an install medium.
 *
 * A disk image is qcow2 when it is named so and raw otherwise.  The variables of UEFI firmware are
 * kept beside it, one file for each kind of firmware.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "vm/machine.h"

enum disk_kind {
	DISK_IMAGE,  /* an image of ours: see live.h.  Also all that is none of the others */
	DISK_DISK,   /* a disk, by its name or its partition table */
	DISK_MEDIUM, /* an ISO 9660 file system, hybrid or not */
};

int disk_find_kind(const char *path, enum disk_kind *out, struct err *e) MUST_CHECK;

/*
 * Whether a machine may write to it.  -EINVAL: it is no file and no disk; -EBUSY: a disk that is mounted or
 * otherwise in use here.
 */
int disk_check(const char *path, struct err *e) MUST_CHECK;

/* A new sparse disk image in place of nothing or an empty file.  -EEXIST: something is there. */
int disk_create(const char *path, uint64_t size_bytes, struct err *e) MUST_CHECK;
/* How that is done, for people to read. */
void disk_create_command(const char *path, uint64_t size_bytes, struct cmd *c);
/* Remove a disk image and all variables that are kept beside it. */
void disk_drop(const char *path);

/* Where the firmware's variables are kept; NULL for a BIOS.  The caller frees it. */
char *disk_vars_path(const char *path, enum vm_firmware firmware) MUST_CHECK;

/* Boot a disk.  With snapshot all that the machine writes is forgotten. */
int disk_new(const char *path, const struct machine_params *params, bool snapshot,
	struct machine **out, struct err *e) MUST_CHECK;

/* Boot a medium in the optical drive; the disks are those of the parameters. */
int disk_new_medium(const char *path, const struct machine_params *params, struct machine **out,
	struct err *e) MUST_CHECK;
