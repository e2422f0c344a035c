/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/repo.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "base/xalloc.h"
#include "pkg/deb822.h"
#include "plugin/words.h"

#define BLOCK_BYTES       (256 * KIB)
#define CONTROL_MAX_BYTES (1 * MIB)
/* Of the archive in the archive, compressed: scripts and checksums beside the control file. */
#define CONTROL_TAR_MAX_BYTES (64 * MIB)

/* What is written here, and what an index of another archive says of the package. */
static const char *const own_fields[] = {
	"Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Status"};

struct stream {
	struct source *file;
	uint64_t at;
	char *buf;
};

static void end_archive(struct archive **a)
{
	archive_read_free(*a);
}

static la_ssize_t read_block(struct archive *a, void *ctx, const void **out)
{
	struct stream *in = ctx;
	size_t n = (size_t)MIN(BLOCK_BYTES, in->file->size_bytes - in->at);
	struct err e = {0};
	int r = n > 0 ? source_read_at(in->file, in->buf, n, in->at, &e) : 0;

	if (r < 0) {
		archive_set_error(a, -r, "%s", e.msg);
		return -1;
	}
	in->at += n;
	*out = in->buf;
	return (la_ssize_t)n;
}

static int no_package(struct archive *a, struct err *e)
{
	const char *text = a ? archive_error_string(a) : NULL;
	autofree char *safe = text ? str_printable(text) : NULL;

	return err_set(e, EBADMSG, "not a Debian package%s%s", safe ? ": " : "", safe ? safe : "");
}

/* The member that is next, whole. */
static int read_entry(
	struct archive *a, struct archive_entry *en, size_t max, struct strbuf *b, struct err *e)
{
	const void *data;
	size_t len;
	int64_t off;
	int r;

	if (archive_entry_filetype(en) != AE_IFREG)
		return err_set(e, EBADMSG, "not a Debian package: control is not a file");
	while ((r = archive_read_data_block(a, &data, &len, &off)) == ARCHIVE_OK) {
		if (b->len + len > max)
			return err_set(e, EBADMSG, "not a Debian package: control is too large");
		strbuf_add(b, data, len);
	}
	return r == ARCHIVE_EOF ? 0 : no_package(a, e);
}

/* The first entry of which wanted() says yes. */
static int find_entry(struct archive *a, bool (*wanted)(const char *path), size_t max,
	struct strbuf *b, struct err *e)
{
	struct archive_entry *en;
	int r;

	while ((r = archive_read_next_header(a, &en)) == ARCHIVE_OK) {
		const char *path = archive_entry_pathname(en);

		if (path && wanted(path))
			return read_entry(a, en, max, b, e);
	}
	return r == ARCHIVE_EOF
		? err_set(e, EBADMSG, "not a Debian package: it has no control file")
		: no_package(a, e);
}

static bool is_control_tar(const char *path)
{
	return str_starts(path, "control.tar");
}

static bool is_control(const char *path)
{
	return str_eq(path, "./control") || str_eq(path, "control");
}

static int read_outer(struct source *deb, struct strbuf *tar, struct err *e)
{
	autofree char *buf = xcalloc(1, BLOCK_BYTES);
	struct stream in = {.file = deb, .buf = buf};
	auto_with(end_archive) struct archive *a = archive_read_new();

	if (!a || archive_read_support_format_ar(a) != ARCHIVE_OK ||
		archive_read_open(a, &in, NULL, read_block, NULL) != ARCHIVE_OK)
		return no_package(a, e);
	return find_entry(a, is_control_tar, CONTROL_TAR_MAX_BYTES, tar, e);
}

static int read_inner(const struct strbuf *tar, struct strbuf *control, struct err *e)
{
	auto_with(end_archive) struct archive *a = archive_read_new();

	if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK ||
		archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
		archive_read_support_filter_xz(a) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
		archive_read_open_memory(a, tar->data, tar->len) != ARCHIVE_OK)
		return no_package(a, e);
	return find_entry(a, is_control, CONTROL_MAX_BYTES, control, e);
}

/* A field of the control text as a word that can be part of a file name. */
static int take_field(struct slice value, const char *field, char **out, struct err *e)
{
	autofree char *text = slice_dup(value);
	autofree char *safe = str_printable(text);

	if (!plugin_is_word(text))
		return err_set(
			e, EBADMSG, "not a Debian package: field %s is '%.80s'", field, safe);
	*out = take_ptr(text);
	return 0;
}

