/* SPDX-License-Identifier: Apache-2.0 */
#include "image/verify.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "fmt/verity.h"
#include "image/files.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/sign.h"

#define READ_BYTES (1 * MIB)

struct verification {
	const struct image_verify_spec *spec;
	struct image *img;
	struct manifest m;
	char *manifest_path;
	struct progress *progress;
};

PRINTF(2, 3)
static void passed(struct verification *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *what = xvasprintf(fmt, ap);
	va_end(ap);
	if (v->spec->passed)
		v->spec->passed(v->spec->ctx, what);
}

static int check_signature(struct verification *v, const char *text, size_t len, struct err *e)
{
	autofree char *path = xasprintf("%s" SIGN_SUFFIX, v->manifest_path);
	autofree char *sig = NULL, *signer = NULL;
	size_t sig_len;
	int r = file_read(path, SIGN_MAX_BYTES, &sig, &sig_len, e);

	if (r == -ENOENT && v->spec->unsigned_ok) {
		passed(v, "signature: none, as allowed");
		return 0;
	}
	if (r == -ENOENT)
		return err_set(
			e, EKEYREJECTED, "'%s' is not signed: no '%s'", v->manifest_path, path);
	if (r < 0)
		return r;
	if (v->spec->trust.count == 0 && v->spec->unsigned_ok) {
		passed(v, "signature: not checked, as no certificate is trusted");
		return 0;
	}
	if (v->spec->trust.count == 0)
		return err_set(
			e, EKEYREJECTED, "'%s' cannot be checked: no certificate is trusted", path);
	r = sign_verify(text, len, sig, sig_len, &v->spec->trust, &signer, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	passed(v, "signature: by %s", signer);
	return 0;
}

static int check_manifest(struct verification *v, struct err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = file_read(v->manifest_path, MANIFEST_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	/* The signature first: nothing in the manifest is looked at before. */
	r = check_signature(v, text, len, e);
	if (r < 0)
		return r;
	r = manifest_parse(text, len, &v->m, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", v->manifest_path);
	passed(v, "manifest: %s %s (%s)", v->m.name, v->m.version, v->m.arch);
	return 0;
}

static int differs(struct err *e, const char *what, const uint8_t got[SHA256_BYTES],
	const uint8_t want[SHA256_BYTES])
{
	char got_hex[SHA256_HEX_BYTES], want_hex[SHA256_HEX_BYTES];

	hex_format(got, SHA256_BYTES, got_hex);
	hex_format(want, SHA256_BYTES, want_hex);
	return err_set(
		e, EBADMSG, "'%s': SHA-256 is %s, the manifest has %s", what, got_hex, want_hex);
}

/* Read s to its end, showing progress and feeding both digests; verity may be NULL. */
static int stream(struct verification *v, struct source *s, struct verity_check *verity,
	uint8_t sha[SHA256_BYTES], struct err *e)
{
	autofree char *buf = xcalloc(1, READ_BYTES);
	autoptr(sha256) h = sha256_new();
	int r = 0;

	for (uint64_t off = 0; r == 0 && off < s->size_bytes;) {
		size_t n = (size_t)MIN(READ_BYTES, s->size_bytes - off);

		r = source_read_at(s, buf, n, off, e);
		if (r == 0 && verity)
			r = verity_check_feed(verity, buf, n, e);
		sha256_add(h, buf, n);
		off += n;
		if (r == 0)
			r = progress_advance(v->progress, off, e);
	}
	if (r == 0 && verity)
		r = verity_check_end(verity, e);
	sha256_end(h, sha);
	return r;
}

static int check_size(const char *what, uint64_t got, uint64_t want, struct err *e)
{
	if (got == want)
		return 0;
	return err_set(e, EBADMSG, "'%s' is %" PRIu64 " bytes, the manifest has %" PRIu64, what,
		got, want);
}

static int check_file(struct verification *v, const char *stage, struct source *s, const char *path,
	const struct manifest_file *want, struct err *e)
{
	uint8_t sha[SHA256_BYTES];
	int r = check_size(path, s->size_bytes, want->size_bytes, e);

	if (r < 0)
		return r;
	progress_begin(v->progress, stage, s->size_bytes, "bytes");
	r = stream(v, s, NULL, sha, e);
	progress_end(v->progress);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	if (memcmp(sha, want->sha256, sizeof(sha)) != 0)
		return differs(e, path, sha, want->sha256);
	passed(v, "%s: SHA-256 of %" PRIu64 " bytes", want->file, s->size_bytes);
	return 0;
}

static int open_verity(struct verification *v, struct verity_check **out, struct err *e)
{
	const struct manifest_verity *want = &v->m.verity;
	struct verity_super sb;
	char salt[2 * VERITY_SALT_MAX_BYTES + 1];

	if (!want->present)
		return 0;
	int r = verity_super_read(image_rootfs(v->img), want->hash_offset, &sb, e);
	if (r < 0)
		return r;
	hex_format(sb.salt, sb.salt_len, salt);
	if (sb.data_bytes != want->data_bytes || !str_eq(salt, want->salt))
		return err_set(e, EBADMSG,
			"dm-verity superblock at %" PRIu64 " differs from the manifest",
			want->hash_offset);
	*out = verity_check_new(&sb, want->root_hash);
	return 0;
}

/* One pass for the digest of the whole and for the hash tree, which knows the place of damage. */
static int check_rootfs(struct verification *v, struct err *e)
{
	struct source *s = image_rootfs(v->img);
	const char *name = v->m.rootfs.file;
	autoptr(verity_check) verity = NULL;
	uint8_t sha[SHA256_BYTES];
	int r;

	if (!name != !s)
		return err_set(e, EBADMSG, "'%s' %s", image_path(v->img),
			s ? "holds a file system image the manifest does not know"
			  : "does not hold the file system image of its manifest");
	if (!s)
		return 0;
	r = check_size(name, s->size_bytes, v->m.rootfs.size_bytes, e);
	if (r < 0)
		return r;
	r = open_verity(v, &verity, e);
	if (r == 0) {
		progress_begin(v->progress, "rootfs", s->size_bytes, "bytes");
		r = stream(v, s, verity, sha, e);
		progress_end(v->progress);
	}
	if (r < 0)
		return err_wrap(e, r, "'%s' in '%s'", name, image_path(v->img));
	if (memcmp(sha, v->m.rootfs.sha256, sizeof(sha)) != 0)
		return differs(e, name, sha, v->m.rootfs.sha256);
	passed(v, "%s: SHA-256 of %" PRIu64 " bytes", name, s->size_bytes);
	if (verity) {
		char hex[SHA256_HEX_BYTES];

		hex_format(v->m.verity.root_hash, SHA256_BYTES, hex);
		passed(v, "dm-verity: %" PRIu64 " blocks, root hash %s",
			v->m.verity.data_bytes / VERITY_BLOCK_BYTES, hex);
	}
	return 0;
}

static int check_sibling(struct verification *v, const struct manifest_file *f, struct err *e)
{
	const char *slash = strrchr(v->manifest_path, '/');
	int folder = slash ? (int)(slash - v->manifest_path) + 1 : 0;
	autofree char *path = NULL;
	autoptr(source) s = NULL;

	if (!f->file)
		return 0;
	path = xasprintf("%.*s%s", folder, v->manifest_path, f->file);
	int r = source_open_path(path, &s, e);
	return r < 0 ? r : check_file(v, f->file, s, path, f, e);
}

/*
 * The image file as a whole, then what is in it.  When the first is wrong the second is looked at
 * all the same, because it knows the place.
 */
static int check_image(struct verification *v, struct err *e)
{
	struct err whole = {0};
	int r = check_file(
		v, "liveimg", image_file(v->img), image_path(v->img), &v->m.liveimg, &whole);

	if (r == 0)
		return check_rootfs(v, e);
	if (r == -EBADMSG && check_rootfs(v, e) < 0)
		return -e->code;
	*e = whole;
	return r;
}

int image_verify(const struct image_verify_spec *spec, struct progress *p, struct err *e)
{
	autoptr(image) img = NULL;
	struct verification v = {.spec = spec, .progress = p};
	struct err local;
	int r = image_open(spec->path, &img, e ? e : &local);

	if (r < 0)
		return r;
	v.img = img;
	v.manifest_path = image_sibling(img, MANIFEST_SUFFIX);
	r = check_manifest(&v, e);
	if (r == 0)
		r = check_image(&v, e ? e : &local);
	if (r == 0)
		r = check_sibling(&v, &v.m.files, e);
	if (r == 0)
		r = check_sibling(&v, &v.m.sbom, e);
	if (r == 0)
		r = check_sibling(&v, &v.m.undo, e);
	manifest_fini(&v.m);
	free(v.manifest_path);
	return r;
}
