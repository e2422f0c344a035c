/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ISO is read once, from its start to its end, as libarchive does: the digests of all files are
 * taken first and compared when SHA256SUMS is known.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "media/edges.h"
#include "media/gpt.h"
#include "media/media-tree.h"
#include "media/sums.h"
#include "sys/partition.h"

#define BLOCK_BYTES (256 * KIB)
#define FILES_MAX   100000

struct check {
	const struct media_verify_spec *spec;
	struct progress *progress;
	struct sums got;      /* what is there */
	struct sums want;     /* what SHA256SUMS says */
	struct strbuf listed; /* its text */
	size_t wrong;
	char *first; /* the first thing that is wrong */
};

static void check_fini(struct check *c)
{
	sums_fini(&c->got);
	sums_fini(&c->want);
	strbuf_fini(&c->listed);
	free(c->first);
}

static void found(struct check *c, const char *file, const char *problem)
{
	autofree char *safe = str_printable(file);

	c->wrong++;
	if (!c->first)
		c->first = xasprintf("'%s' is %s", safe, problem);
	if (c->spec->found)
		c->spec->found(c->spec->ctx, safe, problem);
}

static void end_archive(struct archive **a)
{
	archive_read_free(*a);
}

static int archive_error(struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);

	return err_set(e, EBADMSG, "%s", text ? text : "it cannot be read");
}

/* One file's digest; SHA256SUMS itself is kept instead. */
static int read_entry(struct check *c, struct archive *a, const char *path, struct err *e)
{
	autoptr(sha256) h = sha256_new();
	bool is_list = str_eq(path, MEDIA_SUMS);
	uint8_t sum[SHA256_BYTES];
	const void *data;
	size_t len;
	int64_t off;
	int r;

	while ((r = archive_read_data_block(a, &data, &len, &off)) == ARCHIVE_OK) {
		sha256_add(h, data, len);
		if (is_list && c->listed.len + len > SUMS_MAX_BYTES)
			return err_set(e, EFBIG, MEDIA_SUMS " is too large");
		if (is_list)
			strbuf_add(&c->listed, data, len);
		r = progress_advance(c->progress, (uint64_t)archive_filter_bytes(a, -1), e);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return archive_error(a, e);
	sha256_end(h, sum);
	if (!is_list)
		sums_add(&c->got, path, sum);
	return 0;
}

static int read_entries(struct check *c, struct archive *a, struct err *e)
{
	struct archive_entry *en;
	int r;

	while ((r = archive_read_next_header(a, &en)) == ARCHIVE_OK) {
		const char *path = archive_entry_pathname(en);

		if (archive_entry_filetype(en) == AE_IFDIR)
			continue;
		if (!path || archive_entry_filetype(en) != AE_IFREG) {
			found(c, path ? path : "?", "not a file");
			continue;
		}
		if (c->got.count == FILES_MAX)
			return err_set(e, EFBIG, "it has more than %d files", FILES_MAX);
		r = read_entry(c, a, path, e);
		if (r < 0)
			return err_wrap(e, r, "'%s'", path);
	}
	return r == ARCHIVE_EOF ? 0 : archive_error(a, e);
}

static int read_iso(struct check *c, uint64_t size_bytes, struct err *e)
{
	auto_with(end_archive) struct archive *a = archive_read_new();
	int r;

	if (!a)
		return err_set(e, ENOMEM, "out of memory");
	if (archive_read_support_format_iso9660(a) != ARCHIVE_OK ||
		archive_read_open_filename(a, c->spec->path, BLOCK_BYTES) != ARCHIVE_OK)
		return archive_error(a, e);
	progress_begin(c->progress, "verify", size_bytes, "bytes");
	r = read_entries(c, a, e);
	progress_end(c->progress);
	return r;
}

static int read_file(struct check *c, struct tree *t, const struct tree_entry *en, struct err *e)
{
	autoptr(source) s = NULL;
	uint8_t sum[SHA256_BYTES];
	int r = tree_open(t, en, &s, e);

	if (r < 0)
		return r;
	if (str_eq(en->path, MEDIA_SUMS)) {
		if (s->size_bytes > SUMS_MAX_BYTES)
			return err_set(e, EFBIG, MEDIA_SUMS " is too large");
		autofree char *text = xcalloc(1, (size_t)s->size_bytes + 1);
		r = source_read_at(s, text, (size_t)s->size_bytes, 0, e);
		strbuf_add(&c->listed, text, (size_t)s->size_bytes);
		return r;
	}
	r = sha256_source(s, sum, e);
	if (r == 0)
		sums_add(&c->got, en->path, sum);
	return r;
}

static int read_folder(struct check *c, struct err *e)
{
	autoptr(tree) t = NULL;
	int r = tree_scan(c->spec->path, &t, e);

	if (r < 0)
		return r;
	progress_begin(c->progress, "verify", t->count, "files");
	for (size_t i = 0; r == 0 && i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];

		if (S_ISREG(en->mode))
			r = read_file(c, t, en, e);
		else if (!S_ISDIR(en->mode))
			found(c, en->path, "not a file");
		if (r < 0)
			err_wrap(e, r, "'%s'", en->path);
		else
			r = progress_advance(c->progress, i + 1, e);
	}
	progress_end(c->progress);
	return r;
}

