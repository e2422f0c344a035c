/* SPDX-License-Identifier: Apache-2.0 */
/* From decisions on each path to a tree: everything lies in a folder. */
#include <limits.h>

#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

static void become_folder(struct merge_item *it, const struct tree_entry *en)
{
	it->forced = true;
	it->result.from = en == it->new ? FROM_NEW : FROM_NODE;
	it->result.en = en;
	it->result.mtime = en->mtime;
}

/* What lies in a folder that one side has removed, or made something else, keeps it. */
static void keep_folder(struct merge_item *it)
{
	bool gone = it->result.from == FROM_NONE;
	bool replaced = it->result.from == FROM_NEW && !merge_is_folder(it->new) &&
		it->zone == ZONE_CARRIED && !it->stale;

	if (gone && it->wanted_by_new && merge_is_folder(it->new)) {
		become_folder(it, it->new);
	} else if ((gone || replaced) && it->wanted_by_node && merge_is_folder(it->node)) {
		it->want_beside = replaced && (merge_is_regular(it->new) || merge_is_link(it->new));
		become_folder(it, it->node);
	}
}

static void keep_folders(struct merge *m)
{
	for (size_t i = m->count; i-- > 1;) {
		struct merge_item *it = &m->items[i], *parent = &m->items[it->parent];

		keep_folder(it);
		parent->wanted_by_new |= it->result.from == FROM_NEW ||
			it->result.from == FROM_TEXT;
		parent->wanted_by_node |= it->result.from == FROM_NODE ||
			it->result.from == FROM_TEXT;
	}
}

static void hide_what_has_no_folder(struct merge *m)
{
	for (size_t i = 1; i < m->count; i++) {
		struct merge_item *it = &m->items[i];
		const struct merge_result *above = &m->items[it->parent].result;

		if (above->from != FROM_NONE && merge_is_folder(above->en))
			continue;
		it->hidden = true;
		it->want_beside = false;
		it->result.from = FROM_NONE;
		it->result.en = NULL;
	}
}

static void name_beside(const struct merge *m, struct merge_item *it)
{
	autofree char *path = xasprintf("%s" MERGE_SUFFIX, it->path);
	const char *slash = strrchr(path, '/');
	struct merge_item *there = merge_items_find(m, path);

	if (strlen(slash ? slash + 1 : path) > NAME_MAX ||
		(there && (there->new || merge_is_folder(there->node))))
		return;
	if (there) {
		there->stale = true;
		there->result.from = FROM_NONE;
		there->result.en = NULL;
	}
	it->beside = take_ptr(path);
}

static void mark_what_to_write(struct merge *m)
{
	m->items[0].write = true;
	for (size_t i = m->count; i-- > 1;) {
		struct merge_item *it = &m->items[i];

		if (it->result.from == FROM_NONE)
			it->write = it->new && !it->hidden;
		else
			it->write |= !merge_is_plain(it);
		m->items[it->parent].write |= it->write;
	}
}

void merge_shape(struct merge *m)
{
	keep_folders(m);
	hide_what_has_no_folder(m);
	for (size_t i = 0; i < m->count; i++)
		if (m->items[i].want_beside)
			name_beside(m, &m->items[i]);
	for (size_t i = 0; i < m->count; i++)
		merge_metadata(m, &m->items[i]);
	mark_what_to_write(m);
}
