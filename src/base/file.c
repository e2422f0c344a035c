/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "base/xalloc.h"

int file_read_fd(int fd, size_t max_bytes, char **out, size_t *len, struct err *e)
{
	autostrbuf b = {0};
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "reading");
		if (n == 0)
			break;
		if (b.len + (size_t)n > max_bytes)
			return err_set(e, EFBIG, "larger than %zu bytes", max_bytes);
		strbuf_add(&b, chunk, (size_t)n);
	}
	if (len)
		*len = b.len;
	*out = strbuf_take(&b);
	return 0;
}

int file_read(const char *path, size_t max_bytes, char **out, size_t *len, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	r = file_read_fd(fd, max_bytes, out, len, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

char *file_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static int sync_folder(const char *path, struct err *e)
{
	autofree char *folder = file_parent(path);
	autofd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(e, "syncing '%s'", folder);
	return 0;
}

static int write_temporary(
	const char *tmp, const void *data, size_t len, unsigned mode, struct err *e)
{
	autofd int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return err_errno(e, "creating '%s'", tmp);
	if (fchmod(fd, mode) < 0)
		return err_errno(e, "'%s'", tmp);
	int r = io_write(fd, data, len, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", tmp);
	return fsync(fd) < 0 ? err_errno(e, "syncing '%s'", tmp) : 0;
}

int file_replace(const char *path, const void *data, size_t len, unsigned mode, struct err *e)
{
	autofree char *tmp = xasprintf("%s.new", path);
	int r = write_temporary(tmp, data, len, mode, e);

	if (r == 0 && rename(tmp, path) < 0)
		r = err_errno(e, "renaming '%s' to '%s'", tmp, path);
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	return sync_folder(path, e);
}

static int open_how(int root_fd, const char *path, uint64_t flags, unsigned mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};

	while (path[0] == '/')
		path++;
	return (int)syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof(how));
}

int file_open_in_root(int root_fd, const char *path, int flags, unsigned mode, struct err *e)
{
	int fd = open_how(root_fd, path, (uint64_t)flags, flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

int file_open_beneath(int root_fd, const char *path, int flags, struct err *e)
{
	int fd = open_how(root_fd, path, (uint64_t)flags, 0,
		RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);

	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

/* A named pipe in the place of a file would be waited for, a device written to. */
static int open_regular(int root_fd, const char *path, int flags, unsigned mode, struct err *e)
{
	autofd int fd = file_open_in_root(root_fd, path, flags | O_NONBLOCK, mode, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "'%s' is no file", path);
	return take_fd(&fd);
}

int file_read_in_root(int root_fd, const char *path, size_t max_bytes, char **out, struct err *e)
{
	autofd int fd = open_regular(root_fd, path, O_RDONLY, 0, e);

	if (fd < 0)
		return fd;
	int r = file_read_fd(fd, max_bytes, out, NULL, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int file_make_folder_in_root(int root_fd, const char *path, struct err *e)
{
	autofree char *copy = xstrdup(path);
	autofd int at = file_open_in_root(root_fd, "/", O_PATH | O_DIRECTORY, 0, e);
	autostrbuf done = {0};
	char *rest = copy;

	if (at < 0)
		return at;
	for (char *name; (name = str_next_word(&rest, "/"));) {
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
			return err_errno(e, "creating folder '%s'", path);
		strbuf_printf(&done, "/%s", name);

		int next = file_open_in_root(root_fd, done.data, O_PATH | O_DIRECTORY, 0, e);
		if (next < 0)
			return next;
		close(take_fd(&at));
		at = next;
	}
	return 0;
}

int file_write_in_root(
	int root_fd, const char *path, const char *text, unsigned mode, struct err *e)
{
	autofree char *folder = file_parent(path);
	int r = file_make_folder_in_root(root_fd, folder, e);

	if (r < 0)
		return r;
	autofd int fd = open_regular(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC, mode, e);
	if (fd < 0)
		return fd;
	if (fchmod(fd, mode) < 0)
		return err_errno(e, "'%s'", path);
	r = io_write(fd, text, strlen(text), e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int file_make_folder(const char *path, unsigned mode, struct err *e)
{
	autofree char *copy = xstrdup(path);

	for (char *p = copy + 1; copy[0] && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_errno(e, "creating folder '%s'", copy);
		*p = '/';
	}
	if (mkdir(path, mode) == 0)
		return 0;

	struct stat st;
	if (errno != EEXIST)
		return err_errno(e, "creating folder '%s'", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is not a folder", path);
	return 0;
}

int file_make_temporary(const char *parent, const char *name, char **out, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	if (!parent)
		parent = tmp && *tmp ? tmp : "/var/tmp";
	autofree char *folder = xasprintf("%s/%s.XXXXXX", parent, name);
	if (!mkdtemp(folder))
		return err_errno(e, "creating a folder in '%s'", parent);
	*out = take_ptr(folder);
	return 0;
}

static int remove_at(int dir_fd, const char *name, dev_t dev, struct err *e);

/* Takes over fd. */
static int empty_folder(int fd, dev_t dev, struct err *e)
{
	DIR *dir = fdopendir(fd);
	int r = 0;

	if (!dir) {
		r = err_errno(e, "opening folder");
		close(fd);
		return r;
	}
	for (struct dirent *d; r == 0 && (errno = 0, d = readdir(dir));)
		if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
			r = remove_at(fd, d->d_name, dev, e);
	if (r == 0 && errno != 0)
		r = err_errno(e, "reading folder");
	closedir(dir);
	return r;
}

/* Also another folder of the same file system, which Linux tells since 5.8. */
static bool is_mount(int fd)
{
	struct statx x;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &x) == 0 &&
		(x.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static int remove_at(int dir_fd, const char *name, dev_t dev, struct err *e)
{
	struct stat st;
	int r;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(e, "removing '%s'", name);

	autofd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "removing '%s'", name);
	if (st.st_dev != dev || is_mount(fd))
		return err_set(e, EBUSY, "removing '%s': something is mounted there", name);
	r = empty_folder(take_fd(&fd), dev, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", name);
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? err_errno(e, "removing '%s'", name) : 0;
}

int file_remove_tree(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "'%s'", path);
	return remove_at(AT_FDCWD, path, st.st_dev, e);
}

int file_list(const char *path, struct strv *out, struct err *e)
{
	DIR *dir = opendir(path);

	if (!dir)
		return err_errno(e, "'%s'", path);
	for (struct dirent *d; (errno = 0, d = readdir(dir));)
		if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
			strv_add(out, d->d_name);

	int r = errno != 0 ? err_errno(e, "reading '%s'", path) : 0;
	closedir(dir);
	strv_sort(out);
	return r;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
