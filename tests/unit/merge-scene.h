/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees as text: items with a blank between them.
 *
 *   PATH=TEXT  PATH->TARGET  PATH/  PATH!  PATH<   file, link, folder, whiteout, pipe
 *   |NAME=VALUE,...   behind one: mode (octal), uid, gid, opaque, acl, dacl (for what will
 *   be made in that folder), cap, or an attribute
 *
 * In TEXT '~' is a newline, '^' a NUL, "%N:" in front N bytes of filling behind.  Folders on the way
 * are made, and are left out when a tree is turned to text unless they are something special.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "base/tree.h"
#include "folder.h"

static const unsigned char acl_bytes[] =
	"\2\0\0\0\1\0\6\0\377\377\377\377\2\0\4\0\1\0\0\0\4\0\4\0\377"
	"\377\377\377\20\0\4\0\377\377\377\377\40\0\4\0\377\377"
	"\377\377";
static const unsigned char cap_bytes[] = "\1\0\0\2\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

static const struct {
	const char *name, *xattr;
	const void *value;
	size_t len;
} known_xattrs[] = {
	{"acl", "system.posix_acl_access", acl_bytes, sizeof(acl_bytes) - 1},
	{"dacl", "system.posix_acl_default", acl_bytes, sizeof(acl_bytes) - 1},
	{"cap", "security.capability", cap_bytes, sizeof(cap_bytes) - 1},
	{"opaque", "trusted.overlay.opaque", "y", 1},
};

static inline void scene_set_xattr(const char *path, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(known_xattrs); i++)
		if (str_eq(name, known_xattrs[i].name)) {
			assert_int_equal(lsetxattr(path, known_xattrs[i].xattr,
						 known_xattrs[i].value, known_xattrs[i].len, 0),
				0);
			return;
		}
	assert_int_equal(lsetxattr(path, name, value, strlen(value), 0), 0);
}

static inline void scene_set_attribute(const char *path, char *text)
{
	char *name = str_next_word(&text, "=");
	const char *value = text ? text : "";
	unsigned long number = strtoul(value, NULL, str_eq(name, "mode") ? 8 : 10);

	if (str_eq(name, "mode"))
		assert_int_equal(chmod(path, (mode_t)number), 0);
	else if (str_eq(name, "uid"))
		assert_int_equal(lchown(path, (uid_t)number, (gid_t)-1), 0);
	else if (str_eq(name, "gid"))
		assert_int_equal(lchown(path, (uid_t)-1, (gid_t)number), 0);
	else
		scene_set_xattr(path, name, value);
}

static inline void scene_make_folder(const char *path)
{
	struct err e = {0};

	assert_ok(file_make_folder(path, 0755, &e), e);
}

static inline void scene_make_file(const char *path, char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t filling = 0, len;
	struct err e = {0};
	char *end = NULL;

	assert_true(fd >= 0);
	if (text[0] == '%') {
		filling = strtoul(text + 1, &end, 10);
		text = end + 1;
	}
	len = strlen(text);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(text[i] == '~' ? '\n' : text[i] == '^' ? '\0' : text[i]);
	assert_ok(io_write(fd, text, len, &e), e);
	autofree char *more = xcalloc(1, filling + 1);
	memset(more, 'p', filling);
	assert_ok(io_write(fd, more, filling, &e), e);
	close(fd);
}

static inline void scene_make_item(const char *root, char *item)
{
	char *attributes = strchr(item, '|');
	size_t len = strcspn(item, "=!<|");
	autofree char *path = NULL;
	char *arrow;

	if (attributes)
		*attributes++ = '\0';
	arrow = strstr(item, "->");
	if (arrow && (size_t)(arrow - item) < len)
		len = (size_t)(arrow - item);
	path = xasprintf("%s/%.*s", root, (int)len, item);

	char *slash = strrchr(path, '/');
	*slash = '\0';
	scene_make_folder(path);
	*slash = '/';
	if (item[len] == '=')
		scene_make_file(path, item + len + 1);
	else if (item[len] == '-')
		assert_int_equal(symlink(item + len + 2, path), 0);
	else if (item[len] == '!')
		assert_int_equal(mknod(path, S_IFCHR, makedev(0, 0)), 0);
	else if (item[len] == '<')
		assert_int_equal(mkfifo(path, 0644), 0);
	for (char *a; attributes && (a = str_next_word(&attributes, ","));)
		scene_set_attribute(path, a);
}

