/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

#define PATH_BYTES_MAX  4000 /* room for what is put behind it, below PATH_MAX */
#define COMPARE_BYTES   (256 * KIB)
#define OVERLAY_OPAQUE  "trusted.overlay.opaque"
#define OVERLAY_PRIVATE "trusted.overlay."

static bool is_whiteout(const struct tree_entry *en)
{
	return (en->mode & 0170000) == 0020000 && en->dev_major == 0 && en->dev_minor == 0;
}

static bool is_opaque(const struct tree_entry *en)
{
	const struct xattr *x = merge_xattr_find(en, OVERLAY_OPAQUE);

	return x && x->len == 1 && *(const char *)x->value == 'y';
}

static bool name_ok(const char *name, size_t len)
{
	return len > 0 && len <= NAME_MAX && !(len == 1 && name[0] == '.') &&
		!(len == 2 && name[0] == '.' && name[1] == '.');
}

static bool path_ok(const char *path)
{
	if (strlen(path) > PATH_BYTES_MAX)
		return false;
	if (!path[0])
		return true;
	for (const char *at = path;; at++) {
		size_t len = strcspn(at, "/");

		if (!name_ok(at, len))
			return false;
		at += len;
		if (!*at)
			return true;
	}
}

/* Whether path lies in the folder, at once or further down. */
static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 ? path[0] != '\0' : strncmp(path, folder, len) == 0 && path[len] == '/';
}

static bool is_child(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return is_below(path, folder) && !strchr(path + (len > 0 ? len + 1 : 0), '/');
}

static int bad_entry(const struct tree_entry *en, const char *what, struct err *e)
{
	autofree char *path = str_printable(en->path);

	return err_set(e, EBADMSG, "%s: '/%.200s' cannot be there", what, path);
}

/* Images may be anybody's: each entry once, in order, in a folder that is there. */
static int check_tree(const struct tree *t, const char *what, struct err *e)
{
	autofree const struct tree_entry **folders = NULL;
	size_t depth = 0, room = 0;

	if (t->count > MERGE_ENTRIES_MAX)
		return err_set(e, EBADMSG, "%s: more than %u files", what, MERGE_ENTRIES_MAX);
	if (t->count == 0 || t->entries[0].path[0] || !merge_is_folder(&t->entries[0]))
		return err_set(e, EBADMSG, "%s: has no root folder", what);
	for (size_t i = 0; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];

		while (depth > 0 && !is_below(en->path, folders[depth - 1]->path))
			depth--;
		if (!path_ok(en->path) || (merge_is_link(en) && !en->target))
			return bad_entry(en, what, e);
		if (i > 0 &&
			(depth == 0 || !is_child(en->path, folders[depth - 1]->path) ||
				tree_path_compare(t->entries[i - 1].path, en->path) >= 0))
			return bad_entry(en, what, e);
		if (!merge_is_folder(en))
			continue;
		if (depth == room) {
			room = MAX(64, 2 * room);
			folders = xrealloc(folders, room * sizeof(*folders));
		}
		folders[depth++] = en;
	}
	return 0;
}

struct cursor {
	const struct tree *tree;
	size_t at;
};

static const struct tree_entry *cursor_peek(const struct cursor *c)
{
	return c->at < c->tree->count ? &c->tree->entries[c->at] : NULL;
}

static const struct tree_entry *cursor_take(struct cursor *c, const char *path)
{
	const struct tree_entry *en = cursor_peek(c);

	if (!en || !str_eq(en->path, path))
		return NULL;
	c->at++;
	return en;
}

static const char *first_path(const struct cursor *cursors, size_t count)
{
	const char *first = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct tree_entry *en = cursor_peek(&cursors[i]);

		if (en && (!first || tree_path_compare(en->path, first) < 0))
			first = en->path;
	}
	return first;
}

static void see_through_overlay(struct merge_item *it, const struct merge_item *parent)
{
	const struct tree_entry *u = it->upper;

	it->covers = parent && parent->covers;
	if (!u)
		it->node = it->covers ? NULL : it->old;
	else
		it->node = is_whiteout(u) ? NULL : u;
	if (u && (!merge_is_folder(u) || is_opaque(u)))
		it->covers = true;
}

static size_t find_parent(const struct merge *m, const char *path)
{
	size_t i = m->count - 1;

	while (!is_below(path, m->items[i].path))
		i = m->items[i].parent;
	return i;
}

static void add_item(struct merge *m, struct cursor cursors[3], const char *path)
{
	struct merge_item *it = &m->items[m->count];
	const struct tree_entry *old = cursor_take(&cursors[0], path);
	const struct tree_entry *upper = cursor_take(&cursors[1], path);
	const struct tree_entry *new = cursor_take(&cursors[2], path);

	*it = (struct merge_item){
		.path = path,
		.old = old && !is_whiteout(old) ? old : NULL,
		.upper = upper,
		.new = new && !is_whiteout(new) ? new : NULL,
		.zone = merge_zone_of(path),
	};
	if (m->count > 0)
		it->parent = find_parent(m, path);
	see_through_overlay(it, m->count > 0 ? &m->items[it->parent] : NULL);
	m->count++;
}

