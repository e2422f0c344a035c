/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/copy.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/file.h"
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

char *copy_place_path(const struct copy_place *at)
{
	return xasprintf("/proc/self/fd/%d/%s", at->fd, at->name);
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
	if (!S_ISLNK(st.st_mode) && fchmodat(to->fd, to->name, st.st_mode & 07777, 0) < 0)
		return err_errno(e, "mode");
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
