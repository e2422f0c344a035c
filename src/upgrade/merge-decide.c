/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the last word on the content of each path, then on each attribute of it. */
#include <stdlib.h>

#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

static enum merge_three three_way(bool node_is_old, bool new_is_old, bool node_is_new)
{
	if (node_is_old)
		return new_is_old ? THREE_SAME : THREE_VENDOR;
	if (new_is_old)
		return THREE_NODE;
	return node_is_new ? THREE_EQUAL : THREE_BOTH;
}

static struct merge_side side(
	const struct merge *m, const struct merge_item *it, const struct tree_entry *en)
{
	return (struct merge_side){merge_tree_of(m, it, en), en};
}

static int compare_content(const struct merge *m, struct merge_item *it, struct err *e)
{
	const struct merge_side old = side(m, it, it->old), node = side(m, it, it->node);
	const struct merge_side new = side(m, it, it->new);
	bool node_is_old, new_is_old = false, node_is_new = false;
	int r = merge_same_content(&node, &old, &node_is_old, e);

	if (r == 0)
		r = merge_same_content(&new, &old, &new_is_old, e);
	if (r == 0 && !node_is_old && !new_is_old)
		r = merge_same_content(&node, &new, &node_is_new, e);
	if (r == 0)
		it->content = three_way(node_is_old, new_is_old, node_is_new);
	return r;
}

static void take(struct merge_item *it, enum merge_from from, const struct tree_entry *en)
{
	it->result.from = en ? from : FROM_NONE;
	it->result.en = en;
	it->result.mtime = en ? en->mtime : 0;
}

static void take_text(struct merge_item *it, const struct tree_entry *en, char *text, size_t len)
{
	take(it, FROM_TEXT, en);
	it->result.text = text;
	it->result.text_len = len;
	if (it->node && it->new)
		it->result.mtime = MAX(it->node->mtime, it->new->mtime);
}

/* *out stays NULL for what is no text. */
static int read_text(const struct merge_side *s, char **out, size_t *len, struct err *e)
{
	autofree char *text = NULL;
	int r = merge_read(s, MERGE_TEXT_MAX, &text, len, e);

	if (r == 0 && !memchr(text, '\0', *len))
		*out = take_ptr(text);
	return r;
}

static bool could_be_text(const struct tree_entry *en)
{
	return merge_is_regular(en) && en->size_bytes <= MERGE_TEXT_MAX;
}

/* Leaves the item as it is when its lines do not go together. */
static int merge_by_lines(const struct merge *m, struct merge_item *it, struct err *e)
{
	const struct merge_side sides[] = {
		side(m, it, it->node), side(m, it, it->old), side(m, it, it->new)};
	char *texts[3] = {NULL, NULL, NULL};
	struct merge_text views[3];
	char *merged = NULL;
	bool ok = true;
	int r = 0;

	if (!could_be_text(it->node) || !could_be_text(it->old) || !could_be_text(it->new))
		return 0;
	for (size_t i = 0; r == 0 && ok && i < 3; i++) {
		r = read_text(&sides[i], &texts[i], &views[i].len, e);
		views[i].data = texts[i];
		ok = texts[i] != NULL;
	}
	if (r == 0 && ok)
		r = merge_lines(&views[0], &views[1], &views[2], &merged, e);
	if (r < 0)
		r = err_wrap(e, r, "merging '/%s'", it->path);
	if (merged && str_eq(merged, texts[2])) {
		it->content = THREE_EQUAL;
		take(it, FROM_NEW, it->new);
		free(merged);
	} else if (merged) {
		take_text(it, it->node, merged, strlen(merged));
	}
	for (size_t i = 0; i < 3; i++)
		free(texts[i]);
	return r;
}

static int decide_both_changed(const struct merge *m, struct merge_item *it, struct err *e)
{
	bool unit_link = merge_is_unit_folder(it->path) &&
		(merge_is_link(it->node) || merge_is_link(it->new));

	take(it, FROM_NODE, it->node);
	if (!it->node || !it->new || unit_link)
		return 0;
	int r = merge_by_lines(m, it, e);
	if (r == 0 && it->result.from == FROM_NODE)
		it->want_beside = merge_is_regular(it->new) || merge_is_link(it->new);
	return r;
}

