/* SPDX-License-Identifier: Apache-2.0 */
#include "image/carrier.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "image/intree.h"
#include "image/liveimg.h"
#include "image/manifest.h"
#include "image/package-db.h"
#include "image/sign.h"
#include "pkg/pkg.h"

#define DPKG_FOLDER      "/var/lib/dpkg"
#define MAINTAINER       "The Bedplate Project <bedplate@localhost>"
#define AR_MAGIC         "!<arch>\n"
#define AR_HEAD_BYTES    60
#define COPY_BYTES       (1 * MIB)
#define VERSION_MAX      200
#define MARK_DESCRIPTION "Description: image of this node"

static const char version_chars[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+~-";

struct payload {
	char *name; /* in CARRIER_FOLDER */
	struct source *s;
	const uint8_t *sha256; /* what it has to have, or NULL */
};

struct carrier {
	const struct carrier_spec *spec;
	struct progress *p;
	struct image *img;
	struct manifest manifest;
	char *package, *version;
	struct payload payload[3]; /* image, manifest, signature if there is one */
	size_t payload_count;
	char *path, *tmp;
	int fd;         /* of tmp */
	uint64_t end;   /* bytes written to it */
	struct err err; /* our own, raised in a callback */
};

static void carrier_fini(struct carrier *c)
{
	/* The first is the image's own. */
	for (size_t i = 0; i < c->payload_count; i++) {
		free(c->payload[i].name);
		if (i > 0)
			source_free(c->payload[i].s);
	}
	image_free(c->img);
	manifest_fini(&c->manifest);
	free(c->package);
	free(c->version);
	if (c->tmp)
		unlink(c->tmp);
	free(c->tmp);
	free(c->path);
	close_auto(&c->fd);
}

static void end_archive(struct archive **a)
{
	archive_write_free(*a);
}

static void end_entry(struct archive_entry **en)
{
	archive_entry_free(*en);
}

char *carrier_package_name(const char *image_name)
{
	char *name = xasprintf("%s-image-update", image_name);

	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) || strchr("+.-", *p)
			? (char)tolower((unsigned char)*p)
			: '-';
	return name;
}

char *carrier_package_version(const char *image_version)
{
	char *version = xasprintf("%s%s%s", isdigit((unsigned char)*image_version) ? "" : "0+",
		image_version, str_ends(image_version, "-") ? "0" : "");

	for (char *p = version; *p; p++)
		if (!strchr(version_chars, *p))
			*p = '+';
	return version;
}

static bool is_debian_version(const char *text)
{
	size_t epoch = strspn(text, "0123456789");
	const char *rest = epoch > 0 && text[epoch] == ':' ? text + epoch + 1 : text;

	return isdigit((unsigned char)*rest) && strspn(rest, version_chars) == strlen(rest) &&
		strlen(text) <= VERSION_MAX && !str_ends(rest, "-");
}

static char *head_text(const char *package, const char *version, const char *arch, uint64_t kib)
{
	return xasprintf("Package: %s\n"
			 "Version: %s\n"
			 "Architecture: %s\n"
			 "Maintainer: " MAINTAINER "\n"
			 "Installed-Size: %" PRIu64 "\n"
			 "Section: admin\n"
			 "Priority: optional\n",
		package, version, arch, kib);
}

/* Its paragraph in the status file, or NULL. */
static const char *find_paragraph(const char *status, const char *package)
{
	autofree char *line = xasprintf("Package: %s\n", package);
	const char *at = strstr(status, line);

	while (at && at > status && at[-1] != '\n')
		at = strstr(at + 1, line);
	return at;
}

/* An image that is made from another one has that one's package: it becomes the new one's. */
static int set_version(
	int root_fd, const char *status, const char *paragraph, const char *version, struct err *e)
{
	const char *end = strstr(paragraph, "\n\n");
	size_t len = end ? (size_t)(end - paragraph) : strlen(paragraph);
	autofree char *old = xstrndup(paragraph, len);
	const char *field = strstr(old, "\nVersion: ");

	/* Somebody's own package of this name is left alone. */
	if (!strstr(old, "\n" MARK_DESCRIPTION "\n") || !field)
		return 0;
	field += strlen("\nVersion: ");
	autofree char *text = xasprintf("%.*s%.*s%s%s%s", (int)(paragraph - status), status,
		(int)(field - old), old, version, field + strcspn(field, "\n"), paragraph + len);
	return intree_write(root_fd, DPKG_FOLDER "/status", text, 0644, e);
}

