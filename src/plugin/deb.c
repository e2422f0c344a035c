/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/deb.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/xalloc.h"

#define BLOCK_BYTES (256 * KIB)

/* The package as libarchive reads it, and data.tar in it as a second one does. */
struct reader {
	struct source *file;
	uint64_t at;
	char *buf, *inner_buf;
	struct archive *outer, *inner;
	struct deb_files *files;
	struct strv links; /* symbolic links of the package */
};

static void reader_fini(struct reader *rd)
{
	if (rd->inner)
		archive_read_free(rd->inner);
	if (rd->outer)
		archive_read_free(rd->outer);
	strv_fini(&rd->links);
	free(rd->buf);
	free(rd->inner_buf);
}

void deb_files_fini(struct deb_files *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->items[i].path);
	free(f->items);
	*f = (struct deb_files){0};
}

static la_ssize_t read_block(struct archive *a, void *ctx, const void **out)
{
	struct reader *rd = ctx;
	size_t n = (size_t)MIN(BLOCK_BYTES, rd->file->size_bytes - rd->at);
	struct err e = {0};
	int r = n > 0 ? source_read_at(rd->file, rd->buf, n, rd->at, &e) : 0;

	if (r < 0) {
		archive_set_error(a, -r, "%s", e.msg);
		return -1;
	}
	rd->at += n;
	*out = rd->buf;
	return (la_ssize_t)n;
}

static la_ssize_t read_inner(struct archive *a, void *ctx, const void **out)
{
	struct reader *rd = ctx;
	la_ssize_t n = archive_read_data(rd->outer, rd->inner_buf, BLOCK_BYTES);

	if (n < 0) {
		archive_set_error(a, EIO, "%s", archive_error_string(rd->outer));
		return -1;
	}
	*out = rd->inner_buf;
	return n;
}

static int no_package(struct archive *a, struct err *e)
{
	const char *text = a ? archive_error_string(a) : NULL;
	autofree char *safe = text ? str_printable(text) : NULL;

	return err_set(e, EBADMSG, "not a Debian package%s%s", safe ? ": " : "", safe ? safe : "");
}

/* "./usr/bin/x" as "usr/bin/x"; NULL: it leads elsewhere. */
static char *plain_path(const char *path)
{
	autofree char *copy = xstrdup(path);
	autostrbuf b = {0};
	char *rest = copy;

	if (path[0] == '/')
		return NULL;
	for (char *name; (name = str_next_word(&rest, "/"));) {
		if (str_eq(name, "."))
			continue;
		if (str_eq(name, ".."))
			return NULL;
		strbuf_printf(&b, "%s%s", b.len > 0 ? "/" : "", name);
	}
	return strbuf_take(&b);
}

static int refused(const char *path, const char *why, struct err *e)
{
	autofree char *safe = str_printable(path);

	return err_set(e, EBADMSG, "'%.200s' %s", safe, why);
}

static int check_kind(struct archive_entry *en, const char *path, struct err *e)
{
	const char *link = archive_entry_hardlink(en);
	autofree char *target = link ? plain_path(link) : NULL;

	if (link && !target)
		return refused(path, "is a hard link that leads out of the package", e);
	if (link)
		return 0;
	switch (archive_entry_filetype(en)) {
	case AE_IFREG:
	case AE_IFDIR:
	case AE_IFLNK:
		return 0;
	default:
		return refused(path, "is a device, a pipe or a socket", e);
	}
}

static void add_file(struct reader *rd, const char *path, bool is_folder)
{
	struct deb_files *f = rd->files;

	if (f->count == f->room) {
		f->room = MAX(64, 2 * f->room);
		f->items = xrealloc(f->items, f->room * sizeof(*f->items));
	}
	f->items[f->count++] = (struct deb_file){.path = xstrdup(path), .is_folder = is_folder};
}

