/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write what is in an image to disk.
 *
 * Nothing is written outside of the destination, whatever the image or the destination holds: each
 * step goes through openat2(2) and never over a link.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/tree.h"

struct extract_spec {
	struct tree *tree;
	const char *path; /* what to extract; NULL or "": everything */
	const char *dest; /* folder; made when missing, must be empty without force */
	bool force;
};

struct extract_result {
	uint64_t files, bytes;
	uint64_t lost_owners, lost_devices, lost_xattrs; /* not possible for this user or here */
};

/*
 * A folder's content goes into dest, a single file is put there under its own name.  Owners and
 * devices are kept when running as root.  -ENOENT: no such path, -ENOTEMPTY: dest holds something.
 */
int extract_tree(const struct extract_spec *spec, struct extract_result *out, struct progress *p,
	struct err *e) MUST_CHECK;

/* The same, but attributes that the file system of dest cannot hold are -ENOTSUP. */
int extract_whole(const struct extract_spec *spec, struct err *e) MUST_CHECK;

/* The bytes of a source into an empty regular file; holes stay holes. */
int extract_source(struct source *s, int fd, struct progress *p, struct err *e) MUST_CHECK;
/* The same to anything that can be written to, from where it stands. */
int extract_stream(struct source *s, int fd, struct progress *p, struct err *e) MUST_CHECK;