int carrier_mark_tree(int root_fd, const char *image_name, const char *image_version, struct err *e)
{
	autofree char *package = carrier_package_name(image_name);
	autofree char *version = carrier_package_version(image_version);
	autofree char *arch = pkg_host_arch();
	autofree char *status = NULL;
	int r = file_read_in_root(
		root_fd, DPKG_FOLDER "/status", DPKG_STATUS_MAX_BYTES, &status, e);

	if (r == -ENOENT) {
		*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	const char *paragraph = find_paragraph(status, package);
	if (paragraph)
		return set_version(root_fd, status, paragraph, version, e);
	autofree char *head = head_text(package, version, arch, 0);
	const char *gap = !*status || str_ends(status, "\n\n") ? ""
		: str_ends(status, "\n")                       ? "\n"
							       : "\n\n";
	autofree char *text = xasprintf(
		"%s%s%sStatus: install ok installed\n" MARK_DESCRIPTION "\n"
		" This package came with the image and has no files. A newer version of it carries the\n"
		" next image, and its installation upgrades the node.\n"
		"\n",
		status, gap, head);
	autofree char *list = xasprintf(DPKG_FOLDER "/info/%s.list", package);
	autofree char *sums = xasprintf(DPKG_FOLDER "/info/%s.md5sums", package);
	r = intree_write(root_fd, list, "/.\n", 0644, e);
	/* "dpkg --audit" misses it otherwise. */
	if (r == 0)
		r = intree_write(root_fd, sums, "", 0644, e);
	return r < 0 ? r : intree_write(root_fd, DPKG_FOLDER "/status", text, 0644, e);
}

static void add_payload(
	struct carrier *c, const char *suffix, struct source *s, const uint8_t *sha256)
{
	c->payload[c->payload_count++] = (struct payload){
		.name = xasprintf("%s-%s%s", c->manifest.name, c->manifest.version, suffix),
		.s = s,
		.sha256 = sha256,
	};
}

static int add_sibling(struct carrier *c, const char *suffix, struct err *e)
{
	autofree char *path = image_sibling(c->img, suffix);
	autoptr(source) s = NULL;
	int r = source_open_path(path, &s, e);

	if (r == 0)
		add_payload(c, suffix, take_ptr(s), NULL);
	return r;
}

static int add_signature(struct carrier *c, struct err *e)
{
	int r = add_sibling(c, MANIFEST_SUFFIX SIGN_SUFFIX, e);

	if (r != -ENOENT)
		return r;
	*e = (struct err){0};
	if (!c->spec->allow_unsigned)
		log_warning("'%s' is not signed: nodes will not install the package without "
			    "--allow-unsigned",
			image_path(c->img));
	return 0;
}

static int open_input(struct carrier *c, struct err *e)
{
	struct manifest *m = &c->manifest;
	int r = image_open(c->spec->image, &c->img, e);

	if (r < 0)
		return r;
	autofree char *path = image_sibling(c->img, MANIFEST_SUFFIX);
	r = manifest_load(path, m, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT,
			"'%s' has no manifest beside it (NAME-VERSION" MANIFEST_SUFFIX
			"): only images of 'bedplate image build' can be packaged",
			image_path(c->img));
	if (r < 0)
		return r;
	if (image_file(c->img)->size_bytes != m->liveimg.size_bytes)
		return err_set(e, EBADMSG, "'%s' is %" PRIu64 " bytes, its manifest has %" PRIu64,
			image_path(c->img), image_file(c->img)->size_bytes, m->liveimg.size_bytes);
	add_payload(c, LIVEIMG_SUFFIX, image_file(c->img), m->liveimg.sha256);
	r = add_sibling(c, MANIFEST_SUFFIX, e);
	return r < 0 ? r : add_signature(c, e);
}

static int choose_names(struct carrier *c, struct err *e)
{
	const char *given = c->spec->version;

	if (given && !is_debian_version(given))
		return err_set(e, EINVAL,
			"bad version '%.200s', expected one of a Debian package: [EPOCH:]DIGIT "
			"and then letters, digits, '.', '+', '~', '-'",
			given);
	c->package = carrier_package_name(c->manifest.name);
	c->version = given ? xstrdup(given) : carrier_package_version(c->manifest.version);
	const char *colon = strchr(c->version, ':');
	c->path = xasprintf("%s/%s_%s_%s.deb", c->spec->folder, c->package,
		colon ? colon + 1 : c->version, c->manifest.arch);
	return 0;
}

static int open_output(struct carrier *c, struct err *e)
{
	int r = file_make_folder(c->spec->folder, 0755, e);

	if (r < 0)
		return r;
	autofree char *tmp = xasprintf("%s.new", c->path);
	unlink(tmp);
	c->fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (c->fd < 0)
		return err_errno(e, "'%s'", tmp);
	c->tmp = take_ptr(tmp);
	return 0;
}

static int append(struct carrier *c, const void *data, size_t len, struct err *e)
{
	int r = io_pwrite(c->fd, data, len, c->end, e);

	if (r == 0)
		c->end += len;
	return r;
}

/* ar(5), as in deb(5): name, time, owner, group, mode, size. */
static int put_head(
	const struct carrier *c, uint64_t at, const char *name, uint64_t len, struct err *e)
{
	char head[AR_HEAD_BYTES + 1];
	int n = snprintf(head, sizeof(head),
		"%-16s%-12" PRId64 "0     0     100644  %-10" PRIu64 "`\n", name,
		c->manifest.source_date, len);

	if (n != AR_HEAD_BYTES)
		return err_set(e, EFBIG, "'%s' is too large for a Debian package", name);
	return io_pwrite(c->fd, head, AR_HEAD_BYTES, at, e);
}

static la_ssize_t take_tar(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct carrier *c = ctx;

	if (append(c, data, len, &c->err) == 0)
		return (la_ssize_t)len;
	archive_set_error(a, EIO, "%s", c->err.msg);
	return -1;
}

static int archive_error(const struct carrier *c, struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);

	if (c->err.code)
		return err_set(e, c->err.code, "%s", c->err.msg);
	return err_set(e, EIO, "%s", text ? text : "the archive cannot be written");
}

