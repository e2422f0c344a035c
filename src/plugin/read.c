/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "image/extract.h"
#include "image/sign.h"
#include "plugin/repo.h"
#include "plugin/words.h"

#define BLOCK_BYTES (256 * KIB)
#define TAR_BLOCK   512
#define TAR_END     (2 * TAR_BLOCK)

/* The file as libarchive reads it. */
struct stream {
	struct source *file;
	uint64_t at;
	char *buf;
	struct err err; /* our own, raised in the callback */
};

struct reader {
	struct archive *a;
	struct archive_entry *en; /* the member that is next, NULL at the end */
	struct stream in;
	struct progress *progress;
	const struct plugin_demand *demand;
	struct plugin *plugin;
	char *manifest, *signature;
	size_t manifest_len, signature_len;
	char *recipe, *index;
	size_t recipe_len, index_len;
};

void plugin_fini(struct plugin *p)
{
	plugin_manifest_fini(&p->manifest);
	plugin_recipe_free(p->recipe);
	free(p->signer);
	*p = (struct plugin){0};
}

static void reader_fini(struct reader *rd)
{
	if (rd->a)
		archive_read_free(rd->a);
	free(rd->in.buf);
	free(rd->manifest);
	free(rd->signature);
	free(rd->recipe);
	free(rd->index);
}

static la_ssize_t read_block(struct archive *a, void *ctx, const void **out)
{
	struct stream *in = ctx;
	size_t n = (size_t)MIN(BLOCK_BYTES, in->file->size_bytes - in->at);
	int r = n > 0 ? source_read_at(in->file, in->buf, n, in->at, &in->err) : 0;

	if (r < 0) {
		archive_set_error(a, -r, "%s", in->err.msg);
		return -1;
	}
	in->at += n;
	*out = in->buf;
	return (la_ssize_t)n;
}

static int archive_error(struct reader *rd, struct err *e)
{
	const char *text = archive_error_string(rd->a);
	autofree char *safe = text ? str_printable(text) : NULL;

	if (rd->in.err.code)
		return err_set(e, rd->in.err.code, "%s", rd->in.err.msg);
	return err_set(e, EBADMSG, "not a plugin, or a damaged one: %s",
		safe ? safe : "it cannot be read");
}

static int open_tar(struct reader *rd, struct err *e)
{
	rd->in.buf = xcalloc(1, BLOCK_BYTES);
	rd->a = archive_read_new();
	if (!rd->a)
		return err_set(e, ENOMEM, "libarchive");
	/* No filters: a plugin is not compressed, and nothing is unpacked before it is believed. */
	if (archive_read_support_format_tar(rd->a) != ARCHIVE_OK ||
		archive_read_open(rd->a, &rd->in, NULL, read_block, NULL) != ARCHIVE_OK)
		return archive_error(rd, e);
	return 0;
}

static int check_entry(struct reader *rd, struct err *e)
{
	const char *path = archive_entry_pathname(rd->en);
	autofree char *safe = str_printable(path ? path : "?");

	if (!path || !plugin_is_member(path))
		return err_set(e, EBADMSG, "member '%.200s': a plugin has no such path", safe);
	if (archive_entry_hardlink(rd->en) || archive_entry_symlink(rd->en) ||
		archive_entry_filetype(rd->en) != AE_IFREG)
		return err_set(e, EBADMSG, "member '%s' is not a regular file", safe);
	if (archive_format(rd->a) != ARCHIVE_FORMAT_TAR_USTAR ||
		archive_entry_sparse_count(rd->en) > 0)
		return err_set(e, EBADMSG, "member '%s' is not as POSIX ustar has it", safe);
	if (!archive_entry_size_is_set(rd->en) || archive_entry_size(rd->en) < 0)
		return err_set(e, EBADMSG, "member '%s' has no size", safe);
	return 0;
}

/* The next member into rd->en. */
static int next_entry(struct reader *rd, struct err *e)
{
	int r = archive_read_next_header(rd->a, &rd->en);

	if (r == ARCHIVE_EOF)
		rd->en = NULL;
	else if (r != ARCHIVE_OK)
		return archive_error(rd, e);
	return rd->en ? check_entry(rd, e) : 0;
}

static const char *entry_path(const struct reader *rd)
{
	return rd->en ? archive_entry_pathname(rd->en) : "";
}

