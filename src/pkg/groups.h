/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What "@name" in %packages means on Debian, beyond the archive's own tasks.
 *
 * docs/package-groups.md lists the same for people.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

struct pkg_group {
	const char *name;
	const char *summary;
	const char *packages; /* separated by blanks */
};

extern const struct pkg_group pkg_groups[];
extern const size_t pkg_group_count;

/* NULL when the table has no such group. */
const struct pkg_group *pkg_group_find(const char *name);
