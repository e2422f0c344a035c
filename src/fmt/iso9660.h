/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read files of an ISO 9660 file system: ECMA-119 (4th edition), with the names of Rock Ridge (IEEE
 * P1282, SUSP 1.12) where they are, otherwise the plain ones without version and in either case.
 *
 * Joliet, interleaved files and relocated folders are not known.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"

/* Whether there is a primary volume descriptor. */
bool iso9660_is(struct source *iso);

#define ISO9660_LABEL_BYTES 33 /* with the NUL */
#define ISO9660_UUID_BYTES  23

/* How a kernel finds it: the volume identifier, and the time that libblkid takes for a UUID; "" each. */
struct iso9660_id {
	char label[ISO9660_LABEL_BYTES];
	char uuid[ISO9660_UUID_BYTES]; /* "2026-01-31-10-20-30-00" */
	uint64_t size_bytes;           /* of the volume; a file that is smaller was cut off */
};

/* -EINVAL: it is none. */
int iso9660_identify(struct source *iso, struct iso9660_id *out, struct err *e) MUST_CHECK;

/*
 * The bytes of a file, from all of its extents; iso must outlive it.  -ENOENT: no such file, -EISDIR,
 * -EBADMSG: the file system is damaged.
 */
int iso9660_open(struct source *iso, const char *path, struct source **out, struct err *e)
	MUST_CHECK;
