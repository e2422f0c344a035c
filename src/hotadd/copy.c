/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/copy.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/xalloc.h"

#define CHUNK_BYTES     (256 * KIB)
#define LIST_MAX_BYTES  (64 * KIB)
#define VALUE_MAX_BYTES (64 * KIB)
#define OVERLAY_XATTRS  "trusted.overlay."

int copy_place_open(int root_fd, const char *path, struct copy_place *out, struct err *e)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	int fd = file_open_beneath(root_fd, folder, O_PATH | O_DIRECTORY, e);

	if (fd < 0)
		return fd;
	*out = (struct copy_place){fd, *path == '\0' ? "." : slash ? slash + 1 : path};
	return 0;
}

int copy_place_find(int root_fd, const char *path, struct copy_place *out, struct err *e)
{
	struct err own = {0};
	int r = copy_place_open(root_fd, path, out, &own);

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 1;
}

char *copy_place_path(const struct copy_place *at)
{
	return xasprintf("/proc/self/fd/%d/%s", at->fd, at->name);
}

/* Linux before 5.8 says it by the device only, which files of an overlay have several of. */
int copy_place_mounted(const struct copy_place *at, struct err *e)
{
	struct stat folder;
	struct statx x;

	if (fstat(at->fd, &folder) < 0)
		return err_errno(e, "looking");
	if (statx(at->fd, at->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &x) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "looking");
	return (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 ||
		(S_ISDIR(x.stx_mode) && makedev(x.stx_dev_major, x.stx_dev_minor) != folder.st_dev);
}

static int drop_xattrs(const char *path, struct err *e)
{
	autofree char *names = xcalloc(1, LIST_MAX_BYTES);
	ssize_t len = llistxattr(path, names, LIST_MAX_BYTES);

	if (len < 0)
		return errno == ENOTSUP ? 0 : err_errno(e, "attributes");
	for (const char *n = names; n < names + len; n += strlen(n) + 1)
		/* The label of a new file is the system's choice, and what it had is set again. */
		if (!str_starts(n, OVERLAY_XATTRS) && !str_starts(n, "security.selinux") &&
			lremovexattr(path, n) < 0 && errno != ENODATA)
			return err_errno(e, "attribute '%s'", n);
	return 0;
}

static int copy_xattrs(const char *from, const char *to, struct err *e)
{
	autofree char *names = xcalloc(1, LIST_MAX_BYTES);
	autofree char *value = xcalloc(1, VALUE_MAX_BYTES);
	ssize_t len = llistxattr(from, names, LIST_MAX_BYTES);

	if (len < 0)
		return errno == ENOTSUP ? 0 : err_errno(e, "attributes");
	for (const char *n = names; n < names + len; n += strlen(n) + 1) {
		if (str_starts(n, OVERLAY_XATTRS))
			continue;
		ssize_t size = lgetxattr(from, n, value, VALUE_MAX_BYTES);
		if (size < 0 || lsetxattr(to, n, value, (size_t)size, 0) < 0)
			return err_errno(e, "attribute '%s'", n);
	}
	return 0;
}

/* Linux before 6.6 and C libraries before 2.39 have no fchmodat(2) that follows no link. */
static int set_mode(const struct copy_place *at, unsigned mode, struct err *e)
{
	autofd int fd = openat(at->fd, at->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	autofree char *path = xasprintf("/proc/self/fd/%d", fd);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "mode");
	if (S_ISLNK(st.st_mode))
		return err_set(e, ELOOP, "it has become a link");
	return chmod(path, mode & 07777) < 0 ? err_errno(e, "mode") : 0;
}

/* Owner first: giving a file away takes its capabilities and its setuid bit.  An ACL comes last. */
int copy_attributes(const struct copy_place *from, const struct copy_place *to, struct err *e)
{
	autofree char *source = copy_place_path(from);
	autofree char *target = copy_place_path(to);
	struct stat st;

	if (fstatat(from->fd, from->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "reading");
	if (fchownat(to->fd, to->name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "owner");
	int r = drop_xattrs(target, e);
	if (r < 0)
		return r;
	if (!S_ISLNK(st.st_mode)) {
		r = set_mode(to, st.st_mode, e);
		if (r < 0)
			return r;
	}
	r = copy_xattrs(source, target, e);
	if (r < 0)
		return r;
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	if (utimensat(to->fd, to->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "time");
	return 0;
}

static int copy_bytes(int from, int to, struct err *e)
{
	autofree char *buf = xcalloc(1, CHUNK_BYTES);

	for (;;) {
		ssize_t n = read(from, buf, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_errno(e, "reading") : 0;
		int r = io_write(to, buf, (size_t)n, e);
		if (r < 0)
			return r;
	}
}

static int copy_content(const struct copy_place *from, const struct copy_place *to, struct err *e)
{
	autofd int in = openat(
		from->fd, from->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autofd int out = openat(
		to->fd, to->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (in < 0)
		return err_errno(e, "opening");
	if (out < 0)
		return err_errno(e, "creating");
	return copy_bytes(in, out, e);
}

static int copy_link(const struct copy_place *from, const struct copy_place *to, struct err *e)
{
	char target[PATH_MAX + 1];
	ssize_t len = readlinkat(from->fd, from->name, target, PATH_MAX);

	if (len < 0)
		return err_errno(e, "reading");
	target[len] = '\0';
	return symlinkat(target, to->fd, to->name) < 0 ? err_errno(e, "creating") : 0;
}

int copy_object(const struct copy_place *from, const struct copy_place *to, struct err *e)
{
	struct stat st;
	int r = 0;

	if (fstatat(from->fd, from->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "reading");
	if (S_ISREG(st.st_mode))
		r = copy_content(from, to, e);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(from, to, e);
	else if (S_ISDIR(st.st_mode) ? mkdirat(to->fd, to->name, 0700) < 0
				     : mknodat(to->fd, to->name, st.st_mode, st.st_rdev) < 0)
		r = err_errno(e, "creating");
	return r == 0 ? copy_attributes(from, to, e) : r;
}

static int digest(const struct copy_place *at, char out[2 * SHA256_BYTES + 1], struct err *e)
{
	autofd int fd = openat(at->fd, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autoptr(source) s = NULL;
	uint8_t sum[SHA256_BYTES];

	if (fd < 0)
		return err_errno(e, "opening");
	int r = source_open_fd(take_fd(&fd), &s, e);
	if (r == 0)
		r = sha256_source(s, sum, e);
	if (r == 0)
		hex_format(sum, sizeof(sum), out);
	return r;
}

static void sha256_text(const char *text, size_t len, char out[2 * SHA256_BYTES + 1])
{
	uint8_t sum[SHA256_BYTES];

	sha256_buffer(text, len, sum);
	hex_format(sum, sizeof(sum), out);
}

int copy_mark(const struct copy_place *at, char **out, struct err *e)
{
	char hex[2 * SHA256_BYTES + 1] = "";
	char target[PATH_MAX + 1] = "";
	struct stat st;
	int r = 0;

	if (fstatat(at->fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return err_errno(e, "looking");
		*out = xstrdup("");
		return 0;
	}
	if (S_ISREG(st.st_mode)) {
		r = digest(at, hex, e);
	} else if (S_ISLNK(st.st_mode)) {
		ssize_t len = readlinkat(at->fd, at->name, target, PATH_MAX);

		if (len < 0)
			return err_errno(e, "reading");
		sha256_text(target, (size_t)len, hex);
	}
	if (r == 0)
		*out = xasprintf("%o:%u:%u:%s", st.st_mode, st.st_uid, st.st_gid, hex);
	return r;
}
