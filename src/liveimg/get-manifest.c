/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "fmt/iso9660.h"
#include "image/liveimg.h"
#include "image/sign.h"
#include "liveimg/get-internal.h"
#include "pkg/pkg.h"

#define MEDIUM_MANIFEST "manifest.json"
#define HOW_UNSIGNED    "--allow-unsigned if it is meant"

static const char *trust_folder(const struct get_job *j)
{
	return j->spec->trust ? j->spec->trust : LIVEIMG_TRUST_FOLDER;
}

static void list_anchors(const char *folder, struct strv *out)
{
	autostrv names = {0};

	if (file_list(folder, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		if (str_ends(names.items[i], ".pem"))
			strv_take(out, xasprintf("%s/%s", folder, names.items[i]));
}

void liveimg_anchors(struct strv *out)
{
	list_anchors(LIVEIMG_TRUST_FOLDER, out);
}

bool liveimg_has_trust(void)
{
	autostrv anchors = {0};

	liveimg_anchors(&anchors);
	return anchors.count > 0;
}

static int no_anchors(const struct get_job *j, struct err *e)
{
	if (j->spec->signed_only && !j->spec->unsigned_ok)
		return err_set(e, EKEYREJECTED,
			"nobody is trusted to sign images: put a certificate into %s, "
			"or " HOW_UNSIGNED,
			trust_folder(j));
	log_info("%s: signature not checked, there is no certificate in %s", j->manifest_name,
		trust_folder(j));
	return 0;
}

static int no_signature(const struct get_job *j, struct err *e)
{
	if (!j->spec->unsigned_ok)
		return err_set(e, EKEYREJECTED,
			"%s is not signed, and only signed images may be installed here (%s)%s",
			j->manifest_name, trust_folder(j),
			j->spec->signed_only ? ": " HOW_UNSIGNED : "");
	log_warning("%s is not signed", j->manifest_name);
	return 0;
}

/* sig is NULL when there is none. */
static int check_signature(struct get_job *j, const char *text, size_t len, const char *sig,
	size_t sig_len, struct err *e)
{
	autostrv anchors = {0};

	list_anchors(trust_folder(j), &anchors);
	if (anchors.count == 0)
		return no_anchors(j, e);
	if (!sig)
		return no_signature(j, e);
	int r = sign_verify(text, len, sig, sig_len, &anchors, &j->out->signer, e);
	return r < 0 ? err_wrap(e, r, "%s" SIGN_SUFFIX, j->manifest_name) : 0;
}

static int check_content(const struct get_job *j, struct err *e)
{
	const struct manifest *m = &j->out->manifest;
	autofree char *arch = pkg_host_arch();

	if (!str_eq(m->arch, arch))
		return err_set(e, EINVAL, "the image is for %s, this machine is %s", m->arch, arch);
	if (!m->rootfs.file || !m->verity.present)
		return err_set(e, EINVAL,
			"%s: the image has no file system with dm-verity data, so a node could not "
			"verify what it runs: build it without --rootfs-type=squashfs",
			j->manifest_name);
	if (m->kernel_count == 0 || m->kernels[0].kernel_bytes == 0 ||
		m->kernels[0].initramfs_bytes == 0)
		return err_set(e, EINVAL, "%s: the image has no kernel with an initramfs",
			j->manifest_name);
	if (j->spec->sha256 && memcmp(j->spec->sha256, m->liveimg.sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "%s is not that of the image in %s",
			j->spec->sha256_from, j->manifest_name);
	return 0;
}

static void keep_manifest(
	struct liveimg *l, const char *text, size_t len, const char *sig, size_t sig_len)
{
	free(l->manifest_text);
	free(l->sig);
	l->manifest_text = xmemdup(text, len);
	l->manifest_len = len;
	l->sig = sig ? xmemdup(sig, sig_len) : NULL;
	l->sig_len = sig_len;
}

static int take_manifest(struct get_job *j, const char *text, size_t len, const char *sig,
	size_t sig_len, struct err *e)
{
	/* The signature first: nothing in the manifest is looked at before. */
	int r = check_signature(j, text, len, sig, sig_len, e);

	if (r == 0) {
		r = manifest_parse(text, len, &j->out->manifest, e);
		if (r < 0)
			r = err_wrap(e, r, "%s", j->manifest_name);
	}
	if (r == 0)
		r = check_content(j, e);
	if (r == 0)
		keep_manifest(j->out, text, len, sig, sig_len);
	if (r == 0 && j->spec->judge) {
		r = j->spec->judge(j->spec->ctx, j->out, e);
		j->refused = r < 0;
	}
	/* Who asks takes -ENOENT for "not here, look elsewhere". */
	return r == -ENOENT ? err_wrap(e, -EBADMSG, "%s", j->manifest_name) : r;
}

/* Names that the manifest of an image called name may have beside it. */
static void manifest_names(const char *name, struct strv *out)
{
	if (str_ends(name, LIVEIMG_SUFFIX))
		strv_take(out,
			xasprintf("%.*s" MANIFEST_SUFFIX,
				(int)(strlen(name) - strlen(LIVEIMG_SUFFIX)), name));
	strv_add(out, MEDIUM_MANIFEST);
}

int get_no_manifest(const char *image, struct err *e)
{
	return err_set(e, ENOENT,
		"%s has no manifest beside it (NAME-VERSION" MANIFEST_SUFFIX " or " MEDIUM_MANIFEST
		"): only images of 'bedplate image build' can be installed",
		image);
}

static int read_iso(
	struct source *iso, const char *path, size_t max, char **text, size_t *len, struct err *e)
{
	autoptr(source) s = NULL;
	int r = iso9660_open(iso, path, &s, e);

	if (r == 0 && s->size_bytes > max)
		r = err_set(e, EFBIG, "larger than %zu bytes", max);
	if (r < 0)
		return r;
	autofree char *buf = xcalloc(1, (size_t)s->size_bytes + 1);
	r = source_read_at(s, buf, (size_t)s->size_bytes, 0, e);
	if (r < 0)
		return r;
	*len = (size_t)s->size_bytes;
	*text = take_ptr(buf);
	return 0;
}

static int read_at_place(const struct get_place *place, const char *name, size_t max, char **text,
	size_t *len, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", place->folder, name);

	if (!place->iso)
		return file_read(path, max, text, len, e);
	int r = read_iso(place->iso, path, max, text, len, e);
	return r < 0 ? err_wrap(e, r, "'%s': '%s'", place->shown, path) : 0;
}

int get_manifest_file(
	struct get_job *j, const struct get_place *place, const char *name, struct err *e)
{
	autofree char *sig_name = xasprintf("%s" SIGN_SUFFIX, name);
	autofree char *text = NULL, *sig = NULL;
	size_t len, sig_len = 0;
	int r = read_at_place(place, name, MANIFEST_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	free(j->manifest_name);
	j->manifest_name = place->iso ? xasprintf("'%s:%s/%s'", place->shown, place->folder, name)
				      : xasprintf("'%s/%s'", place->folder, name);
	r = read_at_place(place, sig_name, SIGN_MAX_BYTES, &sig, &sig_len, e);
	if (r < 0 && r != -ENOENT)
		return r;
	return take_manifest(j, text, len, sig, sig_len, e);
}

int get_manifest_beside(
	struct get_job *j, const struct get_place *place, const char *name, struct err *e)
{
	autostrv names = {0};
	int r = -ENOENT;

	manifest_names(name, &names);
	for (size_t i = 0; r == -ENOENT && i < names.count; i++)
		r = get_manifest_file(j, place, names.items[i], e);
	return r;
}

static int fetch_manifest(struct get_job *j, const char *url, struct err *e)
{
	autofree char *sig_url = NULL, *last = NULL, *text = NULL, *sig = NULL;
	size_t len, sig_len = 0;
	int r = fetch_text(url, &j->spec->fetch, MANIFEST_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	free(j->manifest_name);
	j->manifest_name = fetch_public_name(url);
	r = fetch_last_component(url, &last, e);
	if (r < 0)
		return r;
	autofree char *sig_name = xasprintf("%s" SIGN_SUFFIX, last);
	r = fetch_sibling(url, sig_name, &sig_url, e);
	if (r == 0)
		r = fetch_text(sig_url, &j->spec->fetch, SIGN_MAX_BYTES, &sig, &sig_len, e);
	if (r < 0 && r != -ENOENT)
		return r;
	return take_manifest(j, text, len, sig, sig_len, e);
}

int get_manifest_beside_url(struct get_job *j, const char *url, struct err *e)
{
	autostrv names = {0};
	autofree char *name = NULL;
	int r = fetch_last_component(url, &name, e);

	if (r < 0)
		return r;
	manifest_names(name, &names);
	r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < names.count; i++) {
		autofree char *beside = NULL;

		r = fetch_sibling(url, names.items[i], &beside, e);
		if (r == 0)
			r = fetch_manifest(j, beside, e);
	}
	if (r != -ENOENT)
		return r;
	autofree char *public = fetch_public_name(url);
	return get_no_manifest(public, e);
}
