/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME-VERSION.undo: what gives back the image that another one was made from, byte for byte, with all
 * that lay beside it.  Format: docs/formats/undo.md.
 *
 * It holds those blocks of the earlier image that the later one does not have, packed as they were.
 */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/manifest.h"

/* Into path.  Both have their manifest and their other files beside them. */
int undo_write(struct image *before, struct image *after, const char *path, struct progress *p,
	struct err *e) MUST_CHECK;

/*
 * Put the earlier image and its files into folder.  *image becomes its path, the caller's to free.
 * -EBADMSG: damaged, or of another image; what was written then is the caller's to remove.
 */
int undo_apply(struct image *after, const char *path, const char *folder, char **image,
	struct progress *p, struct err *e) MUST_CHECK;

/* One of the earlier image's files as text the caller frees.  -ENOENT: it had none. */
int undo_read(struct image *after, const char *path, const char *suffix, char **out, size_t *len,
	struct err *e) MUST_CHECK;
