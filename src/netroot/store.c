/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"

#define NEW ".new"

/* A link is named for what it is. */
static int say_link(int r, const char *path, struct err *e)
{
	if (r == -ELOOP || r == -EXDEV)
		return err_set(e, ELOOP,
			"'%s' is or lies behind a symbolic link, which is not followed", path);
	return r;
}

static int open_beneath(int root_fd, const char *path, int flags, struct err *e)
{
	int fd = file_open_beneath(root_fd, path, flags, e);

	return fd < 0 ? say_link(fd, path, e) : fd;
}

/* The folder of path, and the name in it. */
static int open_parent(int root_fd, const char *path, const char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");

	*name = slash ? slash + 1 : path;
	return open_beneath(root_fd, folder, O_RDONLY | O_DIRECTORY, e);
}

static int set_folder_mode(int parent, const char *name, unsigned mode, struct err *e)
{
	autofd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || fchmod(fd, mode) < 0 ? err_errno(e, "mode of folder '%s'", name) : 0;
}

int store_make_folder(int root_fd, const char *path, unsigned mode, struct err *e)
{
	const char *name;
	autofd int parent = open_parent(root_fd, path, &name, e);
	struct stat st;

	if (parent < 0)
		return parent;
	bool made = mkdirat(parent, name, mode) == 0;
	if (!made && errno != EEXIST)
		return err_errno(e, "creating folder '%s'", path);
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "'%s'", path);
	if (S_ISLNK(st.st_mode))
		return say_link(-ELOOP, path, e);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is not a folder", path);
	/* Whatever the umask is: servers read one of ours, and nobody else what only its owner may. */
	bool wide = (mode & 077) == 0 && (st.st_mode & 077) != 0;
	return made || wide ? set_folder_mode(parent, name, (st.st_mode & 07000) | mode, e) : 0;
}

/* A named pipe in the place of a file would be waited for. */
static int open_file(int root_fd, const char *path, struct err *e)
{
	autofd int fd = open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "'%s'", path);
	return S_ISREG(st.st_mode) ? take_fd(&fd) : err_set(e, EINVAL, "'%s' is no file", path);
}

int store_read(
	int root_fd, const char *path, size_t max_bytes, char **out, size_t *len, struct err *e)
{
	autofd int fd = open_file(root_fd, path, e);

	if (fd < 0)
		return fd;
	int r = file_read_fd(fd, max_bytes, out, len, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int store_open(int root_fd, const char *path, struct source **out, struct err *e)
{
	autofd int fd = open_file(root_fd, path, e);

	return fd < 0 ? fd : source_open_fd(take_fd(&fd), out, e);
}

int store_verify(int root_fd, const char *path, const struct netroot_file *want, struct err *e)
{
	autoptr(source) s = NULL;
	uint8_t sum[SHA256_BYTES];
	int r = store_open(root_fd, path, &s, e);

	if (r < 0)
		return r;
	if (s->size_bytes != want->size_bytes)
		return err_set(e, EBADMSG, "'%s' is damaged: its size is wrong", path);
	r = sha256_source(s, sum, e);
	if (r == 0 && memcmp(sum, want->sha256, sizeof(sum)) != 0)
		r = err_set(e, EBADMSG, "'%s' is damaged", path);
	return r;
}

int store_begin(int root_fd, const char *path, unsigned mode, struct err *e)
{
	autofree char *tmp = xasprintf("%s" NEW, path);
	const char *name;
	autofd int parent = open_parent(root_fd, tmp, &name, e);

	if (parent < 0)
		return parent;
	/* A run that was cut off may have left one; we hold the lock. */
	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "removing '%s'", tmp);
	int fd = openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(e, "creating '%s'", tmp);
	if (fchmod(fd, mode) < 0) {
		int r = err_errno(e, "'%s'", tmp);

		close(fd);
		return r;
	}
	return fd;
}

static int hash_fd(int fd, struct netroot_file *out, struct err *e)
{
	autofd int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	autoptr(source) s = NULL;

	if (copy < 0)
		return err_errno(e, "reading");
	int r = source_open_fd(take_fd(&copy), &s, e);
	if (r < 0)
		return r;
	out->size_bytes = s->size_bytes;
	return sha256_source(s, out->sha256, e);
}

static int give_name(int parent, const char *path, struct err *e)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	autofree char *tmp = xasprintf("%s" NEW, name);

	if (renameat(parent, tmp, parent, name) < 0 || fsync(parent) < 0)
		return err_errno(e, "'%s'", path);
	return 0;
}

int store_finish(int root_fd, const char *path, int fd, struct netroot_file *out, struct err *e)
{
	autofree char *tmp = xasprintf("%s" NEW, path);
	const char *name;
	autofd int parent = open_parent(root_fd, tmp, &name, e);
	int r = parent < 0 ? parent : 0;

	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "writing '%s'", path);
	if (r == 0 && out)
		r = hash_fd(fd, out, e);
	if (r < 0)
		return r;
	return give_name(parent, path, e);
}

int store_adopt(int root_fd, const char *path, struct err *e)
{
	const char *name;
	autofd int parent = open_parent(root_fd, path, &name, e);

	return parent < 0 ? parent : give_name(parent, path, e);
}

void store_abandon(int root_fd, const char *path)
{
	autofree char *tmp = xasprintf("%s" NEW, path);
	const char *name;
	autofd int parent = open_parent(root_fd, tmp, &name, NULL);

	if (parent >= 0)
		unlinkat(parent, name, 0);
}

/* Also the mode: what only root may read stays so. */
static bool is_same(int root_fd, const char *path, const void *data, size_t len, unsigned mode)
{
	autofd int fd = open_file(root_fd, path, NULL);
	autofree char *old = NULL;
	struct stat st;
	size_t old_len = 0;

	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == mode &&
		file_read_fd(fd, len, &old, &old_len, NULL) == 0 && old_len == len &&
		memcmp(old, data, len) == 0;
}

int store_stage(
	int root_fd, const char *path, const void *data, size_t len, unsigned mode, struct err *e)
{
	if (is_same(root_fd, path, data, len, mode))
		return 0;
	autofd int fd = store_begin(root_fd, path, mode, e);
	if (fd < 0)
		return fd;
	int r = io_write(fd, data, len, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "writing");
	if (r == 0)
		return 1;
	store_abandon(root_fd, path);
	return err_wrap(e, r, "'%s'", path);
}

int store_write(
	int root_fd, const char *path, const void *data, size_t len, unsigned mode, struct err *e)
{
	int r = store_stage(root_fd, path, data, len, mode, e);

	if (r <= 0)
		return r;
	r = store_adopt(root_fd, path, e);
	if (r < 0)
		store_abandon(root_fd, path);
	return r;
}

int store_remove(int root_fd, const char *path, struct err *e)
{
	const char *name;
	autofd int parent = open_parent(root_fd, path, &name, e);

	if (parent == -ENOENT) {
		if (e)
			*e = (struct err){0};
		return 0;
	}
	if (parent < 0)
		return parent;
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR && (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY))
		return 0;
	return err_errno(e, "removing '%s'", path);
}

int store_list(int root_fd, const char *path, struct strv *out, struct err *e)
{
	autofd int fd = open_beneath(root_fd, path, O_RDONLY | O_DIRECTORY, e);

	if (fd == -ENOENT) {
		if (e)
			*e = (struct err){0};
		return 0;
	}
	if (fd < 0)
		return fd;
	autofree char *folder = xasprintf("/proc/self/fd/%d", fd);
	int r = file_list(folder, out, e);
	return r < 0 ? err_set(e, -r, "reading '%s'", path) : 0;
}
