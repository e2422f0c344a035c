/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read the control files of Debian: Packages, Release, /var/lib/dpkg/status (deb822(5)).
 *
 * Nothing is copied: values are slices of the text, which must outlive them.  Only the first line
 * of a folded value is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct slice {
	const char *data; /* not NUL-terminated; NULL: no such field */
	size_t len;
};

struct deb822 {
	const char *at, *end;
};

/*
 * The next stanza: values[i] becomes the value of field names[i].  False at the end of the text.
 * Lines that are no field are skipped.
 */
bool deb822_next(struct deb822 *d, const char *const names[], struct slice values[], size_t count);

bool slice_eq(struct slice s, const char *text);
/* The caller frees it; "" for a missing field. */
char *slice_dup(struct slice s);

/* Cut the next item off a list like Depends or Provides: name only, without version and arch. */
bool slice_next_relation(struct slice *list, struct slice *name);
