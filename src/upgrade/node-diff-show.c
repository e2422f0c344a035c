/* SPDX-License-Identifier: Apache-2.0 */
/* A difference as text, as JSON, and as "diff -u" shows it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "node/text.h"
#include "upgrade/node-diff.h"

#define SHOWN_MAX_BYTES (1 * MIB) /* of a file */
/* Of "diff -u" over two of these: every line of both, with a mark. */
#define OUTPUT_MAX_BYTES (8 * SHOWN_MAX_BYTES)
#define DIFF_SECONDS     60

static const char *const changes[] = {
	[DIFF_ADDED] = "added",
	[DIFF_REMOVED] = "removed",
	[DIFF_CHANGED] = "changed",
};

static const char marks[] = {
	[DIFF_ADDED] = '+',
	[DIFF_REMOVED] = '-',
	[DIFF_CHANGED] = '~',
};

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "folder";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
	case S_IFBLK:
		return "device";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

/* One side of "diff -u". */
struct side {
	char *label;
	int fd; /* in memory, with the content; empty when there is no such file */
	bool is_binary, is_large, is_gone;
};

static void side_fini(struct side *s)
{
	free(s->label);
	close_auto(&s->fd);
}

static int load_side(struct side *s, struct tree *t, const struct tree_entry *en,
	const char *prefix, struct err *e)
{
	autoptr(source) content = NULL;

	s->label = en ? xasprintf("%s/%s", prefix, en->path) : xstrdup("/dev/null");
	s->fd = memfd_create("bedplate-diff", MFD_CLOEXEC);
	if (s->fd < 0)
		return err_errno(e, "memory for a file to compare");
	if (!en)
		return 0;
	s->is_large = en->size_bytes > SHOWN_MAX_BYTES;
	int r = s->is_large ? 0 : tree_open(t, en, &content, e);
	/* On a running system it may have gone or grown since it was listed. */
	s->is_gone = r == -ENOENT;
	if (r < 0 || !content)
		return s->is_gone ? 0 : r;
	size_t len = (size_t)MIN(content->size_bytes, SHOWN_MAX_BYTES);
	autofree char *data = xcalloc(1, len + 1);
	r = source_read_at(content, data, len, 0, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", en->path);
	s->is_binary = memchr(data, '\0', len) != NULL;
	return io_write(s->fd, data, len, e);
}

static void add_label(struct cmd *c, const struct side *s)
{
	autofree char *label = str_printable(s->label);

	cmd_addf(c, "--label=%s", label);
}

static int run_diff(const struct side *a, const struct side *b, char **text, struct err *e)
{
	autofd int out = memfd_create("bedplate-diff", MFD_CLOEXEC);
	autocmd c = {.log_fd = out, .timeout_seconds = DIFF_SECONDS};

	if (out < 0)
		return err_errno(e, "memory for a difference");
	cmd_add(&c, "diff", "--text", "-u", NULL);
	add_label(&c, a);
	add_label(&c, b);
	/* Descriptors stay out of the child, but it may look at ours. */
	cmd_addf(&c, "/proc/%d/fd/%d", (int)getpid(), a->fd);
	cmd_addf(&c, "/proc/%d/fd/%d", (int)getpid(), b->fd);
	int r = cmd_run(&c, e);
	/* 1: they differ. */
	if (r == -EPROTO && WIFEXITED(c.status) && WEXITSTATUS(c.status) == 1)
		r = 0;
	if (r < 0)
		return r;
	if (lseek(out, 0, SEEK_SET) < 0)
		return err_errno(e, "diff");
	return file_read_fd(out, OUTPUT_MAX_BYTES, text, NULL, e);
}

static bool has_shown_content(const struct node_change *c)
{
	const struct tree_entry *x = c->old_one, *y = c->new_one;

	if (c->change == DIFF_CHANGED && !c->content && !c->type)
		return false;
	return (x && S_ISREG(x->mode)) || (y && S_ISREG(y->mode));
}

static const struct tree_entry *only_file(const struct tree_entry *en)
{
	return en && S_ISREG(en->mode) ? en : NULL;
}

int node_diff_content(
	const struct node_diff *d, const struct node_change *c, char **text, struct err *e)
{
	auto_with(side_fini) struct side a = {.fd = -1};
	auto_with(side_fini) struct side b = {.fd = -1};

	*text = NULL;
	if (!has_shown_content(c))
		return 0;
	int r = load_side(&a, d->old_tree, only_file(c->old_one), "a", e);
	if (r == 0)
		r = load_side(&b, d->new_tree, only_file(c->new_one), "b", e);
	if (r < 0)
		return r;
	autofree char *path = node_change_path(c);
	autofree char *clean = str_printable(path);
	if (a.is_gone || b.is_gone)
		*text = xasprintf("File %s was removed meanwhile\n", clean);
	else if (a.is_large || b.is_large)
		*text = xasprintf("Large file %s differs\n", clean);
	else if (a.is_binary || b.is_binary)
		*text = xasprintf("Binary file %s differs\n", clean);
	else
		r = run_diff(&a, &b, text, e);
	return r < 0 ? err_wrap(e, r, "'%s'", clean) : 0;
}

char *node_change_what(const struct node_change *c)
{
	autostrbuf b = {0};
	const struct {
		bool is_set;
		const char *name;
	} parts[] = {
		{c->type, "type"}, {c->content, "content"}, {c->mode, "mode"}, {c->owner, "owner"}};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (parts[i].is_set)
			strbuf_printf(&b, "%s%s", b.len > 0 ? ", " : "", parts[i].name);
	for (size_t i = 0; i < c->xattrs.count; i++)
		strbuf_printf(&b, "%sxattr %s", b.len > 0 ? ", " : "", c->xattrs.items[i]);
	return strbuf_take(&b);
}

static void add_package(struct strbuf *out, const struct diff_package *p)
{
	const char *old_version = p->old_version ? p->old_version : "";
	const char *new_version = p->new_version ? p->new_version : "";

	text_line(out, "%c %s:%s %s%s%s", marks[p->change], p->name, p->arch, old_version,
		p->change == DIFF_CHANGED ? " -> " : "", new_version);
}

static void add_file(struct strbuf *out, const struct node_change *c)
{
	autofree char *path = node_change_path(c);
	autofree char *what = node_change_what(c);

	if (c->change == DIFF_CHANGED)
		text_line(out, "%c %s (%s)", marks[c->change], path, what);
	else
		text_line(out, "%c %s", marks[c->change], path);
}

/* As text_line(), but for tabs, which a patch has to keep. */
static void add_patch_line(struct strbuf *out, char *line)
{
	char *rest = line;

	for (char *tab; (tab = strchr(rest, '\t')); rest = tab + 1) {
		*tab = '\0';
		autofree char *clean = str_printable(rest);
		strbuf_printf(out, "%s\t", clean);
	}
	text_line(out, "%s", rest);
}

static void add_patch(struct strbuf *out, char *text)
{
	for (char *line = text, *next; *line; line = next) {
		size_t len = strcspn(line, "\n");

		next = line + len + (line[len] == '\n');
		line[len] = '\0';
		add_patch_line(out, line);
	}
}

static int add_content(const struct node_diff *d, struct strbuf *out, struct err *e)
{
	bool first = true;

	for (size_t i = 0; i < d->file_count; i++) {
		autofree char *text = NULL;
		int r = node_diff_content(d, &d->files[i], &text, e);

		if (r < 0)
			return r;
		if (!text || !*text)
			continue;
		if (first && out->len > 0)
			strbuf_putc(out, '\n');
		first = false;
		add_patch(out, text);
	}
	return 0;
}

int node_diff_text(const struct node_diff *d, bool content, struct strbuf *out, struct err *e)
{
	for (size_t i = 0; i < d->packages.package_count; i++)
		add_package(out, &d->packages.packages[i]);
	if (d->packages.package_count > 0 && d->file_count > 0)
		strbuf_putc(out, '\n');
	for (size_t i = 0; i < d->file_count; i++)
		add_file(out, &d->files[i]);
	return content ? add_content(d, out, e) : 0;
}

static json_t *json_entry(const struct tree_entry *en)
{
	if (!en)
		return json_null();
	return json_pack("{s:s, s:i, s:I, s:I, s:I, s:o}", "type", type_name(en->mode), "mode",
		(int)(en->mode & 07777), "uid", (json_int_t)en->uid, "gid", (json_int_t)en->gid,
		"size", (json_int_t)(S_ISREG(en->mode) ? en->size_bytes : 0), "target",
		json_text(en->target));
}

static json_t *json_file(const struct node_change *c)
{
	autofree char *path = node_change_path(c);
	json_t *xattrs = json_array();

	for (size_t i = 0; i < c->xattrs.count; i++)
		json_array_append_new(xattrs, json_text(c->xattrs.items[i]));
	return json_pack("{s:s, s:o, s:b, s:b, s:b, s:b, s:o, s:o, s:o}", "change",
		changes[c->change], "path", json_text(path), "type", c->type, "content", c->content,
		"mode", c->mode, "owner", c->owner, "xattrs", xattrs, "old", json_entry(c->old_one),
		"new", json_entry(c->new_one));
}

static json_t *json_packages(const struct node_diff *d)
{
	json_t *a = json_array();

	for (size_t i = 0; i < d->packages.package_count; i++) {
		const struct diff_package *p = &d->packages.packages[i];

		json_array_append_new(a,
			json_pack("{s:s, s:o, s:o, s:o, s:o}", "change", changes[p->change], "name",
				json_text(p->name), "arch", json_text(p->arch), "old_version",
				json_text(p->old_version), "new_version",
				json_text(p->new_version)));
	}
	return a;
}

static int json_files(const struct node_diff *d, bool content, json_t *a, struct err *e)
{
	for (size_t i = 0; i < d->file_count; i++) {
		json_t *file = json_file(&d->files[i]);
		autofree char *text = NULL;

		json_array_append_new(a, file);
		if (!content)
			continue;
		int r = node_diff_content(d, &d->files[i], &text, e);
		if (r < 0)
			return r;
		json_object_set_new(file, "diff", json_text(text));
	}
	return 0;
}

int node_diff_json(
	const struct node_diff *d, unsigned what, bool content, json_t **out, struct err *e)
{
	json_t *files = json_array();
	int r = json_files(d, content, files, e);

	if (r < 0) {
		json_decref(files);
		return r;
	}
	*out = json_object();
	if (what & NODE_DIFF_PACKAGES)
		json_object_set_new(*out, "packages", json_packages(d));
	if (what & NODE_DIFF_FILES)
		json_object_set(*out, "files", files);
	json_decref(files);
	return 0;
}
