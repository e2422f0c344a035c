/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/changes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"

#define CHUNK_BYTES (256 * KIB)

struct comparison {
	struct tree *base, *now;
	const struct tree *before;
	struct changes *out;
	char *buf; /* two chunks */
};

void changes_fini(struct changes *c)
{
	free(c->items);
	free(c->same);
	*c = (struct changes){0};
}

static void add(struct changes *c, enum change_kind kind, const struct tree_entry *en)
{
	if (c->count == c->room) {
		c->room = MAX(64, 2 * c->room);
		c->items = xrealloc(c->items, c->room * sizeof(*c->items));
	}
	c->items[c->count++] = (struct change){.kind = kind, .en = en};
}

static bool same_attributes(const struct tree *x, const struct tree_entry *a, const struct tree *y,
	const struct tree_entry *b)
{
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid ||
		a->size_bytes != b->size_bytes || a->dev_major != b->dev_major ||
		a->dev_minor != b->dev_minor ||
		!xattrs_equal(a->xattrs, a->xattr_count, b->xattrs, b->xattr_count))
		return false;
	if (S_ISLNK(a->mode) && !str_eq(a->target, b->target))
		return false;
	return str_eq(x->entries[a->link_of].path, y->entries[b->link_of].path);
}

/* 1 when both hold the same bytes. */
static int same_content(
	struct comparison *c, const struct tree_entry *a, const struct tree_entry *b, struct err *e)
{
	autoptr(source) x = NULL;
	autoptr(source) y = NULL;
	int r = tree_open(c->base, a, &x, e);

	if (r == 0)
		r = tree_open(c->now, b, &y, e);
	if (r < 0)
		return r;
	if (x->size_bytes != y->size_bytes)
		return 0;
	for (uint64_t off = 0; off < x->size_bytes; off += CHUNK_BYTES) {
		size_t n = (size_t)MIN(CHUNK_BYTES, x->size_bytes - off);

		r = source_read_at(x, c->buf, n, off, e);
		if (r == 0)
			r = source_read_at(y, c->buf + CHUNK_BYTES, n, off, e);
		if (r < 0)
			return r;
		if (memcmp(c->buf, c->buf + CHUNK_BYTES, n) != 0)
			return 0;
	}
	return 1;
}

/* Nobody can set st_ctim, and everything that changes a file or its attributes does. */
static bool is_untouched(const struct tree_entry *a, const struct tree_entry *b)
{
	return a->inode == b->inode && a->changed_ns == b->changed_ns && a->mode == b->mode &&
		a->size_bytes == b->size_bytes;
}

/* 1 when en is as base has it. */
static int is_as_base(struct comparison *c, const struct tree_entry *en, struct err *e)
{
	const struct tree_entry *old = tree_find(c->base, en->path);

	if (!old || !same_attributes(c->base, old, c->now, en))
		return 0;
	return S_ISREG(en->mode) ? same_content(c, old, en, e) : 1;
}

static int compare_entry(struct comparison *c, const struct tree_entry *was,
	const struct tree_entry *is, struct err *e)
{
	bool *same = &c->out->same[is - c->now->entries];
	bool touched = !is_untouched(was, is);
	int r;

	if (!touched) {
		*same = true;
		return 0;
	}
	r = is_as_base(c, is, e);
	if (r < 0)
		return r;
	*same = r > 0;
	if (r > 0)
		return 0;
	/* Whoever makes something in a folder has touched the folder. */
	if (!S_ISREG(is->mode) && same_attributes(c->before, was, c->now, is))
		return 0;
	add(c->out, CHANGE_CHANGED, is);
	return 0;
}

static int compare_all(struct comparison *c, struct err *e)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < c->before->count || k < c->now->count)) {
		const struct tree_entry *was = i < c->before->count ? &c->before->entries[i] : NULL;
		const struct tree_entry *is = k < c->now->count ? &c->now->entries[k] : NULL;
		int order = !was ? 1 : !is ? -1 : tree_path_compare(was->path, is->path);

		if (order < 0) {
			add(c->out, CHANGE_REMOVED, was);
		} else if (order > 0) {
			r = is_as_base(c, is, e);
			if (r == 0)
				add(c->out, CHANGE_ADDED, is);
			c->out->same[k] = r > 0;
			r = MIN(r, 0);
		} else {
			r = compare_entry(c, was, is, e);
		}
		i += order <= 0;
		k += order >= 0;
	}
	return r;
}

int changes_find(struct tree *base, const struct tree *before, struct tree *now,
	struct changes *out, struct err *e)
{
	autofree char *buf = xcalloc(2, CHUNK_BYTES);
	struct comparison c = {.base = base, .before = before, .now = now, .out = out, .buf = buf};
	int r;

	out->same = xcalloc(now->count + 1, sizeof(*out->same));
	r = compare_all(&c, e);
	if (r < 0)
		changes_fini(out);
	return r;
}

static int set_time(int root_fd, const struct tree_entry *en, int64_t mtime, struct err *e)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime}};
	const char *slash = strrchr(en->path, '/');
	autofree char *folder = slash ? xstrndup(en->path, (size_t)(slash - en->path))
				      : xstrdup(".");
	autofd int fd = file_open_beneath(root_fd, folder, O_PATH | O_DIRECTORY, e);
	const char *name = *en->path ? tree_entry_name(en) : ".";

	if (fd < 0)
		return fd;
	return utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) < 0
		? err_errno(e, "time of '/%s'", en->path)
		: 0;
}

int changes_restore_times(const struct tree *base, struct tree *now, const struct changes *c,
	int root_fd, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < now->count; i++) {
		struct tree_entry *en = &now->entries[i];
		const struct tree_entry *old = c->same[i] ? tree_find(base, en->path) : NULL;

		if (old && old->mtime != en->mtime)
			r = set_time(root_fd, en, old->mtime, e);
		if (r == 0 && old)
			en->mtime = old->mtime;
	}
	return r;
}
