/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit that the node has disabled altogether stays disabled, also when the new image enables it for
 * another target: what was a link in a.target.wants and is none on the node would come back as one in
 * b.target.wants.
 */
#include <stdlib.h>

#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

static const char *const folders[] = {".wants", ".requires", ".upholds"};

/* "etc/systemd/system/NAME.wants/UNIT": where UNIT begins; NULL: it enables nothing. */
static const char *find_unit(const char *path)
{
	const char *unit = strrchr(path, '/');

	for (size_t i = 0; merge_is_unit_folder(path) && i < ARRAY_LEN(folders); i++) {
		size_t len = strlen(folders[i]);

		if ((size_t)(unit - path) > len && strncmp(unit - len, folders[i], len) == 0)
			return unit + 1;
	}
	return NULL;
}

static bool is_enabling(const struct merge_item *it)
{
	return (merge_is_link(it->old) || merge_is_link(it->node) || merge_is_link(it->new)) &&
		find_unit(it->path);
}

/* Units of the system and of users are not the same. */
static int compare_units(const void *a, const void *b)
{
	const char *x = (*(struct merge_item *const *)a)->path;
	const char *y = (*(struct merge_item *const *)b)->path;
	int order = strcmp(find_unit(x), find_unit(y));

	return order ? order : strncmp(x, y, strlen("etc/systemd/s"));
}

static void disable(struct merge_item *const *items, size_t count)
{
	bool was_enabled = false, is_enabled = false;

	for (size_t i = 0; i < count; i++) {
		was_enabled |= items[i]->old != NULL;
		is_enabled |= items[i]->node != NULL;
	}
	for (size_t i = 0; was_enabled && !is_enabled && i < count; i++) {
		struct merge_item *it = items[i];

		if (it->old || !it->new)
			continue;
		it->disabled = true;
		it->result.from = FROM_NONE;
		it->result.en = NULL;
	}
}

void merge_units(struct merge *m)
{
	autofree struct merge_item **found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (!is_enabling(&m->items[i]))
			continue;
		if ((count & (count - 1)) == 0)
			found = xrealloc(found, MAX(1, 2 * count) * sizeof(*found));
		found[count++] = &m->items[i];
	}
	if (count > 0)
		qsort(found, count, sizeof(struct merge_item *), compare_units);
	for (size_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && compare_units(&found[i], &found[i + n]) == 0;)
			n++;
		disable(found + i, n);
	}
}
