/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read files of an ISO 9660 file system: ECMA-119 (4th edition), with the names of Rock Ridge (IEEE
 * P1282, SUSP 1.12) where they are, otherwise the plain ones without version and in either case.
 *
 * Joliet, interleaved files and relocated folders are not known.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/io.h"

/* Whether there is a primary volume descriptor. */
bool iso9660_is(struct source *iso);

/*
 * The bytes of a file, from all of its extents; iso must outlive it.  -ENOENT: no such file, -EISDIR,
 * -EBADMSG: the file system is damaged.
 */
int iso9660_open(struct source *iso, const char *path, struct source **out, struct err *e)
	MUST_CHECK;