/* All of the member that is next, as text the caller frees. */
static int read_whole(struct reader *rd, size_t max, char **out, size_t *len, struct err *e)
{
	uint64_t size = (uint64_t)archive_entry_size(rd->en);
	autofree char *text = NULL;

	if (size > max)
		return err_set(
			e, EBADMSG, "member '%s' is larger than %zu bytes", entry_path(rd), max);
	text = xcalloc(1, (size_t)size + 1);
	if (archive_read_data(rd->a, text, (size_t)size) != (la_ssize_t)size)
		return archive_error(rd, e);
	*out = take_ptr(text);
	*len = (size_t)size;
	return 0;
}

/* Manifest and signature; the member behind them is next then. */
static int read_head(struct reader *rd, struct err *e)
{
	int r = next_entry(rd, e);

	if (r < 0)
		return r;
	if (!str_eq(entry_path(rd), PLUGIN_MANIFEST))
		return err_set(e, EBADMSG, "not a plugin: it does not begin with " PLUGIN_MANIFEST);
	r = read_whole(rd, PLUGIN_MANIFEST_MAX_BYTES, &rd->manifest, &rd->manifest_len, e);
	if (r == 0)
		r = next_entry(rd, e);
	if (r < 0 || !str_eq(entry_path(rd), PLUGIN_SIGNATURE))
		return r;
	r = read_whole(rd, SIGN_MAX_BYTES, &rd->signature, &rd->signature_len, e);
	rd->plugin->has_signature = true;
	return r == 0 ? next_entry(rd, e) : r;
}

static int check_signature(struct reader *rd, struct err *e)
{
	if (rd->demand->trust.count == 0)
		return 0;
	if (!rd->signature)
		return err_set(e, EKEYREJECTED, "it is not signed");
	return sign_verify(rd->manifest, rd->manifest_len, rd->signature, rd->signature_len,
		&rd->demand->trust, &rd->plugin->signer, e);
}

