/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"

#define BLOCK_BYTES (256 * KIB)

struct writer {
	int fd;
	uint64_t end;
	struct err err; /* our own, raised in the callback */
};

static void end_archive(struct archive **a)
{
	archive_write_free(*a);
}

static void end_entry(struct archive_entry **en)
{
	archive_entry_free(*en);
}

static la_ssize_t take_block(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct writer *w = ctx;

	if (io_pwrite(w->fd, data, len, w->end, &w->err) < 0) {
		archive_set_error(a, w->err.code, "%s", w->err.msg);
		return -1;
	}
	w->end += len;
	return (la_ssize_t)len;
}

static int archive_error(const struct writer *w, struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);

	if (w->err.code)
		return err_set(e, w->err.code, "%s", w->err.msg);
	return err_set(e, EIO, "%s", text ? text : "the tarball cannot be written");
}

static int put_head(
	const struct writer *w, struct archive *a, const struct plugin_part *part, struct err *e)
{
	auto_with(end_entry) struct archive_entry *en = archive_entry_new();

	archive_entry_set_pathname(en, part->path);
	archive_entry_set_mode(en, S_IFREG | (part->is_program ? 0755 : 0644));
	archive_entry_set_size(en, (la_int64_t)part->content->size_bytes);
	archive_entry_set_mtime(en, 0, 0);
	archive_entry_set_uname(en, "root");
	archive_entry_set_gname(en, "root");
	return archive_write_header(a, en) == ARCHIVE_OK ? 0 : archive_error(w, a, e);
}

static int put_part(const struct writer *w, struct archive *a, const struct plugin_part *part,
	struct progress *p, struct err *e)
{
	autofree char *buf = xcalloc(1, BLOCK_BYTES);
	uint64_t size = part->content->size_bytes;
	int r = put_head(w, a, part, e);

	for (uint64_t off = 0; r == 0 && off < size;) {
		size_t n = (size_t)MIN(BLOCK_BYTES, size - off);

		r = source_read_at(part->content, buf, n, off, e);
		if (r == 0 && archive_write_data(a, buf, n) != (la_ssize_t)n)
			r = archive_error(w, a, e);
		off += n;
		if (r == 0)
			r = progress_advance(p, w->end, e);
	}
	return r < 0 ? err_wrap(e, r, "'%s'", part->path) : 0;
}

int plugin_write(
	int fd, const struct plugin_part *parts, size_t count, struct progress *p, struct err *e)
{
	auto_with(end_archive) struct archive *a = archive_write_new();
	struct writer w = {.fd = fd};
	int r = 0;

	if (!a)
		return err_set(e, ENOMEM, "libarchive");
	archive_write_set_bytes_per_block(a, BLOCK_BYTES);
	archive_write_set_bytes_in_last_block(a, 1);
	if (archive_write_set_format_ustar(a) != ARCHIVE_OK ||
		archive_write_open(a, &w, NULL, take_block, NULL) != ARCHIVE_OK)
		return archive_error(&w, a, e);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = put_part(&w, a, &parts[i], p, e);
	if (r < 0)
		return r;
	return archive_write_close(a) == ARCHIVE_OK ? 0 : archive_error(&w, a, e);
}