static int put_entry(struct carrier *c, struct archive *a, const char *path, unsigned mode,
	uint64_t len, struct err *e)
{
	auto_with(end_entry) struct archive_entry *en = archive_entry_new();

	archive_entry_set_pathname(en, path);
	archive_entry_set_mode(en, (mode_t)mode);
	archive_entry_set_size(en, (la_int64_t)len);
	archive_entry_set_mtime(en, c->manifest.source_date, 0);
	archive_entry_set_uname(en, "root");
	archive_entry_set_gname(en, "root");
	return archive_write_header(a, en) == ARCHIVE_OK ? 0 : archive_error(c, a, e);
}

static int put_data(
	struct carrier *c, struct archive *a, const void *data, size_t len, struct err *e)
{
	return archive_write_data(a, data, len) == (la_ssize_t)len ? 0 : archive_error(c, a, e);
}

static int put_text(struct carrier *c, struct archive *a, const char *path, unsigned mode,
	const char *text, struct err *e)
{
	int r = put_entry(c, a, path, S_IFREG | mode, strlen(text), e);

	return r < 0 ? r : put_data(c, a, text, strlen(text), e);
}

static int put_payload(struct carrier *c, struct archive *a, const struct payload *f, struct err *e)
{
	autofree char *path = xasprintf("." CARRIER_FOLDER "/%s", f->name);
	autofree char *buf = xcalloc(1, COPY_BYTES);
	autoptr(sha256) h = sha256_new();
	uint8_t got[SHA256_BYTES];
	int r = put_entry(c, a, path, S_IFREG | 0644, f->s->size_bytes, e);

	for (uint64_t off = 0; r == 0 && off < f->s->size_bytes;) {
		size_t n = (size_t)MIN(COPY_BYTES, f->s->size_bytes - off);

		r = source_read_at(f->s, buf, n, off, e);
		if (r == 0)
			r = put_data(c, a, buf, n, e);
		sha256_add(h, buf, n);
		off += n;
		if (r == 0 && f->sha256)
			r = progress_advance(c->p, off, e);
	}
	sha256_end(h, got);
	if (r == 0 && f->sha256 && memcmp(got, f->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "'%s' is not the image of its manifest: it is damaged",
			image_path(c->img));
	return r;
}

static int fill_data(struct carrier *c, struct archive *a, struct err *e)
{
	static const char *const folders[] = {
		"./", "./var/", "./var/lib/", "./var/lib/bedplate/", "." CARRIER_FOLDER "/"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++)
		r = put_entry(c, a, folders[i], S_IFDIR | 0755, 0, e);
	for (size_t i = 0; r == 0 && i < c->payload_count; i++)
		r = put_payload(c, a, &c->payload[i], e);
	return r;
}

static char *control_text(const struct carrier *c)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < c->payload_count; i++)
		bytes += c->payload[i].s->size_bytes;
	autofree char *head = head_text(
		c->package, c->version, c->manifest.arch, (bytes + KIB - 1) / KIB);
	return xasprintf(
		"%sDepends: nodectl\n"
		"Description: image %s %s of this node\n"
		" Installing this package upgrades the node to the image in it: into a new layer,\n"
		" which is tried at the next boot.\n",
		head, c->manifest.name, c->manifest.version);
}

