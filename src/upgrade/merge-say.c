/* SPDX-License-Identifier: Apache-2.0 */
/* What the merge does, as a list for people and programs. */
#include <stdlib.h>

#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

struct saying {
	const struct merge *m;
	struct merge_report *out;
	const char *covered; /* by a line for the folder */
};

/* The why may come from a node's own files: attribute names, users. */
static void add(
	struct saying *s, const struct merge_item *it, enum merge_action action, const char *why)
{
	struct merge_report *r = s->out;

	if ((r->count & (r->count - 1)) == 0)
		r->items = xrealloc(r->items, MAX(1, 2 * r->count) * sizeof(*r->items));
	r->items[r->count++] = (struct merge_change){
		.action = action,
		.path = xasprintf("/%s", it->path),
		.why = why ? xstrdup(why) : NULL,
		.beside = action == MERGE_CONFLICT && it->beside ? xasprintf("/%s", it->beside)
								 : NULL,
	};
}

static bool only_vendor(const struct merge_item *it)
{
	return it->content == THREE_SAME || it->content == THREE_VENDOR;
}

static bool is_added(const struct merge_item *it)
{
	return it->node && !it->old && !it->new;
}

/* A whole folder that came or went is one line. */
static bool is_part_of_more(const struct saying *s, const struct merge_item *it)
{
	const struct merge_item *parent = &s->m->items[it->parent];

	if (parent == it || parent->zone != ZONE_CARRIED)
		return false;
	if (is_added(it))
		return is_added(parent);
	return !it->node && !parent->node && it->content != THREE_BOTH;
}

static void say_attr_conflict(struct saying *s, const struct merge_item *it)
{
	autofree char *why = xasprintf("changed on both sides: %s", it->attr_conflicts);

	add(s, it, MERGE_CONFLICT, why);
}

static void say_both(struct saying *s, const struct merge_item *it)
{
	if (!it->node && it->forced)
		add(s, it, MERGE_VENDOR, "removed here, a folder in the new image");
	else if (!it->node)
		add(s, it, MERGE_KEPT, "removed here, changed in the new image");
	else if (!it->new)
		add(s, it, MERGE_KEPT, "changed here, removed in the new image");
	else if (it->result.from == FROM_TEXT && it->attr_conflicts)
		say_attr_conflict(s, it);
	else if (it->result.from == FROM_TEXT)
		add(s, it, MERGE_MERGED, NULL);
	else if (merge_is_unit_folder(it->path) && !it->want_beside)
		add(s, it, MERGE_KEPT, NULL);
	else
		add(s, it, MERGE_CONFLICT, "changed on both sides");
}

static void say_node(struct saying *s, const struct merge_item *it)
{
	if (it->forced && !it->node)
		add(s, it, MERGE_MERGED, "removed here, the new image adds to it");
	else if (!it->node)
		add(s, it, MERGE_KEPT, "removed here");
	else if (is_added(it))
		add(s, it, MERGE_KEPT, "added here");
	else
		add(s, it, it->attr_new ? MERGE_MERGED : MERGE_KEPT, NULL);
}

/* An id that an upgrade has given to the image's own is no change. */
static bool looks_old(const struct merge *m, const struct merge_item *it)
{
	const struct tree_entry *node = it->node, *old = it->old;

	return node && old && merge_same_attributes(node, old) &&
		(node->uid == old->uid || node->uid == merge_uid_of_old(m->accounts, old->uid)) &&
		(node->gid == old->gid || node->gid == merge_gid_of_old(m->accounts, old->gid));
}

static bool looks_new(const struct merge *m, const struct merge_item *it)
{
	const struct tree_entry *node = it->node;

	if (!node || !it->new || !merge_same_attributes(node, it->new))
		return false;
	return node->uid == merge_uid_of_new(m->accounts, it->new->uid) &&
		node->gid == merge_gid_of_new(m->accounts, it->new->gid);
}