int merge_items_load(struct merge *m, struct err *e)
{
	const struct merge_trees *t = m->trees;
	struct cursor cursors[3] = {{t->old_base, 0}, {t->upper, 0}, {t->new_base, 0}};
	int r = check_tree(t->old_base, "old image", e);

	if (r == 0)
		r = check_tree(t->upper, "layer", e);
	if (r == 0)
		r = check_tree(t->new_base, "new image", e);
	if (r < 0)
		return r;
	m->items = xcalloc(
		t->old_base->count + t->upper->count + t->new_base->count, sizeof(*m->items));
	for (const char *path; (path = first_path(cursors, ARRAY_LEN(cursors)));)
		add_item(m, cursors, path);
	return 0;
}

void merge_items_fini(struct merge *m)
{
	for (size_t i = 0; i < m->count; i++) {
		struct merge_item *it = &m->items[i];

		free(it->attr_conflicts);
		free(it->beside);
		free(it->result.text);
		free(it->result.xattrs);
	}
	free(m->items);
	m->items = NULL;
	m->count = 0;
}

static int compare_items(const void *a, const void *b)
{
	return tree_path_compare(
		((const struct merge_item *)a)->path, ((const struct merge_item *)b)->path);
}

struct merge_item *merge_items_find(const struct merge *m, const char *path)
{
	struct merge_item key = {.path = path};

	return m->count == 0 ? NULL
			     : bsearch(&key, m->items, m->count, sizeof(*m->items), compare_items);
}

struct tree *merge_tree_of(
	const struct merge *m, const struct merge_item *it, const struct tree_entry *en)
{
	if (en == it->new)
		return m->trees->new_base;
	return en == it->upper ? m->trees->upper : m->trees->old_base;
}

/* What a reader says of a damaged image is one thing to the caller. */
static int cannot_read(int r, struct err *e)
{
	if (r == -EINTR)
		return r;
	if (e)
		e->code = EBADMSG;
	return -EBADMSG;
}

static int compare_bytes(struct source *x, struct source *y, bool *same, struct err *e)
{
	autofree char *a = xcalloc(1, COMPARE_BYTES);
	autofree char *b = xcalloc(1, COMPARE_BYTES);

	*same = x->size_bytes == y->size_bytes;
	for (uint64_t off = 0; *same && off < x->size_bytes; off += COMPARE_BYTES) {
		size_t n = (size_t)MIN(COMPARE_BYTES, x->size_bytes - off);
		int r = source_read_at(x, a, n, off, e);

		if (r == 0)
			r = source_read_at(y, b, n, off, e);
		if (r < 0)
			return r;
		*same = memcmp(a, b, n) == 0;
	}
	return 0;
}

static int compare_files(
	const struct merge_side *a, const struct merge_side *b, bool *same, struct err *e)
{
	autoptr(source) x = NULL;
	autoptr(source) y = NULL;
	int r = tree_open(a->tree, a->en, &x, e);

	if (r == 0)
		r = tree_open(b->tree, b->en, &y, e);
	if (r == 0)
		r = compare_bytes(x, y, same, e);
	return r < 0 ? cannot_read(r, e) : 0;
}

int merge_same_content(
	const struct merge_side *a, const struct merge_side *b, bool *same, struct err *e)
{
	const struct tree_entry *x = a->en, *y = b->en;

	*same = x == y;
	if (!merge_same_type(x, y) || x == y)
		return 0;
	if (merge_is_folder(x))
		*same = true;
	else if (merge_is_link(x))
		*same = str_eq(x->target, y->target);
	else if (!merge_is_regular(x))
		*same = x->dev_major == y->dev_major && x->dev_minor == y->dev_minor;
	else if (x->size_bytes == y->size_bytes)
		return compare_files(a, b, same, e);
	return 0;
}

int merge_read(const struct merge_side *s, size_t max_bytes, char **out, size_t *len, struct err *e)
{
	autoptr(source) src = NULL;
	int r = tree_open(s->tree, s->en, &src, e);

	if (r < 0)
		return cannot_read(r, e);
	if (src->size_bytes > max_bytes)
		return err_set(e, EFBIG, "'/%s' is larger than %zu bytes", s->en->path, max_bytes);
	autofree char *text = xcalloc(1, (size_t)src->size_bytes + 1);
	r = source_read_at(src, text, (size_t)src->size_bytes, 0, e);
	if (r < 0)
		return cannot_read(err_wrap(e, r, "'/%s'", s->en->path), e);
	if (len)
		*len = (size_t)src->size_bytes;
	*out = take_ptr(text);
	return 0;
}

bool merge_xattr_is_private(const struct xattr *x)
{
	return str_starts(x->name, OVERLAY_PRIVATE);
}

const struct xattr *merge_xattr_find(const struct tree_entry *en, const char *name)
{
	for (size_t i = 0; en && i < en->xattr_count; i++)
		if (str_eq(en->xattrs[i].name, name))
			return &en->xattrs[i];
	return NULL;
}

bool merge_xattr_same(const struct xattr *a, const struct xattr *b)
{
	if (!a || !b)
		return a == b;
	return a->len == b->len && memcmp(a->value, b->value, a->len) == 0;
}

static bool has_all_xattrs(const struct tree_entry *a, const struct tree_entry *b)
{
	for (size_t i = 0; i < a->xattr_count; i++)
		if (!merge_xattr_is_private(&a->xattrs[i]) &&
			!merge_xattr_same(&a->xattrs[i], merge_xattr_find(b, a->xattrs[i].name)))
			return false;
	return true;
}

bool merge_same_attributes(const struct tree_entry *a, const struct tree_entry *b)
{
	return a->mode == b->mode && has_all_xattrs(a, b) && has_all_xattrs(b, a);
}
