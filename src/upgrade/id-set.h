/* SPDX-License-Identifier: Apache-2.0 */
/* A set of ids as ranges.  Internal to upgrade/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define ID_SET_END (UINT64_C(1) << 32) /* the first number that is no id */

struct id_range {
	uint64_t first, end; /* end is not in it */
};

struct id_set {
	struct id_range *items; /* sorted, with gaps between them */
	size_t count, room;
};

void id_set_fini(struct id_set *s);
#define autoidset auto_with(id_set_fini) struct id_set

void id_set_add(struct id_set *s, uint64_t first, uint64_t count); /* count > 0 */
/* Whether one of them is in it. */
bool id_set_meets(const struct id_set *s, uint64_t first, uint64_t count);
bool id_set_has(const struct id_set *s, uint64_t id);
/* The first of count ids that are not in it, from `from` on.  ID_SET_END: there are none. */
uint64_t id_set_gap(const struct id_set *s, uint64_t from, uint64_t count);