/* Only the vendor has changed the content. */
static void say_vendor(struct saying *s, const struct merge_item *it)
{
	bool new_content = it->content == THREE_VENDOR && !merge_is_folder(it->new);

	if (it->attr_node)
		add(s, it, new_content || it->attr_new ? MERGE_MERGED : MERGE_KEPT, NULL);
	else if (it->attr_equal)
		add(s, it, MERGE_VENDOR, "the new image has the same");
	else if (it->forced && it->new)
		add(s, it, MERGE_CONFLICT, "a folder in use here, something else in the new image");
	else if (it->forced)
		add(s, it, MERGE_KEPT, "in use here, removed in the new image");
	else if (it->node && it->old && !it->new && !looks_old(s->m, it))
		add(s, it, MERGE_VENDOR, "removed in the new image");
}

static void say_notes(struct saying *s, const struct merge_item *it)
{
	const struct strv *notes = merge_accounts_notes(s->m->accounts);

	for (size_t i = 0; str_eq(it->path, "etc/passwd") && i < notes->count; i++)
		add(s, it, MERGE_MERGED, notes->items[i]);
}

static void say_carried(struct saying *s, const struct merge_item *it)
{
	if (it->stale || (it->hidden && (it->node || it->content != THREE_BOTH)))
		return;
	if (it->disabled) {
		add(s, it, MERGE_KEPT, "disabled here");
	} else if (merge_is_generated(it->path)) {
		if (it->content != THREE_SAME && it->content != THREE_VENDOR)
			add(s, it, MERGE_VENDOR, "made anew");
	} else if (it->attr_conflicts && it->content != THREE_BOTH) {
		say_attr_conflict(s, it);
	} else if (only_vendor(it)) {
		say_vendor(s, it);
	} else if (is_part_of_more(s, it)) {
		return;
	} else if (it->content == THREE_BOTH) {
		say_both(s, it);
	} else if (it->content == THREE_NODE || it->attr_node) {
		say_node(s, it);
	} else {
		add(s, it, MERGE_VENDOR, "the new image has the same");
	}
}

static bool is_covered(const struct saying *s, const struct merge_item *it)
{
	size_t len = s->covered ? strlen(s->covered) : 0;

	return len > 0 && strncmp(it->path, s->covered, len) == 0 && it->path[len] == '/';
}

/* The overlay copies a folder up for what lies in it, and upgrades copy files. */
static int is_nothing_lost(
	const struct merge *m, const struct merge_item *it, bool *nothing, struct err *e)
{
	const struct merge_side node = {merge_tree_of(m, it, it->node), it->node};
	const struct merge_side old = {m->trees->old_base, it->old};
	const struct merge_side new = {m->trees->new_base, it->new};
	bool opaque = merge_xattr_find(it->upper, "trusted.overlay.opaque") != NULL;
	int r = 0;

	*nothing = !it->node && (!it->old || !it->new);
	if (!*nothing && !opaque && looks_old(m, it))
		r = merge_same_content(&node, &old, nothing, e);
	if (r == 0 && !*nothing && !merge_is_folder(it->node) && looks_new(m, it))
		r = merge_same_content(&node, &new, nothing, e);
	return r;
}

static int say_dropped(struct saying *s, const struct merge_item *it, struct err *e)
{
	bool nothing;

	if (it->zone == ZONE_NOISE || !it->upper || is_covered(s, it))
		return 0;
	int r = is_nothing_lost(s->m, it, &nothing, e);
	if (r < 0 || nothing)
		return r;
	if (merge_is_folder(it->upper) && (!merge_is_folder(it->old) || it->covers))
		s->covered = it->path;
	if (!it->node)
		add(s, it, MERGE_DROPPED, "removed here");
	else
		add(s, it, MERGE_DROPPED, it->old ? "changed here" : "added here");
	return 0;
}

static bool gets_another_owner(const struct merge_item *it)
{
	return it->result.from == FROM_NEW &&
		(it->result.uid != it->new->uid || it->result.gid != it->new->gid);
}

int merge_say(const struct merge *m, struct merge_report *out, struct err *e)
{
	struct saying s = {.m = m, .out = out};

	for (size_t i = 0; i < m->count; i++) {
		const struct merge_item *it = &m->items[i];
		size_t before = out->count;
		int r = 0;

		if (it->zone == ZONE_CARRIED)
			say_carried(&s, it);
		else
			r = say_dropped(&s, it, e);
		if (r < 0)
			return r;
		if (gets_another_owner(it) && out->count == before)
			add(&s, it, MERGE_OWNER, NULL);
		say_notes(&s, it);
	}
	return 0;
}