static int decide_account(
	const struct merge *m, struct merge_item *it, const char *text, struct err *e)
{
	const struct merge_side node = side(m, it, it->node), new = side(m, it, it->new);
	autofree char *node_text = NULL;
	autofree char *new_text = NULL;
	int r = compare_content(m, it, e);

	it->account = true;
	if (r == 0 && it->node)
		r = merge_read(&node, SIZE_MAX, &node_text, NULL, e);
	if (r == 0 && it->new)
		r = merge_read(&new, SIZE_MAX, &new_text, NULL, e);
	if (r < 0)
		return r;
	if (new_text && str_eq(text, new_text)) {
		if (it->content == THREE_NODE || it->content == THREE_BOTH)
			it->content = THREE_EQUAL;
		take(it, FROM_NEW, it->new);
		return 0;
	}
	it->content = node_text && str_eq(text, node_text) ? THREE_NODE : THREE_BOTH;
	take_text(it, it->new ? it->new : it->node, xstrdup(text), strlen(text));
	return 0;
}

/* The vendor's file of an earlier upgrade, when there is nothing left to decide. */
static bool is_stale(const struct merge *m, const struct merge_item *it)
{
	const size_t suffix = strlen(MERGE_SUFFIX);

	if (!str_ends(it->path, MERGE_SUFFIX) || it->old || it->new || merge_is_folder(it->node))
		return false;
	autofree char *path = xstrndup(it->path, strlen(it->path) - suffix);
	const struct merge_item *of = merge_items_find(m, path);

	return of && of->new && of->result.from == FROM_NEW;
}

static int decide(const struct merge *m, struct merge_item *it, struct err *e)
{
	const char *account = merge_accounts_text(m->accounts, it->path);

	it->content = THREE_SAME;
	take(it, FROM_NEW, it->new);
	if (it->zone != ZONE_CARRIED)
		return 0;
	if (account && (it->node || it->new))
		return decide_account(m, it, account, e);
	/* What nobody has touched on the node is the vendor's: no need to read it. */
	if (!it->upper && it->node == it->old) {
		it->content = THREE_VENDOR;
		return 0;
	}
	int r = compare_content(m, it, e);
	if (r < 0 || merge_is_generated(it->path))
		return r;
	it->stale = is_stale(m, it);
	if (it->stale)
		return 0;
	if (it->content == THREE_NODE)
		take(it, FROM_NODE, it->node);
	if (it->content == THREE_BOTH)
		return decide_both_changed(m, it, e);
	return 0;
}

int merge_decide(struct merge *m, struct progress *p, struct err *e)
{
	int r = 0;

	progress_begin(p, "merge", m->count, "files");
	for (size_t i = 0; r == 0 && i < m->count; i++) {
		r = decide(m, &m->items[i], e);
		if (r == 0)
			r = progress_advance(p, i + 1, e);
	}
	progress_end(p);
	return r;
}

/* Whether the node's stands. */
static bool note(struct merge_item *it, enum merge_three three, const char *name)
{
	it->attr_node |= three == THREE_NODE;
	it->attr_new |= three == THREE_VENDOR;
	it->attr_equal |= three == THREE_EQUAL;
	if (three == THREE_BOTH) {
		char *list = it->attr_conflicts ? xasprintf("%s, %s", it->attr_conflicts, name)
						: xstrdup(name);

		free(it->attr_conflicts);
		it->attr_conflicts = list;
	}
	return three == THREE_NODE || three == THREE_BOTH;
}

static void add_xattr(struct merge_result *res, const struct xattr *x)
{
	if (!x)
		return;
	res->xattrs = xrealloc(res->xattrs, (res->xattr_count + 1) * sizeof(*res->xattrs));
	res->xattrs[res->xattr_count++] = x;
}

/* An ACL says what the group bits of the mode mean: the two go together. */
static bool same_access(const struct tree_entry *a, const struct tree_entry *b)
{
	return a->mode == b->mode &&
		merge_xattr_same(
			merge_xattr_find(a, MERGE_XATTR_ACL), merge_xattr_find(b, MERGE_XATTR_ACL));
}

static void merge_access(struct merge_item *it, const struct tree_entry *old)
{
	enum merge_three three = three_way(old && same_access(it->node, old),
		old && same_access(it->new, old), same_access(it->node, it->new));
	const struct tree_entry *en = note(it, three, "mode") ? it->node : it->new;

	it->result.mode = en->mode;
	add_xattr(&it->result, merge_xattr_find(en, MERGE_XATTR_ACL));
}