/*
 * What is on /var outlives the layer whose database knows of it, so nothing stays there once the image
 * is a layer.  Until then it does, and dpkg --configure tries again.
 */
static char *postinst_text(const struct carrier *c)
{
	return xasprintf("#!/bin/sh\n"
			 "set -e\n"
			 "image='" CARRIER_FOLDER "/%s-%s'\n"
			 "[ \"$1\" = configure ] && [ -e \"$image" LIVEIMG_SUFFIX "\" ] || exit 0\n"
			 "nodectl upgrade%s --yes \"$image" LIVEIMG_SUFFIX "\"\n"
			 "rm -f \"$image" LIVEIMG_SUFFIX "\" \"$image" MANIFEST_SUFFIX
			 "\" \"$image" MANIFEST_SUFFIX SIGN_SUFFIX "\"\n",
		c->manifest.name, c->manifest.version,
		c->spec->allow_unsigned ? " --allow-unsigned" : "");
}

static int fill_control(struct carrier *c, struct archive *a, struct err *e)
{
	autofree char *control = control_text(c);
	autofree char *postinst = postinst_text(c);
	int r = put_entry(c, a, "./", S_IFDIR | 0755, 0, e);

	if (r == 0)
		r = put_text(c, a, "./control", 0644, control, e);
	return r < 0 ? r : put_text(c, a, "./postinst", 0755, postinst, e);
}

/* A tar as a member; its size is known when it is complete. */
static int put_tar(struct carrier *c, const char *name,
	int (*fill)(struct carrier *c, struct archive *a, struct err *e), struct err *e)
{
	auto_with(end_archive) struct archive *a = archive_write_new();
	uint64_t head = c->end;

	if (!a)
		return err_set(e, ENOMEM, "libarchive");
	c->end += AR_HEAD_BYTES;
	archive_write_set_bytes_per_block(a, COPY_BYTES);
	archive_write_set_bytes_in_last_block(a, 1);
	if (archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
		archive_write_open(a, c, NULL, take_tar, NULL) != ARCHIVE_OK)
		return archive_error(c, a, e);
	int r = fill(c, a, e);
	if (r < 0)
		return r;
	if (archive_write_close(a) != ARCHIVE_OK)
		return archive_error(c, a, e);
	return put_head(c, head, name, c->end - head - AR_HEAD_BYTES, e);
}

static int put_all(struct carrier *c, struct err *e)
{
	static const char format[] = "2.0\n";
	int r = append(c, AR_MAGIC, strlen(AR_MAGIC), e);

	if (r == 0)
		r = put_head(c, c->end, "debian-binary", strlen(format), e);
	if (r < 0)
		return r;
	c->end += AR_HEAD_BYTES;
	r = append(c, format, strlen(format), e);
	if (r == 0)
		r = put_tar(c, "control.tar", fill_control, e);
	/* Not compressed: the image is already. */
	return r < 0 ? r : put_tar(c, "data.tar", fill_data, e);
}

static int publish(struct carrier *c, struct err *e)
{
	if (fsync(c->fd) < 0 || rename(c->tmp, c->path) < 0)
		return err_errno(e, "'%s'", c->path);
	free(c->tmp);
	c->tmp = NULL;
	return 0;
}

int carrier_write(const struct carrier_spec *spec, char **path, struct progress *p, struct err *e)
{
	auto_with(carrier_fini) struct carrier c = {.spec = spec, .p = p, .fd = -1};
	int r = open_input(&c, e);

	if (r == 0)
		r = choose_names(&c, e);
	if (r == 0)
		r = open_output(&c, e);
	if (r < 0)
		return r;
	progress_begin(p, "package", c.manifest.liveimg.size_bytes, "bytes");
	r = put_all(&c, e);
	progress_end(p);
	if (r < 0)
		return c.err.code ? err_wrap(e, r, "'%s'", c.path) : r;
	r = publish(&c, e);
	if (r == 0)
		*path = take_ptr(c.path);
	return r;
}