static uint64_t blocks(uint64_t size_bytes)
{
	return (TAR_BLOCK + size_bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

/* With that, nothing can stand between or behind the members. */
static int check_size(const struct reader *rd, const struct plugin_member *const *members,
	size_t count, struct err *e)
{
	uint64_t want = rd->plugin->members_at + TAR_END;

	for (size_t i = 0; i < count; i++)
		want += blocks(members[i]->size_bytes);
	if (rd->in.file->size_bytes == want)
		return 0;
	return err_set(e, EBADMSG, "it has %ju bytes and should have %ju%s",
		(uintmax_t)rd->in.file->size_bytes, (uintmax_t)want,
		rd->in.file->size_bytes < want ? ": it was cut off" : "");
}

static int hash_member(struct reader *rd, const struct plugin_member *want, struct err *e)
{
	autoptr(sha256) h = sha256_new();
	uint8_t sum[SHA256_BYTES];
	const void *data;
	size_t len;
	int64_t off;
	int r;

	while ((r = archive_read_data_block(rd->a, &data, &len, &off)) == ARCHIVE_OK) {
		sha256_add(h, data, len);
		r = progress_advance(rd->progress, rd->in.at, e);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return archive_error(rd, e);
	sha256_end(h, sum);
	if (memcmp(sum, want->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "member '%s' has a wrong checksum", want->file);
	return 0;
}

/* The same for one whose text is wanted. */
static int keep_member(struct reader *rd, const struct plugin_member *want, size_t max, char **out,
	size_t *len, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	int r = read_whole(rd, max, out, len, e);

	if (r < 0)
		return r;
	sha256_buffer(*out, *len, sum);
	if (memcmp(sum, want->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "member '%s' has a wrong checksum", want->file);
	return 0;
}

static int read_member(struct reader *rd, const struct plugin_member *want, struct err *e)
{
	const char *path = entry_path(rd);

	if (!rd->en)
		return err_set(e, EBADMSG, "member '%s' is missing", want->file);
	if (!str_eq(path, want->file))
		return err_set(
			e, EBADMSG, "member '%s' stands where '%s' should be", path, want->file);
	if ((uint64_t)archive_entry_size(rd->en) != want->size_bytes)
		return err_set(e, EBADMSG, "member '%s' has %jd bytes, not %ju", path,
			(intmax_t)archive_entry_size(rd->en), (uintmax_t)want->size_bytes);
	if (str_eq(path, PLUGIN_RECIPE))
		return keep_member(
			rd, want, PLUGIN_RECIPE_MAX_BYTES, &rd->recipe, &rd->recipe_len, e);
	if (str_eq(path, PLUGIN_INDEX))
		return keep_member(rd, want, PLUGIN_INDEX_MAX_BYTES, &rd->index, &rd->index_len, e);
	return hash_member(rd, want, e);
}

static int read_members(struct reader *rd, struct err *e)
{
	size_t count;
	autofree const struct plugin_member **members = plugin_manifest_members(
		&rd->plugin->manifest, &count);
	int r;

	rd->plugin->members_at = blocks(rd->manifest_len) +
		(rd->signature ? blocks(rd->signature_len) : 0);
	r = check_size(rd, members, count, e);

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = read_member(rd, members[i], e);
		if (r == 0)
			r = next_entry(rd, e);
	}
	if (r == 0 && rd->en)
		return err_set(e, EBADMSG, "member '%s' is not in the manifest", entry_path(rd));
	return r;
}

static int check_content(struct reader *rd, struct err *e)
{
	struct plugin *p = rd->plugin;
	int r = plugin_recipe_parse(PLUGIN_RECIPE, rd->recipe, rd->recipe_len, &p->recipe, e);

	if (r == 0)
		r = plugin_recipe_check(PLUGIN_RECIPE, p->recipe, &p->manifest, e);
	if (r == 0 && rd->index)
		r = plugin_index_check(rd->index, rd->index_len, &p->manifest, e);
	return r;
}

static int check_digest(struct source *file, const struct plugin_demand *demand, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	int r;

	if (!demand->sha256)
		return 0;
	r = sha256_source(file, sum, e);
	if (r == 0 && memcmp(sum, demand->sha256, SHA256_BYTES) != 0)
		return err_set(e, EKEYREJECTED, "its SHA-256 digest is not the one demanded");
	return r;
}

static int read_all(struct reader *rd, struct err *e)
{
	int r = check_digest(rd->in.file, rd->demand, e);

	if (r == 0)
		r = open_tar(rd, e);
	if (r == 0)
		r = read_head(rd, e);
	if (r == 0)
		r = check_signature(rd, e);
	if (r < 0)
		return r;
	r = plugin_manifest_parse(rd->manifest, rd->manifest_len, &rd->plugin->manifest, e);
	if (r < 0)
		return err_wrap(e, r, PLUGIN_MANIFEST);
	r = read_members(rd, e);
	return r == 0 ? check_content(rd, e) : r;
}

int plugin_read(struct source *file, const struct plugin_demand *demand, struct progress *p,
	struct plugin *out, struct err *e)
{
	auto_with(reader_fini) struct reader rd = {
		.in.file = file, .progress = p, .demand = demand, .plugin = out};
	int r;

	out->size_bytes = file->size_bytes;
	progress_begin(p, "verify", file->size_bytes, "bytes");
	r = read_all(&rd, e);
	progress_end(p);
	if (r < 0)
		plugin_fini(out);
	return r;
}

int plugin_read_path(const char *path, const struct plugin_demand *demand, struct progress *p,
	struct plugin *out, struct err *e)
{
	autoptr(source) file = NULL;
	int r = source_open_path(path, &file, e);

	if (r < 0)
		return r;
	r = plugin_read(file, demand, p, out, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int plugin_member_place(struct source *file, const struct plugin *p,
	const struct plugin_member *member, uint64_t *at, struct err *e)
{
	size_t count;
	autofree const struct plugin_member **members = plugin_manifest_members(
		&p->manifest, &count);

	*at = p->members_at + TAR_BLOCK;
	for (size_t i = 0; i < count && members[i] != member; i++)
		*at += blocks(members[i]->size_bytes);
	if (*at > file->size_bytes || member->size_bytes > file->size_bytes - *at)
		return err_set(e, EBADMSG, "member '%s' is gone", member->file);
	return 0;
}

int plugin_extract(struct source *file, const struct plugin *p, const struct plugin_member *member,
	int fd, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	uint64_t at;
	int r = plugin_member_place(file, p, member, &at, e);

	if (r < 0)
		return r;
	autoptr(source) part = source_slice(file, at, member->size_bytes);
	r = extract_source(part, fd, NULL, e);
	if (r < 0)
		return err_wrap(e, r, "member '%s'", member->file);
	/* What was written is what was checked, whatever has become of the file. */
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return err_errno(e, "member '%s'", member->file);
	autoptr(source) written = NULL;
	r = source_open_fd(copy, &written, e);
	if (r == 0)
		r = sha256_source(written, sum, e);
	if (r < 0)
		return err_wrap(e, r, "member '%s'", member->file);
	if (memcmp(sum, member->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "member '%s' has changed", member->file);
	return 0;
}
