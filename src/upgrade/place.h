/* SPDX-License-Identifier: Apache-2.0 */
/* A device of the node, mounted below SITE_FOLDER in this process's own namespace. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct place {
	char *path; /* NULL: nothing is mounted */
	int fd;     /* its root; belongs to it */
};

#define PLACE_NONE                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* ext4.  name is a folder of SITE_FOLDER, made when missing. */
int place_open(const char *device, const char *name, bool writable, struct place *out,
	struct err *e) MUST_CHECK;
/* Everything is on disk when it returns.  Fine when nothing is mounted. */
int place_close(struct place *p, struct err *e) MUST_CHECK;
/* From now on it can be written to. */
int place_make_writable(const struct place *p, struct err *e) MUST_CHECK;
/* Any mount; whatever happens, it is gone. */
void place_unmount(const char *path);
/* On failure's way out: whatever happens, it is gone. */
void place_fini(struct place *p);
#define autoplace auto_with(place_fini) struct place
