/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a stick of "bedplate media usb", or of an image of one. */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Whether path, a disk or a file, has the partition table of a stick. */
bool stick_is(const char *path);
/*
 * Mount its data read-only on folder, which is made, in this process's own namespace.  Needs root.
 * -ENOENT: no stick.
 */
int stick_mount(const char *path, const char *folder, struct err *e) MUST_CHECK;
/* Take folder away again; what is open of the stick can still be read. */
void stick_unmount(const char *folder);
/*
 * The one image in FOLDER/images, or the one that is called name (may be NULL).  The caller frees
 * *image, its folder.  -EINVAL: several, which the message lists for shown; -ENOENT.
 */
int stick_choose(const char *folder, const char *shown, const char *name, char **image,
	struct err *e) MUST_CHECK;
