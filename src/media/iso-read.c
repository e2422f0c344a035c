/* SPDX-License-Identifier: Apache-2.0 */
/* An ISO of ours back into what it was made of. */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "fmt/iso9660.h"
#include "image/extract.h"
#include "image/liveimg.h"
#include "image/sign.h"
#include "media/media-tree.h"
#include "media/menu.h"

#define LIVE     "LiveOS/"
#define CFG      "boot/grub/grub.cfg"
#define CFG_MAX  (1 * MIB)
#define WORD_MAX 255

void media_iso_fini(struct media_iso *m)
{
	free(m->image);
	free(m->kickstart);
	free(m->label);
	free(m->append);
	free(m->default_entry);
}

bool media_is_iso(const char *path)
{
	autoptr(source) s = NULL;

	return source_open_path(path, &s, NULL) == 0 && iso9660_is(s);
}

static bool has_file(struct source *iso, const char *path)
{
	autoptr(source) s = NULL;

	return iso9660_open(iso, path, &s, NULL) == 0;
}

bool media_is_ours(const char *path, bool *has_kickstart)
{
	autoptr(source) s = NULL;

	*has_kickstart = false;
	if (source_open_path(path, &s, NULL) < 0 || !has_file(s, LIVE "manifest.json"))
		return false;
	*has_kickstart = has_file(s, MEDIA_KS);
	return true;
}

static int read_text(
	struct source *iso, const char *path, size_t max, char **out, size_t *len, struct err *e)
{
	autoptr(source) s = NULL;
	int r = iso9660_open(iso, path, &s, e);

	if (r < 0)
		return r;
	if (s->size_bytes > max)
		return err_set(e, EFBIG, "'%s' is too large", path);
	*len = (size_t)s->size_bytes;
	autofree char *text = xcalloc(1, *len + 1);
	r = source_read_at(s, text, *len, 0, e);
	if (r == 0)
		*out = take_ptr(text);
	return r;
}

/* 0 without the file when it is not there and need not be. */
static int take_file(struct source *iso, const char *path, const char *to, bool optional,
	struct progress *p, struct err *e)
{
	autoptr(source) s = NULL;
	int r = iso9660_open(iso, path, &s, e);

	if (r == -ENOENT && optional) {
		*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	autofd int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "'%s'", to);
	return extract_source(s, fd, p, e);
}

static int read_stem(struct source *iso, char **stem, struct err *e)
{
	autofree char *text = NULL;
	automanifest m = {0};
	size_t len;
	int r = read_text(iso, LIVE "manifest.json", MANIFEST_MAX_BYTES, &text, &len, e);

	if (r == 0)
		r = manifest_parse(text, len, &m, e);
	if (r == 0)
		*stem = xasprintf("%s-%s", m.name, m.version);
	return r;
}

static int take_image(struct source *iso, const char *folder, struct media_iso *out,
	struct progress *p, struct err *e)
{
	autofree char *stem = NULL;
	int r = read_stem(iso, &stem, e);

	if (r < 0)
		return r;
	autofree char *image = xasprintf("%s/%s" LIVEIMG_SUFFIX, folder, stem);
	autofree char *manifest = xasprintf("%s/%s" MANIFEST_SUFFIX, folder, stem);
	autofree char *sig = xasprintf("%s" SIGN_SUFFIX, manifest);
	autofree char *ks = xasprintf("%s/" MEDIA_KS, folder);
	r = take_file(iso, LIVE "squashfs.img", image, false, p, e);
	if (r == 0)
		r = take_file(iso, LIVE "manifest.json", manifest, false, NULL, e);
	if (r == 0)
		r = take_file(iso, LIVE "manifest.json" SIGN_SUFFIX, sig, true, NULL, e);
	for (size_t i = 0; r == 0 && i < MEDIA_WAY_BACK; i++) {
		autofree char *from = xasprintf(LIVE "%s", media_way_back[i].file);
		autofree char *to = xasprintf("%s/%s%s", folder, stem, media_way_back[i].suffix);

		r = take_file(iso, from, to, true, NULL, e);
	}
	if (r == 0)
		r = take_file(iso, MEDIA_KS, ks, true, NULL, e);
	if (r < 0)
		return r;
	out->image = take_ptr(image);
	if (file_exists(ks))
		out->kickstart = take_ptr(ks);
	return 0;
}

