/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/node-diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "upgrade/overlay.h"

#define READ_BYTES (256 * KIB)

void node_diff_fini(struct node_diff *d)
{
	for (size_t i = 0; i < d->file_count; i++)
		strv_fini(&d->files[i].xattrs);
	free(d->files);
	diff_fini(&d->packages);
	*d = (struct node_diff){0};
}

char *node_change_path(const struct node_change *c)
{
	return xasprintf("/%s", (c->new_one ? c->new_one : c->old_one)->path);
}

static int same_bytes(struct source *a, struct source *b, bool *same, struct err *e)
{
	autofree uint8_t *x = xcalloc(2, READ_BYTES);
	uint8_t *y = x + READ_BYTES;
	int r = 0;

	*same = a->size_bytes == b->size_bytes;
	for (uint64_t off = 0; r == 0 && *same && off < a->size_bytes; off += READ_BYTES) {
		size_t len = (size_t)MIN(READ_BYTES, a->size_bytes - off);

		r = source_read_at(a, x, len, off, e);
		if (r == 0)
			r = source_read_at(b, y, len, off, e);
		*same = r == 0 && memcmp(x, y, len) == 0;
	}
	return r;
}

static int same_file(
	const struct node_diff *d, const struct node_change *c, bool *same, struct err *e)
{
	autoptr(source) a = NULL;
	autoptr(source) b = NULL;

	if (c->old_one->size_bytes != c->new_one->size_bytes) {
		*same = false;
		return 0;
	}
	int r = tree_open(d->old_tree, c->old_one, &a, e);
	if (r == 0)
		r = tree_open(d->new_tree, c->new_one, &b, e);
	/* On a running system it may have gone since it was listed. */
	if (r == -ENOENT) {
		*same = false;
		return 0;
	}
	return r == 0 ? same_bytes(a, b, same, e) : r;
}

static int compare_content(const struct node_diff *d, struct node_change *c, struct err *e)
{
	const struct tree_entry *x = c->old_one, *y = c->new_one;
	bool same = true;
	int r = 0;

	if (S_ISREG(x->mode))
		r = same_file(d, c, &same, e);
	else if (S_ISLNK(x->mode))
		same = str_eq(x->target, y->target);
	else if (S_ISCHR(x->mode) || S_ISBLK(x->mode))
		same = x->dev_major == y->dev_major && x->dev_minor == y->dev_minor;
	c->content = !same;
	return r;
}

static bool same_value(const struct xattr *x, const struct xattr *y)
{
	return x->len == y->len && memcmp(x->value, y->value, x->len) == 0;
}

/* Both are sorted by name. */
static void compare_xattrs(struct node_change *c)
{
	const struct tree_entry *a = c->old_one, *b = c->new_one;

	for (size_t i = 0, k = 0; i < a->xattr_count || k < b->xattr_count;) {
		const struct xattr *x = i < a->xattr_count ? &a->xattrs[i] : NULL;
		const struct xattr *y = k < b->xattr_count ? &b->xattrs[k] : NULL;
		int order = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);

		if (x && order < 0)
			strv_add(&c->xattrs, x->name);
		else if (y && order > 0)
			strv_add(&c->xattrs, y->name);
		else if (x && y && !same_value(x, y))
			strv_add(&c->xattrs, x->name);
		i += order <= 0;
		k += order >= 0;
	}
}

static int compare(const struct node_diff *d, struct node_change *c, struct err *e)
{
	const struct tree_entry *x = c->old_one, *y = c->new_one;

	if (overlay_origin(d->old_tree, x) == overlay_origin(d->new_tree, y))
		return 0;
	c->type = (x->mode & S_IFMT) != (y->mode & S_IFMT);
	c->mode = (x->mode & ~S_IFMT) != (y->mode & ~S_IFMT);
	c->owner = x->uid != y->uid || x->gid != y->gid;
	compare_xattrs(c);
	return c->type ? 0 : compare_content(d, c, e);
}

static bool differs(const struct node_change *c)
{
	return c->change != DIFF_CHANGED || c->type || c->content || c->mode || c->owner ||
		c->xattrs.count > 0;
}

static void add_change(struct node_diff *d, const struct node_change *c)
{
	if ((d->file_count & (d->file_count - 1)) == 0)
		d->files = xrealloc(d->files, MAX(1, 2 * d->file_count) * sizeof(*d->files));
	d->files[d->file_count++] = *c;
}

static int add_pair(
	struct node_diff *d, const struct tree_entry *x, const struct tree_entry *y, struct err *e)
{
	struct node_change c = {
		.change = !x ? DIFF_ADDED
			: !y ? DIFF_REMOVED
			     : DIFF_CHANGED,
		.old_one = x,
		.new_one = y,
	};
	int r = x && y ? compare(d, &c, e) : 0;

	if (r == 0 && differs(&c))
		add_change(d, &c);
	else
		strv_fini(&c.xattrs);
	return r;
}

static int diff_files(struct node_diff *d, struct progress *p, struct err *e)
{
	const struct tree *a = d->old_tree, *b = d->new_tree;
	int r = 0;

	progress_begin(p, "files", b->count, "files");
	for (size_t i = 0, k = 0; r == 0 && (i < a->count || k < b->count);) {
		const struct tree_entry *x = i < a->count ? &a->entries[i] : NULL;
		const struct tree_entry *y = k < b->count ? &b->entries[k] : NULL;
		int order = !x ? 1 : !y ? -1 : tree_path_compare(x->path, y->path);

		r = add_pair(d, order <= 0 ? x : NULL, order >= 0 ? y : NULL, e);
		i += order <= 0;
		k += order >= 0;
		if (r == 0)
			r = progress_advance(p, k, e);
	}
	progress_end(p);
	return r;
}

int node_diff(struct tree *old_tree, struct tree *new_tree, unsigned what, struct node_diff *out,
	struct progress *p, struct err *e)
{
	int r = 0;

	out->old_tree = old_tree;
	out->new_tree = new_tree;
	if (what & NODE_DIFF_PACKAGES)
		r = diff_packages(old_tree, new_tree, &out->packages, e);
	return r == 0 && (what & NODE_DIFF_FILES) ? diff_files(out, p, e) : r;
}
