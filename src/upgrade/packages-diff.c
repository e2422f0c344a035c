/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/packages-diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void package_changes_fini(struct package_changes *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->items[i].name);
		free(c->items[i].old_version);
		free(c->items[i].new_version);
	}
	free(c->items);
	*c = (struct package_changes){0};
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void add(struct package_changes *c, const char *name, const char *from, const char *to)
{
	c->items = xrealloc(c->items, (c->count + 1) * sizeof(*c->items));
	c->items[c->count++] = (struct package_change){xstrdup(name), copy(from), copy(to)};
}

/* Below 0: only the first list has what comes next; 0: both. */
static int next_of(const struct manifest *from, size_t i, const struct manifest *to, size_t k)
{
	if (i == from->package_count || k == to->package_count)
		return i == from->package_count ? 1 : -1;
	int order = strcmp(from->packages[i].name, to->packages[k].name);
	return order ? order : strcmp(from->packages[i].arch, to->packages[k].arch);
}

void packages_compare(
	const struct manifest *from, const struct manifest *to, struct package_changes *out)
{
	size_t i = 0, k = 0;

	while (i < from->package_count || k < to->package_count) {
		int order = next_of(from, i, to, k);
		const char *old = order <= 0 ? from->packages[i].version : NULL;
		const char *new = order >= 0 ? to->packages[k].version : NULL;

		if (!old || !new || !str_eq(old, new))
			add(out, old ? from->packages[i].name : to->packages[k].name, old, new);
		i += order <= 0;
		k += order >= 0;
	}
}

static bool has(const struct manifest *m, const char *name)
{
	size_t low = 0, high = m->package_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(m->packages[middle].name, name);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* carrier_mark_tree(): without files, and of the image. */
static bool is_placeholder(const char *name)
{
	return str_ends(name, "-image-update");
}

void packages_lost(const struct manifest *node, const struct manifest *from,
	const struct manifest *to, struct strv *out)
{
	for (size_t i = 0; i < node->package_count; i++) {
		const struct manifest_package *p = &node->packages[i];

		if (!has(from, p->name) && !has(to, p->name) && !is_placeholder(p->name))
			strv_take(out, xasprintf("%s %s", p->name, p->version));
	}
}