static void compare(struct check *c)
{
	sums_sort(&c->got);
	for (size_t i = 0; i < c->got.count; i++) {
		struct sum *want = sums_find(&c->want, c->got.items[i].path);

		if (!want)
			found(c, c->got.items[i].path, "not in " MEDIA_SUMS);
		else if (memcmp(want->sha256, c->got.items[i].sha256, SHA256_BYTES) != 0)
			found(c, want->path, "damaged");
		if (want)
			want->seen = true;
	}
	for (size_t i = 0; i < c->want.count; i++)
		if (!c->want.items[i].seen)
			found(c, c->want.items[i].path, "missing");
}

static int check_edges(struct check *c, struct err *e)
{
	autoptr(source) iso = NULL;
	const char *problem = NULL;
	int r = source_open_path(c->spec->path, &iso, e);

	if (r == 0)
		r = edges_check(iso, &problem, e);
	if (r == 0 && problem)
		found(c, "boot sectors", problem);
	return r;
}

/* What is neither an ISO nor a folder.  A stick's data is a FAT, which nothing here reads in one pass. */
static int refuse(const char *path, mode_t mode, struct err *e)
{
	struct gpt_part data = {0};
	autoptr(source) s = NULL;
	bool may_be_disk = S_ISREG(mode) || S_ISBLK(mode);
	int r = may_be_disk ? source_open_path(path, &s, e) : 0;

	if (r < 0)
		return r;
	if (!may_be_disk || gpt_find(path, NULL, PARTITION_LABEL_STICK, &data, e) < 0 ||
		data.size_bytes == 0)
		return err_set(e, EBADMSG, "'%s' is neither an ISO nor a folder", path);
	return err_set(e, EINVAL,
		"'%s' is a stick: mount its data partition read-only and name that folder, or "
		"choose 'Check this medium' in its menu",
		path);
}

static int check_all(struct check *c, struct err *e)
{
	const char *path = c->spec->path;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (!S_ISDIR(st.st_mode) && !media_is_iso(path))
		return refuse(path, st.st_mode, e);
	r = S_ISDIR(st.st_mode) ? read_folder(c, e) : read_iso(c, (uint64_t)st.st_size, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	if (!c->listed.data)
		return err_set(e, EBADMSG, "'%s' has no file " MEDIA_SUMS, path);
	r = sums_parse(c->listed.data, c->listed.len, &c->want, e);
	if (r < 0)
		return err_wrap(e, r, "'%s': " MEDIA_SUMS, path);
	compare(c);
	r = S_ISDIR(st.st_mode) ? 0 : check_edges(c, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int media_verify(const struct media_verify_spec *spec, struct progress *p, struct err *e)
{
	auto_with(check_fini) struct check c = {.spec = spec, .progress = p};
	int r = check_all(&c, e);

	if (r < 0 || c.wrong == 0)
		return r;
	if (c.wrong == 1)
		return err_set(e, EBADMSG, "'%s': %s", spec->path, c.first);
	return err_set(e, EBADMSG, "'%s': %s, and %zu more things are wrong", spec->path, c.first,
		c.wrong - 1);
}