static inline void scene_make(const char *root, const char *spec)
{
	autofree char *copy = xstrdup(spec);
	char *rest = copy;

	scene_make_folder(root);
	for (char *item; (item = str_next_word(&rest, " "));)
		scene_make_item(root, item);
}

static inline void scene_add_content(struct strbuf *b, struct tree *t, const struct tree_entry *en)
{
	autoptr(source) s = NULL;
	struct err e = {0};

	assert_ok(tree_open(t, en, &s, &e), e);
	if (s->size_bytes > 4096) {
		strbuf_printf(b, "%%%zu", (size_t)s->size_bytes);
		return;
	}
	autofree char *text = xcalloc(1, (size_t)s->size_bytes + 1);
	assert_ok(source_read_at(s, text, (size_t)s->size_bytes, 0, &e), e);
	for (size_t i = 0; i < s->size_bytes; i++)
		strbuf_putc(b, (char)(text[i] == '\n' ? '~' : text[i] == '\0' ? '^' : text[i]));
}

static inline void scene_add_xattr(struct strbuf *b, const struct xattr *x)
{
	for (size_t i = 0; i < ARRAY_LEN(known_xattrs); i++)
		if (str_eq(x->name, known_xattrs[i].xattr) && x->len == known_xattrs[i].len &&
			memcmp(x->value, known_xattrs[i].value, x->len) == 0) {
			strbuf_printf(b, "%s,", known_xattrs[i].name);
			return;
		}
	strbuf_printf(b, "%s=%.*s,", x->name, (int)x->len, (const char *)x->value);
}

static inline void scene_add_attributes(struct strbuf *b, const struct tree_entry *en)
{
	unsigned usual = S_ISDIR(en->mode) ? 0755 : S_ISLNK(en->mode) ? 0777 : 0644;
	autostrbuf a = {0};

	if (S_ISCHR(en->mode))
		return;
	if ((en->mode & 07777) != usual)
		strbuf_printf(&a, "mode=%o,", en->mode & 07777);
	if (en->uid != 0)
		strbuf_printf(&a, "uid=%u,", en->uid);
	if (en->gid != 0)
		strbuf_printf(&a, "gid=%u,", en->gid);
	for (size_t i = 0; i < en->xattr_count; i++)
		scene_add_xattr(&a, &en->xattrs[i]);
	if (a.len > 0)
		strbuf_printf(b, "|%.*s", (int)(a.len - 1), a.data);
}

static inline void scene_add_item(struct strbuf *b, struct tree *t, const struct tree_entry *en)
{
	strbuf_puts(b, en->path);
	if (S_ISREG(en->mode)) {
		strbuf_putc(b, '=');
		scene_add_content(b, t, en);
	} else if (S_ISLNK(en->mode)) {
		strbuf_printf(b, "->%s", en->target);
	} else {
		strbuf_putc(b, (char)(S_ISDIR(en->mode) ? '/' : S_ISCHR(en->mode) ? '!' : '<'));
	}
	scene_add_attributes(b, en);
}

/* The caller frees it. */
static inline char *scene_text(struct tree *t)
{
	autostrbuf b = {0};

	for (size_t i = 1; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];
		size_t before = b.len, len = strlen(en->path);
		bool has_more = i + 1 < t->count &&
			strncmp(t->entries[i + 1].path, en->path, len) == 0 &&
			t->entries[i + 1].path[len] == '/';

		if (before > 0)
			strbuf_putc(&b, ' ');
		scene_add_item(&b, t, en);
		if (S_ISDIR(en->mode) && has_more && b.data[b.len - 1] == '/')
			b.data[b.len = before] = '\0';
	}
	return strbuf_take(&b);
}
