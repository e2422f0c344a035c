/* SPDX-License-Identifier: Apache-2.0 */
#include "image/intree.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/tree.h"
#include "base/xalloc.h"

bool intree_has(int root_fd, const char *path)
{
	autofd int fd = file_open_in_root(root_fd, path, O_PATH, 0, NULL);

	return fd >= 0;
}

bool intree_is_link(int root_fd, const char *path)
{
	autofd int fd = file_open_in_root(root_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The folder a path is in, -ENOENT when there is none. */
static int open_parent(int root_fd, const char *path, struct err *e)
{
	autofree char *parent = xstrndup(path, (size_t)(name_of(path) - path));

	return file_open_in_root(root_fd, *parent ? parent : "/", O_PATH | O_DIRECTORY, 0, e);
}

int intree_remove(int root_fd, const char *path, struct err *e)
{
	autofd int parent = open_parent(root_fd, path, NULL);

	if (parent < 0)
		return 0;
	autofree char *full = xasprintf("/proc/self/fd/%d/%s", parent, name_of(path));
	int r = file_remove_tree(full, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int intree_list(int root_fd, const char *folder, struct strv *out, struct err *e)
{
	autofd int fd = file_open_in_root(root_fd, folder, O_RDONLY | O_DIRECTORY, 0, NULL);

	if (fd < 0)
		return 0;
	autofree char *path = xasprintf("/proc/self/fd/%d", fd);
	return file_list(path, out, e);
}

int intree_remove_matching(int root_fd, const char *folder, const char *glob, struct err *e)
{
	autostrv names = {0};
	int r = intree_list(root_fd, folder, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *path = xasprintf("%s/%s", folder, names.items[i]);

		if (fnmatch(glob, names.items[i], 0) == 0)
			r = intree_remove(root_fd, path, e);
	}
	return r;
}

int intree_remove_files(int root_fd, const char *folder, struct err *e)
{
	autofd int fd = file_open_in_root(root_fd, folder, O_RDONLY | O_DIRECTORY, 0, NULL);
	autoptr(tree) t = NULL;
	int r;

	if (fd < 0)
		return 0;
	autofree char *path = xasprintf("/proc/self/fd/%d", fd);
	r = tree_scan(path, &t, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", folder);
	for (size_t i = 0; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];

		if (S_ISREG(en->mode) && unlinkat(fd, en->path, 0) < 0)
			return err_errno(e, "removing '%s/%s'", folder, en->path);
	}
	return 0;
}

static int make_place(int root_fd, const char *path, struct err *e)
{
	autofree char *parent = xstrndup(path, (size_t)(name_of(path) - path));
	int r = file_make_folder_in_root(root_fd, parent, e);

	return r == 0 ? intree_remove(root_fd, path, e) : r;
}

int intree_link(int root_fd, const char *target, const char *path, struct err *e)
{
	int r = make_place(root_fd, path, e);

	if (r < 0)
		return r;
	autofd int parent = open_parent(root_fd, path, e);
	if (parent < 0)
		return parent;
	return symlinkat(target, parent, name_of(path)) < 0 ? err_errno(e, "link '%s'", path) : 0;
}

int intree_write(int root_fd, const char *path, const char *text, unsigned mode, struct err *e)
{
	int r = make_place(root_fd, path, e);

	return r == 0 ? file_write_in_root(root_fd, path, text, mode, e) : r;
}

int intree_move_folder(
	int root_fd, const char *from, const char *to, const char *link, struct err *e)
{
	if (!intree_has(root_fd, from) || intree_is_link(root_fd, from))
		return 0;
	int r = make_place(root_fd, to, e);
	if (r < 0)
		return r;

	autofd int source = open_parent(root_fd, from, e);
	autofd int target = open_parent(root_fd, to, e);
	if (source < 0 || target < 0)
		return -ENOENT;
	if (renameat(source, name_of(from), target, name_of(to)) < 0)
		return err_errno(e, "moving '%s' to '%s'", from, to);
	return intree_link(root_fd, link, from, e);
}
