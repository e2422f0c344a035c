/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/overlay.h"

#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"

/* The kernel's own attributes; those of an overlay inside the overlay have one more "overlay.". */
#define OVERLAY_PREFIX "trusted.overlay."
#define ESCAPED_PREFIX OVERLAY_PREFIX "overlay."
#define UPPER_INODE    (1ULL << 63) /* inodes of two file systems are told apart by this */

struct compose {
	struct tree *base, *upper;
};

static const struct xattr *find_xattr(const struct tree_entry *en, const char *name)
{
	for (size_t i = 0; i < en->xattr_count; i++)
		if (str_eq(en->xattrs[i].name, name))
			return &en->xattrs[i];
	return NULL;
}

bool overlay_is_whiteout(const struct tree_entry *en)
{
	if (S_ISCHR(en->mode))
		return en->dev_major == 0 && en->dev_minor == 0;
	/* The other form, where device nodes cannot be made. */
	return S_ISREG(en->mode) && en->size_bytes == 0 &&
		find_xattr(en, OVERLAY_PREFIX "whiteout");
}

bool overlay_is_opaque(const struct tree_entry *en)
{
	const struct xattr *x = find_xattr(en, OVERLAY_PREFIX "opaque");

	return S_ISDIR(en->mode) && x && x->len == 1 && *(const char *)x->value == 'y';
}

static void copy_xattrs(const struct tree_entry *from, struct tree_entry *to)
{
	to->xattrs = from->xattr_count > 0 ? xcalloc(from->xattr_count, sizeof(*to->xattrs)) : NULL;
	to->xattr_count = 0;
	for (size_t i = 0; i < from->xattr_count; i++) {
		const struct xattr *x = &from->xattrs[i];
		bool escaped = str_starts(x->name, ESCAPED_PREFIX);

		if (str_starts(x->name, OVERLAY_PREFIX) && !escaped)
			continue;
		to->xattrs[to->xattr_count++] = (struct xattr){
			.name = escaped
				? xasprintf(OVERLAY_PREFIX "%s", x->name + strlen(ESCAPED_PREFIX))
				: xstrdup(x->name),
			.value = xmemdup(x->value, x->len),
			.len = x->len,
		};
	}
}

static void add_copy(struct tree *t, const struct tree_entry *en, uint64_t inode_mark)
{
	struct tree_entry copy = *en;

	copy.path = xstrdup(en->path);
	copy.target = en->target ? xstrdup(en->target) : NULL;
	copy.inode = en->inode != 0 ? en->inode | inode_mark : 0;
	copy_xattrs(en, &copy);
	tree_add(t, &copy);
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 || (strncmp(path, folder, len) == 0 && path[len] == '/');
}

static bool hides_below(const struct tree_entry *upper, const struct tree_entry *base)
{
	return !S_ISDIR(upper->mode) || overlay_is_opaque(upper) || (base && !S_ISDIR(base->mode));
}

static void compose(struct tree *out, const struct tree *base, const struct tree *upper)
{
	const char *hidden = NULL; /* a path: nothing of the base shows below it */

	for (size_t i = 0, k = 0; i < base->count || k < upper->count;) {
		const struct tree_entry *x = i < base->count ? &base->entries[i] : NULL;
		const struct tree_entry *y = k < upper->count ? &upper->entries[k] : NULL;
		int order = !x ? 1 : !y ? -1 : tree_path_compare(x->path, y->path);

		i += order <= 0;
		k += order >= 0;
		if (order < 0) {
			if (!hidden || !is_below(x->path, hidden))
				add_copy(out, x, 0);
			continue;
		}
		if (hides_below(y, order == 0 ? x : NULL) &&
			(!hidden || !is_below(y->path, hidden)))
			hidden = y->path;
		if (!overlay_is_whiteout(y))
			add_copy(out, y, UPPER_INODE);
	}
}

static int compose_open(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	const struct compose *c = t->ctx;
	const struct tree_entry *from = overlay_origin(t, en);
	struct tree *parent = tree_find(c->upper, en->path) == from ? c->upper : c->base;

	return tree_open(parent, from, out, e);
}

static const struct tree_ops compose_ops = {.open = compose_open, .free = free};

struct tree *overlay_compose(struct tree *base, struct tree *upper)
{
	struct compose *c = xcalloc(1, sizeof(*c));

	*c = (struct compose){.base = base, .upper = upper};
	struct tree *t = tree_new(&compose_ops, c);
	compose(t, base, upper);
	tree_sort(t);
	return t;
}

const struct tree_entry *overlay_origin(const struct tree *t, const struct tree_entry *en)
{
	const struct compose *c = t->ctx;

	if (t->ops != &compose_ops)
		return en;
	const struct tree_entry *upper = tree_find(c->upper, en->path);
	return upper ? upper : tree_find(c->base, en->path);
}