static int read_fields(const char *control, size_t len, struct plugin_package *p, struct err *e)
{
	static const char *const fields[] = {"Package", "Version", "Architecture"};
	char **const to[] = {&p->name, &p->version, &p->arch};
	struct deb822 d = {.at = control, .end = control + len};
	struct slice values[ARRAY_LEN(fields)], rest[ARRAY_LEN(fields)];
	int r = 0;

	if (strlen(control) != len || !deb822_next(&d, fields, values, ARRAY_LEN(fields)) ||
		deb822_next(&d, fields, rest, ARRAY_LEN(fields)))
		return err_set(e, EBADMSG, "not a Debian package: its control file is damaged");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
		r = take_field(values[i], fields[i], to[i], e);
	return r;
}

/* An epoch is not part of the name of a file. */
static char *member_name(const struct plugin_package *p)
{
	const char *colon = strchr(p->version, ':');

	return xasprintf(
		PLUGIN_PACKAGES "%s_%s_%s.deb", p->name, colon ? colon + 1 : p->version, p->arch);
}

int plugin_package_add(struct plugin_manifest *m, struct source *deb, char **control, struct err *e)
{
	struct plugin_package *p = plugin_manifest_add_package(m);
	autostrbuf tar = {0};
	autostrbuf text = {0};
	int r = read_outer(deb, &tar, e);

	if (r == 0)
		r = read_inner(&tar, &text, e);
	if (r == 0)
		r = read_fields(text.data ? text.data : "", text.len, p, e);
	if (r == 0)
		r = sha256_source(deb, p->member.sha256, e);
	if (r < 0)
		return r;
	p->member.file = member_name(p);
	p->member.size_bytes = deb->size_bytes;
	if (!plugin_is_member(p->member.file))
		return err_set(
			e, EBADMSG, "'%s' is too long for the name of a member", p->member.file);
	*control = strbuf_take(&text);
	return 0;
}

static bool is_own_field(const char *line, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(own_fields); i++) {
		size_t n = strlen(own_fields[i]);

		if (len > n && line[n] == ':' && strncasecmp(line, own_fields[i], n) == 0)
			return true;
	}
	return false;
}

/* The lines of the control text but for own_fields and blank ones. */
static void add_control(struct strbuf *b, const char *control)
{
	bool skip = false;

	for (const char *p = control; *p;) {
		size_t len = strcspn(p, "\n");

		if (*p != ' ' && *p != '\t')
			skip = is_own_field(p, len);
		if (!skip && strspn(p, " \t\r") < len) {
			strbuf_add(b, p, len);
			strbuf_putc(b, '\n');
		}
		p += len + (p[len] == '\n');
	}
}

void plugin_index_add(struct strbuf *b, const char *control, const struct plugin_package *p)
{
	char hex[SHA256_HEX_BYTES];

	hex_format(p->member.sha256, SHA256_BYTES, hex);
	if (b->len > 0)
		strbuf_putc(b, '\n');
	add_control(b, control);
	strbuf_printf(b, "Filename: ./%s\nSize: %" PRIu64 "\nSHA256: %s\n",
		p->member.file + strlen(PLUGIN_PACKAGES), p->member.size_bytes, hex);
}

int plugin_index_check(const char *text, size_t len, const struct plugin_manifest *m, struct err *e)
{
	static const char *const fields[] = {
		"Package", "Version", "Architecture", "Filename", "Size", "SHA256"};
	struct deb822 d = {.at = text, .end = text + len};
	struct slice v[ARRAY_LEN(fields)];
	size_t count = 0;

	for (; deb822_next(&d, fields, v, ARRAY_LEN(fields)); count++) {
		if (count == m->package_count)
			return err_set(
				e, EBADMSG, PLUGIN_INDEX " has more packages than the manifest");
		const struct plugin_package *p = &m->packages[count];
		autofree char *file = xasprintf("./%s", p->member.file + strlen(PLUGIN_PACKAGES));
		autofree char *size = xasprintf("%" PRIu64, p->member.size_bytes);
		char hex[SHA256_HEX_BYTES];

		hex_format(p->member.sha256, SHA256_BYTES, hex);
		const char *const want[] = {p->name, p->version, p->arch, file, size, hex};
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			if (!slice_eq(v[i], want[i]))
				return err_set(e, EBADMSG,
					PLUGIN_INDEX ": %s of package '%s' is not '%s'", fields[i],
					p->name, want[i]);
	}
	if (count < m->package_count)
		return err_set(
			e, EBADMSG, PLUGIN_INDEX " lacks package '%s'", m->packages[count].name);
	return 0;
}