/* What stands between quotes behind the first of these words in the menu; NULL: nothing. */
static char *quoted_after(const char *text, const char *words)
{
	const char *at = strstr(text, words);
	const char *end = at ? strchr(at + strlen(words), '\'') : NULL;

	if (!end || end - at - (ptrdiff_t)strlen(words) > WORD_MAX)
		return NULL;
	return xstrndup(at + strlen(words), (size_t)(end - at) - strlen(words));
}

/* A label that the ISO would have got anyway is left to be made for the next one. */
static char *own_label(const char *image, const char *label)
{
	const char *name = strrchr(image, '/') + 1;
	autofree char *usual = xstrndup(name, strlen(name) - strlen(LIVEIMG_SUFFIX));

	for (char *p = usual; *p; p++)
		*p = isalnum((unsigned char)*p) || *p == '_' ? (char)toupper((unsigned char)*p)
							     : '-';
	return strncmp(usual, label, strlen(label)) == 0 &&
			(strlen(label) == strlen(usual) || strlen(label) == 32)
		? NULL
		: xstrdup(label);
}

/* The parameters of the live entry behind those of the image. */
static int take_append(const char *cfg, struct media_iso *out, struct err *e)
{
	const char *live = strstr(cfg, "--id live {"), *at, *end;
	autoptr(image) img = NULL;
	autofree char *own = NULL;
	autostrbuf b = {0};
	int r = image_open(out->image, &img, e);

	if (r == 0)
		r = image_kernel_params(img, &own, e);
	if (r < 0)
		return r;
	at = live ? strstr(live, "\tlinux '/images/pxeboot/vmlinuz'") : NULL;
	end = at ? strstr(at, " root=live:") : NULL;
	if (!end)
		return err_set(e, EBADMSG, "'" CFG "' is not a menu of bedplate");
	at += strlen("\tlinux '/images/pxeboot/vmlinuz'");
	menu_add_params(&b, own);
	if (b.len > (size_t)(end - at) || (b.len > 0 && strncmp(at, b.data, b.len) != 0))
		return err_set(e, EBADMSG, "'" CFG "' is not the menu of the image");
	at += b.len;
	autofree char *more = xstrndup(at, (size_t)(end - at));
	if (strchr(more, '\''))
		return err_set(e, ENOTSUP, "kernel parameters with quotes cannot be taken over");
	const char *words = str_trim(more);
	if (*words)
		out->append = xstrdup(words);
	return 0;
}

static int take_menu(struct source *iso, struct media_iso *out, struct err *e)
{
	autofree char *cfg = NULL, *label = NULL;
	size_t len;
	int r = read_text(iso, CFG, CFG_MAX, &cfg, &len, e);
	const char *timeout = r == 0 ? strstr(cfg, "\nset timeout=") : NULL;

	if (r < 0)
		return r;
	label = quoted_after(cfg, "--label '");
	out->default_entry = quoted_after(cfg, "\nset default='");
	if (!label || !out->default_entry || !timeout)
		return err_set(e, EBADMSG, "'" CFG "' is not a menu of bedplate");
	out->label = own_label(out->image, label);
	out->spec.timeout_seconds = (int)strtoimax(timeout + strlen("\nset timeout="), NULL, 10);
	return take_append(cfg, out, e);
}

int media_read_iso(const char *path, const char *folder, struct media_iso *out, struct progress *p,
	struct err *e)
{
	autoptr(source) iso = NULL;
	int r = source_open_path(path, &iso, e);

	if (r < 0)
		return r;
	r = take_image(iso, folder, out, p, e);
	if (r == 0)
		r = take_menu(iso, out, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	out->spec.image = out->image;
	out->spec.kickstart = out->kickstart;
	out->spec.label = out->label;
	out->spec.append = out->append;
	out->spec.default_entry = out->default_entry;
	return 0;
}
