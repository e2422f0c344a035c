/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/view.h"

#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"

#define LINKS_MAX 40 /* as the kernel */

static int open_file(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	int fd = file_open_beneath((int)(intptr_t)t->ctx, en->path, O_RDONLY | O_NOFOLLOW, e);

	return fd < 0 ? fd : source_open_fd(fd, out, e);
}

struct tree *view_tree_new(int root_fd)
{
	static const struct tree_ops ops = {.open = open_file};

	return tree_new(&ops, (void *)(intptr_t)root_fd);
}

void view_begin(struct view *v, int root_fd)
{
	*v = (struct view){.tree = view_tree_new(root_fd), .root_fd = root_fd};
}

void view_fini(struct view *v)
{
	tdestroy(v->seen, free);
	tree_free(v->tree);
	*v = (struct view){0};
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* No link is on the way to it.  1: it is a link, and *target where it leads. */
static int add_one(struct view *v, const char *path, char **target, struct err *e)
{
	struct copy_place at = {.fd = -1};

	if (!tfind(path, &v->seen, compare)) {
		char *copy = xstrdup(path);

		if (!tsearch(copy, &v->seen, compare))
			abort();
		int r = copy_place_open(v->root_fd, path, &at, NULL);
		if (r == -ENOENT || r == -ENOTDIR)
			return 0;
		if (r < 0)
			return err_set(e, -r, "'/%s' cannot be looked at", path);
		r = tree_look(v->tree, at.fd, at.name, path, e);
		close(at.fd);
		if (r < 0)
			return r;
	}
	autofd int fd = file_open_beneath(v->root_fd, path, O_PATH | O_NOFOLLOW, NULL);
	char text[PATH_MAX + 1];
	ssize_t len = fd < 0 ? -1 : readlinkat(fd, "", text, PATH_MAX);
	if (len < 0)
		return 0;
	*target = xstrndup(text, (size_t)len);
	return 1;
}

static void drop_last(struct strbuf *path)
{
	const char *slash = path->data ? strrchr(path->data, '/') : NULL;

	path->len = slash ? (size_t)(slash - path->data) : 0;
	if (path->data)
		path->data[path->len] = '\0';
}

/* As plugin_real_path() will go. */
static int walk(struct view *v, const char *path, struct strbuf *at, struct err *e)
{
	autofree char *todo = xstrdup(path);
	autofree char *none = NULL;
	char *rest = todo;
	unsigned links = 0;
	int begin = add_one(v, "", &none, e);

	if (begin < 0)
		return begin;

	for (char *name; (name = str_next_word(&rest, "/"));) {
		autofree char *target = NULL;

		if (str_eq(name, "."))
			continue;
		if (str_eq(name, "..")) {
			drop_last(at);
			continue;
		}
		strbuf_printf(at, "%s%s", at->len > 0 ? "/" : "", name);
		int r = add_one(v, at->data, &target, e);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (++links > LINKS_MAX)
			return 0;
		drop_last(at);
		if (target[0] == '/') {
			at->len = 0;
			at->data[0] = '\0';
		}
		char *more = xasprintf("%s/%s", target, rest ? rest : "");
		free(todo);
		rest = todo = more;
	}
	return 0;
}

int view_add(struct view *v, const char *path, struct err *e)
{
	autostrbuf at = {0};

	return walk(v, path, &at, e);
}

int view_add_folder(struct view *v, const char *path, struct err *e)
{
	autostrbuf at = {0};
	autostrv names = {0};
	int r = walk(v, path, &at, e);

	if (r < 0 || at.len == 0)
		return r;
	autofd int fd = file_open_beneath(v->root_fd, at.data, O_RDONLY | O_DIRECTORY, NULL);
	if (fd < 0)
		return 0;
	autofree char *proc = xasprintf("/proc/self/fd/%d", fd);
	r = file_list(proc, &names, e);
	for (size_t i = 0; r >= 0 && i < names.count; i++) {
		autofree char *below = xasprintf("%s/%s", at.data, names.items[i]);

		r = view_add(v, below, e);
	}
	return MIN(r, 0);
}

void view_end(struct view *v)
{
	/* Names of one file on two file systems may have one number. */
	for (size_t i = 0; i < v->tree->count; i++)
		v->tree->entries[i].inode = 0;
	tree_sort(v->tree);
}
