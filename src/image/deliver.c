/* SPDX-License-Identifier: Apache-2.0 */
#include "image/deliver.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/extract.h"
#include "image/files.h"
#include "image/liveimg.h"
#include "image/manifest.h"
#include "image/sign.h"

#define PART_SUFFIX ".part"

/* In the order in which they appear: who sees the manifest sees all that it speaks of. */
static const char *const suffixes[] = {LIVEIMG_SUFFIX, FILES_SUFFIX, SBOM_SUFFIX, MANIFEST_SUFFIX};

struct delivery {
	char *from[ARRAY_LEN(suffixes)];
	char *to[ARRAY_LEN(suffixes)];
	char *part[ARRAY_LEN(suffixes)]; /* NULL: the right file is there already */
	char *signature;                 /* NULL: none is wanted */
};

/* Parts that were not renamed are half a delivery. */
static void delivery_fini(struct delivery *d)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (d->part[i])
			unlink(d->part[i]);
		free(d->from[i]);
		free(d->to[i]);
		free(d->part[i]);
	}
	free(d->signature);
}

static int copy_file(const char *from, const char *to, struct err *e)
{
	autofd int in = open(from, O_RDONLY | O_CLOEXEC);
	autofd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (in < 0)
		return err_errno(e, "'%s'", from);
	if (out < 0)
		return err_errno(e, "'%s'", to);
	if (ioctl(out, FICLONE, in) < 0) {
		autoptr(source) bytes = NULL;
		int r = source_open_fd(take_fd(&in), &bytes, e);

		if (r == 0)
			r = extract_source(bytes, out, NULL, e);
		if (r < 0)
			return err_wrap(e, r, "'%s'", to);
	}
	return fsync(out) < 0 ? err_errno(e, "syncing '%s'", to) : 0;
}

/* 1 when both hold the same bytes, 0 when not or when one is missing. */
static int same_file(const char *a, const char *b, struct err *e)
{
	uint8_t x[SHA256_BYTES], y[SHA256_BYTES];
	struct stat sa, sb;

	if (stat(a, &sa) < 0 || stat(b, &sb) < 0 || sa.st_size != sb.st_size)
		return 0;
	int r = sha256_file(a, x, e);
	if (r == 0)
		r = sha256_file(b, y, e);
	return r < 0 ? r : memcmp(x, y, sizeof(x)) == 0;
}

static int stage_parts(struct delivery *d, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		int r = same_file(d->from[i], d->to[i], e);

		if (r > 0)
			continue;
		if (r == 0) {
			d->part[i] = xasprintf("%s" PART_SUFFIX, d->to[i]);
			r = copy_file(d->from[i], d->part[i], e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int rename_parts(struct delivery *d, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (!d->part[i])
			continue;
		if (rename(d->part[i], d->to[i]) < 0)
			return err_errno(e, "renaming '%s'", d->part[i]);
		free(d->part[i]);
		d->part[i] = NULL;
	}
	return 0;
}

static int set_sizes(const char *manifest, struct build_result *out, struct err *e)
{
	automanifest m = {0};
	int r = manifest_load(manifest, &m, e);

	if (r < 0)
		return r;
	out->image_bytes = m.liveimg.size_bytes;
	out->rootfs_bytes = m.rootfs.size_bytes;
	return 0;
}

int deliver_image(const struct deliver_spec *spec, struct build_result *out, struct err *e)
{
	auto_with(delivery_fini) struct delivery d = {0};
	int r = file_make_folder(spec->output, 0755, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		d.from[i] = xasprintf(
			"%s/%s-%s%s", spec->from, spec->name, spec->version, suffixes[i]);
		d.to[i] = xasprintf(
			"%s/%s-%s%s", spec->output, spec->name, spec->version, suffixes[i]);
	}
	d.signature = xasprintf("%s" SIGN_SUFFIX, d.to[ARRAY_LEN(suffixes) - 1]);
	r = stage_parts(&d, e);
	if (r < 0)
		return r;

	/* A signature is of the manifest's bytes: beside a new manifest the old one is wrong. */
	if (d.part[ARRAY_LEN(suffixes) - 1] && unlink(d.signature) < 0 && errno != ENOENT)
		return err_errno(e, "removing '%s'", d.signature);
	r = rename_parts(&d, e);
	if (r == 0 && spec->sign_key)
		r = sign_file(d.to[ARRAY_LEN(suffixes) - 1], spec->sign_key, spec->sign_cert, e);
	if (r == 0)
		r = set_sizes(d.to[ARRAY_LEN(suffixes) - 1], out, e);
	if (r < 0)
		return r;

	out->name = xstrdup(spec->name);
	out->version = xstrdup(spec->version);
	out->image = xstrdup(d.to[0]);
	out->manifest = xstrdup(d.to[ARRAY_LEN(suffixes) - 1]);
	return 0;
}