static int add_entry(struct reader *rd, struct archive_entry *en, struct err *e)
{
	const char *given = archive_entry_pathname(en);
	autofree char *path = given ? plain_path(given) : NULL;
	int r;

	if (!given)
		return err_set(e, EBADMSG, "not a Debian package: a file without a name");
	if (!path)
		return refused(given, "leads out of the tree", e);
	r = check_kind(en, given, e);
	if (r < 0 || !*path)
		return r;
	if (rd->files->count == DEB_FILES_MAX)
		return err_set(e, EBADMSG, "more than %d files", DEB_FILES_MAX);
	if (!archive_entry_hardlink(en) && archive_entry_filetype(en) == AE_IFLNK)
		strv_add(&rd->links, path);
	add_file(rd, path, !archive_entry_hardlink(en) && archive_entry_filetype(en) == AE_IFDIR);
	/* Writing through a hard link would write to what it is linked to. */
	if (archive_entry_hardlink(en)) {
		autofree char *target = plain_path(archive_entry_hardlink(en));

		add_file(rd, target, false);
	}
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct deb_file *)a)->path, ((const struct deb_file *)b)->path);
}

static void sort_files(struct deb_files *f)
{
	size_t kept = 0;

	if (f->count > 1)
		qsort(f->items, f->count, sizeof(*f->items), compare_files);
	for (size_t i = 0; i < f->count; i++) {
		if (kept > 0 && str_eq(f->items[kept - 1].path, f->items[i].path))
			free(f->items[i].path);
		else
			f->items[kept++] = f->items[i];
	}
	f->count = kept;
}

const struct deb_file *deb_files_find(const struct deb_files *f, const char *path)
{
	struct deb_file key = {.path = (char *)(uintptr_t)path};

	if (f->count == 0)
		return NULL;
	return bsearch(&key, f->items, f->count, sizeof(*f->items), compare_files);
}

/* What lies below a link of the package itself would go wherever that leads. */
static int check_links(const struct reader *rd, struct err *e)
{
	for (size_t i = 0; i < rd->files->count; i++) {
		const char *path = rd->files->items[i].path;

		for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
			autofree char *above = xstrndup(path, (size_t)(p - path));

			if (strv_has(&rd->links, above))
				return refused(path, "lies below a link of the package", e);
		}
	}
	return 0;
}

static int read_files(struct reader *rd, struct err *e)
{
	struct archive_entry *en;
	int r;

	rd->inner = archive_read_new();
	rd->inner_buf = xcalloc(1, BLOCK_BYTES);
	if (!rd->inner || archive_read_support_format_tar(rd->inner) != ARCHIVE_OK ||
		archive_read_support_filter_gzip(rd->inner) != ARCHIVE_OK ||
		archive_read_support_filter_xz(rd->inner) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(rd->inner) != ARCHIVE_OK ||
		archive_read_open(rd->inner, rd, NULL, read_inner, NULL) != ARCHIVE_OK)
		return no_package(rd->inner, e);
	while ((r = archive_read_next_header(rd->inner, &en)) == ARCHIVE_OK) {
		r = add_entry(rd, en, e);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return no_package(rd->inner, e);
	sort_files(rd->files);
	return check_links(rd, e);
}

static int read_package(struct reader *rd, struct err *e)
{
	struct archive_entry *en;
	int r;

	rd->outer = archive_read_new();
	rd->buf = xcalloc(1, BLOCK_BYTES);
	if (!rd->outer || archive_read_support_format_ar(rd->outer) != ARCHIVE_OK ||
		archive_read_open(rd->outer, rd, NULL, read_block, NULL) != ARCHIVE_OK)
		return no_package(rd->outer, e);
	while ((r = archive_read_next_header(rd->outer, &en)) == ARCHIVE_OK) {
		const char *path = archive_entry_pathname(en);

		if (path && str_starts(path, "data.tar"))
			return read_files(rd, e);
	}
	return r == ARCHIVE_EOF ? err_set(e, EBADMSG, "not a Debian package: it has no data.tar")
				: no_package(rd->outer, e);
}

int deb_files_read(struct source *deb, struct deb_files *out, struct err *e)
{
	auto_with(reader_fini) struct reader rd = {.file = deb, .files = out};
	int r = read_package(&rd, e);

	if (r < 0)
		deb_files_fini(out);
	return r;
}
