/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read one file of a volume that nobody has mounted: a stick, a disc, a disk.
 *
 * It is mounted read-only, without replaying a journal, in this process's own namespace, and
 * unmounted again before the call returns.  Needs root.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/*
 * "LABEL=NAME", "UUID=...", "PARTUUID=...", "/dev/NAME" or "NAME"; waits a while for devices that
 * are still coming up.  The caller frees *device.  -ENODEV: no such volume.
 */
int volume_find(const char *what, char **device, struct err *e) MUST_CHECK;
/* Same, without waiting. */
int volume_look(const char *what, char **device, struct err *e) MUST_CHECK;
/* The optical drives of this machine. */
void volume_discs(struct strv *out);

/*
 * folder: where to mount, made when missing.  The caller frees *text.  -ENOENT: no such file;
 * -ENOMEDIUM, -EINVAL: nothing there that can be mounted.
 */
int volume_read(const char *device, const char *path, const char *folder, size_t max_bytes,
	char **text, size_t *len, struct err *e) MUST_CHECK;
