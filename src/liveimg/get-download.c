/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "liveimg/get-internal.h"
#include "liveimg/memory.h"
#include "sys/chroot.h"

#define PART_SUFFIX ".part"
#define DIGEST_LEN  16 /* of its hexadecimal digits, in the name of a download */
#define READ_BYTES  (1 * MIB)
/* What the steps after the download need beside it. */
#define WORK_BYTES  (192 * MIB)
#define TMPFS_SLACK (1 * MIB)

static uint64_t image_bytes(const struct get_job *j)
{
	return j->out->manifest.liveimg.size_bytes;
}

/* A file system in memory, just large enough; it ends with this process. */
static int open_in_memory(struct get_job *j, int *fd, struct err *e)
{
	autofree char *folder = xasprintf("%s/image", j->spec->folder);
	autofree char *path = xasprintf("%s/squashfs.img", folder);
	uint64_t size = image_bytes(j);
	int r = memory_check(size + WORK_BYTES, "downloading the image", e);

	if (r == 0)
		r = chroot_enter_namespace(e);
	if (r == 0)
		r = file_make_folder(folder, 0700, e);
	if (r < 0)
		return r;
	uint64_t room = size + TMPFS_SLACK;
	autofree char *options = xasprintf("mode=0700,size=%" PRIu64, room);
	if (mount("bedplate", folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_errno(e, "memory for the image on '%s'", folder);
	int opened = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (opened < 0)
		return err_errno(e, "'%s'", path);
	*fd = opened;
	return 0;
}

static int check_room(const char *folder, uint64_t needed_bytes, struct err *e)
{
	struct statvfs fs;

	if (statvfs(folder, &fs) < 0)
		return err_errno(e, "'%s'", folder);
	uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (needed_bytes <= available)
		return 0;
	autofree char *need = str_bytes(needed_bytes), *have = str_bytes(available);
	return err_set(e, ENOSPC,
		"no room to download the image into '%s': it needs %s, %s are free", folder, need,
		have);
}

static char *part_name(const struct manifest *m)
{
	char digest[SHA256_HEX_BYTES];

	hex_format(m->liveimg.sha256, SHA256_BYTES, digest);
	return xasprintf("%.100s-%.100s.%.*s" PART_SUFFIX, m->name, m->version, DIGEST_LEN, digest);
}

/* NULL: this image does not come into a file of the folder that stays. */
static char *part_path(const struct liveimg_from *spec, const struct manifest *m)
{
	autofree char *name = part_name(m);

	if (!spec->to_disk || !spec->where || !fetch_is_remote(spec->where))
		return NULL;
	return xasprintf("%s/%s", spec->folder, name);
}

uint64_t liveimg_download_bytes(const struct liveimg_from *spec, const struct manifest *m)
{
	autofree char *path = part_path(spec, m);
	const uint64_t size = m->liveimg.size_bytes;
	struct stat st;

	if (!path)
		return spec->to_disk && spec->where && str_eq(spec->where, "-") ? size : 0;
	return lstat(path, &st) < 0 ? size : size - MIN(size, (uint64_t)st.st_size);
}

void liveimg_drop_part(const struct liveimg_from *spec, const struct manifest *m)
{
	autofree char *path = part_path(spec, m);

	if (path && unlink(path) == 0)
		log_info("'%s' removed: the image is not wanted", path);
}

/* A newer image was asked for since: nobody goes on with those. */
static void drop_other_parts(const char *folder, const char *keep)
{
	autostrv names = {0};

	if (file_list(folder, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		if (!str_ends(names.items[i], PART_SUFFIX) || str_eq(names.items[i], keep))
			continue;
		autofree char *path = xasprintf("%s/%s", folder, names.items[i]);
		if (unlink(path) == 0)
			log_info("'%s' removed: what is left of a download", path);
	}
}

static int open_part(struct get_job *j, int *fd, struct err *e)
{
	const char *folder = j->spec->folder;
	struct stat st;
	int r = file_make_folder(folder, 0700, e);

	if (r < 0)
		return r;
	autofree char *name = part_name(&j->out->manifest);
	autofree char *path = xasprintf("%s/%s", folder, name);
	drop_other_parts(folder, name);
	autofd int opened = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (opened < 0 || fstat(opened, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (flock(opened, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, EBUSY, "'%s' is being downloaded by another process", path);
	uint64_t there = (uint64_t)st.st_size;
	r = check_room(folder, image_bytes(j) - MIN(image_bytes(j), there), e);
	if (r < 0)
		return r;
	j->out->download = take_ptr(path);
	*fd = take_fd(&opened);
	return 0;
}

/* The digest is compared, so what was there before cannot become part of a wrong image. */
static int download(struct get_job *j, const char *url, int fd, struct err *e)
{
	autofree char *public = fetch_public_name(url);
	uint8_t got[SHA256_BYTES];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", public);
	for (bool resumed = st.st_size > 0;; resumed = false) {
		struct err own = {0};
		int r = fetch_file(url, &j->spec->fetch, fd, image_bytes(j), got, j->p, &own);

		if (r == 0)
			r = get_compare_digest(j, public, got, &own);
		if (r == 0)
			return 0;
		if (r == -ENOSPC && j->out->download)
			return err_set(e, ENOSPC,
				"no room for the rest of the image in '%s': make some, the download then "
				"goes on where it stopped",
				j->out->download);
		if (r != -EBADMSG || !resumed)
			return err_set(e, -r, "%s", own.msg);
		log_warning("%s; downloading it from the start", own.msg);
		if (ftruncate(fd, 0) < 0)
			return err_errno(e, "%s", public);
	}
}

int get_remote(struct get_job *j, const char *url, struct err *e)
{
	autofree char *public = fetch_public_name(url);
	autofd int fd = -1;
	struct source *s = NULL;
	int r = get_manifest_beside_url(j, url, e);

	if (r == 0)
		r = (j->spec->to_disk ? open_part : open_in_memory)(j, &fd, e);
	if (r < 0)
		return r;
	r = download(j, url, fd, e);
	if (r == -EBADMSG)
		liveimg_drop_download(j->out);
	if (r == 0)
		r = source_open_fd(take_fd(&fd), &s, e);
	return r < 0 ? r : get_open_image(j, s, public, e);
}

/* Without a name: it goes with its descriptor. */
static int open_unnamed(struct get_job *j, int *fd, struct err *e)
{
	const char *folder = j->spec->folder;
	autofree char *path = xasprintf("%s/input.XXXXXX", folder);
	int r = file_make_folder(folder, 0700, e);

	if (r == 0)
		r = check_room(folder, image_bytes(j), e);
	if (r < 0)
		return r;
	autofd int opened = mkostemp(path, O_CLOEXEC);
	if (opened < 0 || unlink(path) < 0)
		return err_errno(e, "'%s'", path);
	*fd = take_fd(&opened);
	return 0;
}

static int read_some(char *buf, size_t len, size_t *got, struct err *e)
{
	ssize_t n;

	do {
		n = read(STDIN_FILENO, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, "standard input");
	*got = (size_t)n;
	return 0;
}

static int spool(struct get_job *j, int fd, uint8_t sha256[SHA256_BYTES], struct err *e)
{
	autofree char *buf = xcalloc(1, READ_BYTES);
	autoptr(sha256) h = sha256_new();
	uint64_t done = 0, size = image_bytes(j);
	size_t n = 0;
	int r;

	/* One byte more than there should be: too much is noticed. */
	while ((r = read_some(buf, (size_t)MIN(READ_BYTES, size - done + 1), &n, e)) == 0 &&
		n > 0) {
		if (n > size - done)
			return err_set(e, EBADMSG,
				"standard input has more than the %" PRIu64
				" bytes of the manifest",
				size);
		r = io_pwrite(fd, buf, n, done, e);
		if (r < 0)
			return err_wrap(e, r, "standard input into '%s'", j->spec->folder);
		done += n;
		sha256_add(h, buf, n);
		r = progress_advance(j->p, done, e);
		if (r < 0)
			return r;
	}
	if (r == 0 && done < size)
		r = err_set(e, EBADMSG,
			"standard input is cut off: %" PRIu64 " bytes, the manifest has %" PRIu64,
			done, size);
	sha256_end(h, sha256);
	return r;
}

int get_standard_input(struct get_job *j, struct err *e)
{
	const char *path = j->spec->manifest;
	const char *slash = path ? strrchr(path, '/') : NULL;
	uint8_t got[SHA256_BYTES];
	autofd int fd = -1;
	struct source *s = NULL;

	if (!path)
		return err_set(e, EINVAL,
			"an image from standard input needs its manifest in a file: "
			"--manifest=NAME-VERSION" MANIFEST_SUFFIX);
	j->out->origin = xstrdup("standard input");
	autofree char *folder = slash ? xasprintf("%.*s/", (int)(slash - path), path)
				      : xstrdup(".");
	const struct get_place place = {.folder = folder};
	int r = get_manifest_file(j, &place, slash ? slash + 1 : path, e);
	if (r == 0)
		r = (j->spec->to_disk ? open_unnamed : open_in_memory)(j, &fd, e);
	if (r < 0)
		return r;
	progress_begin(j->p, "read", image_bytes(j), "bytes");
	r = spool(j, fd, got, e);
	progress_end(j->p);
	if (r == 0)
		r = get_compare_digest(j, "standard input", got, e);
	if (r == 0)
		r = source_open_fd(take_fd(&fd), &s, e);
	return r < 0 ? r : get_open_image(j, s, "standard input", e);
}
