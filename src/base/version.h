/* SPDX-License-Identifier: Apache-2.0 */
/* The order of versions, as of Debian: deb-version(7). */
#pragma once

/* As for strcmp().  "~" is before everything, even the end; numbers count as numbers. */
int version_compare(const char *a, const char *b);
