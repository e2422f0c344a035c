/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/get.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "liveimg/booted.h"
#include "liveimg/get-internal.h"

#define MEDIUM_IMAGE "/run/install/repo/LiveOS/squashfs.img"
#define READ_BYTES   (1 * MIB)

void liveimg_fini(struct liveimg *l)
{
	image_free(l->img);
	source_free(l->iso);
	manifest_fini(&l->manifest);
	free(l->signer);
	free(l->origin);
	free(l->download);
	free(l->manifest_text);
	free(l->sig);
	*l = (struct liveimg){0};
}

void liveimg_drop_download(struct liveimg *l)
{
	if (l->download && unlink(l->download) < 0 && errno != ENOENT)
		log_warning("'%s': %s", l->download, strerror(errno));
	free(l->download);
	l->download = NULL;
}

int get_compare_digest(
	const struct get_job *j, const char *what, const uint8_t got[SHA256_BYTES], struct err *e)
{
	const uint8_t *want = j->out->manifest.liveimg.sha256;
	char got_hex[SHA256_HEX_BYTES], want_hex[SHA256_HEX_BYTES];

	if (memcmp(got, want, SHA256_BYTES) == 0)
		return 0;
	hex_format(got, SHA256_BYTES, got_hex);
	hex_format(want, SHA256_BYTES, want_hex);
	return err_set(
		e, EBADMSG, "%s is damaged: SHA-256 is %s, expected %s", what, got_hex, want_hex);
}

/* The image may be followed by the rest of a device. */
static int compare_source(
	const struct get_job *j, struct source *s, const char *name, struct err *e)
{
	uint64_t size = j->out->manifest.liveimg.size_bytes;
	autofree char *buf = xcalloc(1, READ_BYTES);
	autoptr(sha256) h = sha256_new();
	uint8_t got[SHA256_BYTES];
	int r = 0;

	if (s->size_bytes < size)
		return err_set(e, EBADMSG,
			"'%s' is cut off: %" PRIu64 " bytes, its manifest has %" PRIu64, name,
			s->size_bytes, size);
	progress_begin(j->p, "checksum", size, "bytes");
	for (uint64_t off = 0; r == 0 && off < size;) {
		size_t n = (size_t)MIN(READ_BYTES, size - off);

		r = source_read_at(s, buf, n, off, e);
		sha256_add(h, buf, n);
		off += n;
		if (r == 0)
			r = progress_advance(j->p, off, e);
	}
	progress_end(j->p);
	if (r < 0)
		return err_wrap(e, r, "'%s'", name);
	sha256_end(h, got);
	autofree char *quoted = xasprintf("'%s'", name);
	return get_compare_digest(j, quoted, got, e);
}

int get_open_image(struct get_job *j, struct source *s, const char *name, struct err *e)
{
	int r = image_open_source(s, name, &j->out->img, e);

	if (r == 0 && image_kind(j->out->img) != IMAGE_LIVE)
		r = err_set(e, EBADMSG, "'%s' is %s, not the image of its manifest", name,
			image_kind_name(image_kind(j->out->img)));
	return r;
}

int get_check_image(struct get_job *j, struct source *s, const char *name, struct err *e)
{
	autoptr(source) owned = s;
	int r = compare_source(j, s, name, e);

	return r < 0 ? r : get_open_image(j, take_ptr(owned), name, e);
}

int get_booted(struct get_job *j, struct err *e)
{
	autobooted b = {0};
	autostrv words = {0};
	autofree char *cmd_line = NULL;
	struct source *s = NULL;
	int r = cmd_line_read(&cmd_line, e);

	if (r < 0)
		return r;
	cmd_line_split(cmd_line, &words);
	r = booted_find("", &words, &b, e);
	if (r < 0)
		return r;
	free(j->out->origin);
	j->out->origin = xstrdup(b.origin);
	if (b.folder)
		return get_local_file(j, b.image, e);
	if (!b.url)
		return get_no_manifest(b.origin, e);
	r = get_manifest_beside_url(j, b.url, e);
	if (r == 0)
		r = source_open_path(b.image, &s, e);
	return r < 0 ? r : get_check_image(j, s, b.image, e);
}

static bool is_url(const char *where)
{
	return str_starts(where, "file:") || strstr(where, "://");
}

static int get_named(struct get_job *j, const char *where, struct err *e)
{
	autofree char *path = NULL;
	int r = 0;

	if (str_eq(where, "-"))
		return get_standard_input(j, e);
	j->out->origin = fetch_public_name(where);
	if (fetch_is_remote(where))
		return get_remote(j, where, e);
	if (where[0] == '/' || !is_url(where))
		path = xstrdup(where);
	else
		r = fetch_file_path(where, &path, e);
	if (r < 0)
		return r;
	/* A stick has several images: the one that it was booted with is meant. */
	if (str_eq(path, MEDIUM_IMAGE) && !file_exists(path))
		return get_booted(j, e);
	return get_local(j, path, e);
}

int liveimg_get(
	const struct liveimg_from *spec, struct liveimg *out, struct progress *p, struct err *e)
{
	auto_with(liveimg_fini) struct liveimg image = {0};
	struct get_job j = {.spec = spec, .p = p, .out = &image};
	int r = spec->where ? get_named(&j, spec->where, e) : get_booted(&j, e);

	free(j.manifest_name);
	if (r < 0)
		return j.refused ? r : err_wrap(e, r, "image");
	*out = image;
	image = (struct liveimg){0};
	return 0;
}