/*
 * Ids are compared as this node has them.  One that the last upgrade has not given to the node's own
 * is no change, either.
 */
static void merge_owner(const struct merge *m, struct merge_item *it, const struct tree_entry *old)
{
	const struct merge_accounts *a = m->accounts;
	uint32_t old_uid = old ? merge_uid_of_old(a, old->uid) : 0;
	uint32_t old_gid = old ? merge_gid_of_old(a, old->gid) : 0;
	uint32_t uid = merge_uid_of_new(a, it->new->uid), gid = merge_gid_of_new(a, it->new->gid);
	const struct tree_entry *node = it->node;
	enum merge_three three;

	three = three_way(old && (node->uid == old->uid || node->uid == old_uid),
		old && old_uid == uid, node->uid == uid);
	it->result.uid = note(it, three, "owner") ? node->uid : uid;
	three = three_way(old && (node->gid == old->gid || node->gid == old_gid),
		old && old_gid == gid, node->gid == gid);
	it->result.gid = note(it, three, "group") ? node->gid : gid;
}

static bool is_for_copying(const struct xattr *x)
{
	return !merge_xattr_is_private(x) && !str_eq(x->name, MERGE_XATTR_ACL);
}

static void merge_xattr(struct merge_item *it, const struct tree_entry *old, const char *name)
{
	const struct xattr *node = merge_xattr_find(it->node, name);
	const struct xattr *new = merge_xattr_find(it->new, name);
	const struct xattr *was = merge_xattr_find(old, name);
	enum merge_three three = three_way(old && merge_xattr_same(node, was),
		old && merge_xattr_same(new, was), merge_xattr_same(node, new));

	add_xattr(&it->result, note(it, three, name) ? node : new);
}

static void merge_xattrs(struct merge_item *it, const struct tree_entry *old)
{
	const struct tree_entry *node = it->node, *new = it->new;

	for (size_t i = 0; i < node->xattr_count; i++)
		if (is_for_copying(&node->xattrs[i]))
			merge_xattr(it, old, node->xattrs[i].name);
	for (size_t i = 0; i < new->xattr_count; i++)
		if (is_for_copying(&new->xattrs[i]) && !merge_xattr_find(node, new->xattrs[i].name))
			merge_xattr(it, old, new->xattrs[i].name);
}

static void copy_metadata(const struct merge *m, struct merge_item *it)
{
	struct merge_result *res = &it->result;
	const struct tree_entry *en = res->en;
	bool from_new = en == it->new;

	res->mode = en->mode;
	res->uid = from_new ? merge_uid_of_new(m->accounts, en->uid) : en->uid;
	res->gid = from_new ? merge_gid_of_new(m->accounts, en->gid) : en->gid;
	for (size_t i = 0; i < en->xattr_count; i++)
		if (!merge_xattr_is_private(&en->xattrs[i]))
			add_xattr(res, &en->xattrs[i]);
}

void merge_metadata(const struct merge *m, struct merge_item *it)
{
	const struct tree_entry *old = merge_same_type(it->old, it->node) ? it->old : NULL;

	if (it->result.from == FROM_NONE)
		return;
	if (it->zone != ZONE_CARRIED || !merge_same_type(it->node, it->new) ||
		it->node == it->old || merge_is_generated(it->path)) {
		copy_metadata(m, it);
		return;
	}
	merge_access(it, old);
	merge_owner(m, it, old);
	merge_xattrs(it, old);
}

bool merge_is_plain(const struct merge_item *it)
{
	const struct merge_result *res = &it->result;
	size_t count = 0;

	if (res->from != FROM_NEW || res->mode != it->new->mode || res->uid != it->new->uid ||
		res->gid != it->new->gid)
		return false;
	for (size_t i = 0; i < it->new->xattr_count; i++)
		count += !merge_xattr_is_private(&it->new->xattrs[i]);
	for (size_t i = 0; i < res->xattr_count; i++)
		if (!merge_xattr_same(
			    res->xattrs[i], merge_xattr_find(it->new, res->xattrs[i]->name)))
			return false;
	return count == res->xattr_count;
}
