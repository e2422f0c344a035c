/* SPDX-License-Identifier: Apache-2.0 */
/* The order of versions, as of Debian: deb-version(7). */
#pragma once

#include <stdbool.h>

/* As for strcmp().  "~" is before everything, even the end; numbers count as numbers. */
int version_compare(const char *a, const char *b);

/* "MIN..MAX", or "MIN" for no upper end: then *max is NULL.  Both are the caller's to free. */
void version_range_split(const char *range, char **min, char **max);
/* Both ends belong to it.  max may be NULL. */
bool version_in_range(const char *version, const char *min, const char *max);
