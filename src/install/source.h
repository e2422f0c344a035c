/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an install comes from: the kickstart and the image, fetched and checked.
 *
 * Everything fetched has a size limit before it is stored, and goes to the installer's own folder
 * in memory.  An image is not handed out before its checksum, its manifest and, with trust anchors,
 * its signature were right.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "ks/model.h"
#include "liveimg/get.h"

/*
 * http, https, ftp or file URLs, plain paths, hd:LABEL=NAME:/path, hd:UUID=...:/path,
 * hd:/dev/NAME:/path, cdrom:/path, "medium" (ks.cfg on what we were booted from, then on a volume
 * labelled OEMDRV).  The caller frees *text; *name is what messages call it.  -ENOENT: no kickstart
 * there.
 */
int source_kickstart(const char *where, char **name, char **text, size_t *len, struct err *e)
	MUST_CHECK;

/* The image that the kickstart's liveimg means, otherwise what this system was booted from. */
int source_image(const struct ks_doc *doc, const char *folder, struct liveimg *out,
	struct progress *p, struct err *e) MUST_CHECK;
