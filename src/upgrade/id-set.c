/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/id-set.h"

#include <string.h>

#include "base/xalloc.h"

void id_set_fini(struct id_set *s)
{
	free(s->items);
}

/* The first range that ends at or after id. */
static size_t find(const struct id_set *s, uint64_t id)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->items[middle].end < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void id_set_add(struct id_set *s, uint64_t first, uint64_t count)
{
	struct id_range range = {first, first + count};
	size_t at = find(s, first), past = at;

	for (; past < s->count && s->items[past].first <= range.end; past++) {
		range.first = MIN(range.first, s->items[past].first);
		range.end = MAX(range.end, s->items[past].end);
	}
	if (s->count == s->room) {
		s->room = MAX(16, s->room * 2);
		s->items = xrealloc(s->items, s->room * sizeof(*s->items));
	}
	memmove(&s->items[at + 1], &s->items[past], (s->count - past) * sizeof(*s->items));
	s->count = s->count - (past - at) + 1;
	s->items[at] = range;
}

bool id_set_meets(const struct id_set *s, uint64_t first, uint64_t count)
{
	size_t at = find(s, first + 1);

	return at < s->count && s->items[at].first < first + count;
}

bool id_set_has(const struct id_set *s, uint64_t id)
{
	return id_set_meets(s, id, 1);
}

uint64_t id_set_gap(const struct id_set *s, uint64_t from, uint64_t count)
{
	for (size_t i = find(s, from); i < s->count; i++) {
		if (s->items[i].first >= from && s->items[i].first - from >= count)
			break;
		from = MAX(from, s->items[i].end);
	}
	return from < ID_SET_END && ID_SET_END - from >= count ? from : ID_SET_END;
}
