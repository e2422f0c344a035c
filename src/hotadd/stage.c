/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "sys/chroot.h"

#define MEMORY_FOLDER "/run/bedplate/plugin"

static char *layer_area(const char *root)
{
	return xasprintf("%s/" STAGE_LAYER "/" STAGE_FOLDER, str_eq(root, "/") ? "" : root);
}

static bool has_layer(const char *root)
{
	autofree char *upper = xasprintf("%s/" STAGE_LAYER "/upper", root);
	autofree char *work = xasprintf("%s/" STAGE_LAYER "/work", root);

	return file_exists(upper) && file_exists(work);
}

static int clear_flags(
	const char *path, const struct stat *st, UNUSED int type, UNUSED struct FTW *where)
{
	int flags = 0;

	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return 0;
	autofd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
		(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
		flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
		(void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	return 0;
}

/* A script may have made files that nobody can delete, with chattr(1). */
static int remove_area(const char *area, struct err *e)
{
	struct err own = {0};
	int r = file_remove_tree(area, &own);

	if (r != -EPERM)
		return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
	(void)!nftw(area, clear_flags, 32, FTW_PHYS | FTW_MOUNT);
	return file_remove_tree(area, e);
}

int stage_drop_leftovers(const char *root, struct err *e)
{
	autofree char *area = layer_area(root);

	return has_layer(root) ? remove_area(area, e) : 0;
}

void stage_close(struct stage *s)
{
	struct err e = {0};
	int *const fds[] = {&s->tree_fd, &s->upper_fd, &s->var_upper_fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	if (s->mounts > 1) {
		autofree char *var = xasprintf("%s/var", s->tree);

		umount2(var, MNT_DETACH);
	}
	if (s->mounts > 0)
		umount2(s->tree, MNT_DETACH);
	if (s->tmpfs)
		umount2(s->area, MNT_DETACH);
	else if (s->area && remove_area(s->area, &e) < 0)
		log_debug("%s", e.msg);
	free(s->area);
	free(s->tree);
	*s = (struct stage)STAGE_NONE;
}

static int make_area(const char *root, struct stage *s, struct err *e)
{
	if (has_layer(root)) {
		s->area = layer_area(root);
		int r = remove_area(s->area, e);
		return r < 0 ? r : file_make_folder(s->area, 0700, e);
	}
	int r = file_make_folder(MEMORY_FOLDER, 0700, e);
	if (r < 0)
		return r;
	if (mount("bedplate-plugin", MEMORY_FOLDER, "tmpfs", 0, "mode=0700") < 0)
		return err_errno(e, "mounting '" MEMORY_FOLDER "'");
	s->area = xstrdup(MEMORY_FOLDER);
	s->tmpfs = true;
	return 0;
}

static int make_folder(const struct stage *s, const char *name, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", s->area, name);

	/* The upper half begins with the mode of what it lies over: the root may be entered. */
	if (mkdir(path, 0755) < 0)
		return err_errno(e, "'%s'", path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

/* Attributes of the folder that is covered, so that the copy has them. */
static int take_mode(int lower_fd, int upper_fd, struct err *e)
{
	struct stat st;

	if (fstat(lower_fd, &st) < 0 || fchown(upper_fd, st.st_uid, st.st_gid) < 0 ||
		fchmod(upper_fd, st.st_mode & 07777) < 0)
		return err_errno(e, "copying a folder's mode");
	return 0;
}

static int cover(struct stage *s, int lower_fd, const char *target, const char *upper,
	const char *work, int *upper_fd, struct err *e)
{
	*upper_fd = make_folder(s, upper, e);
	autofd int work_fd = *upper_fd < 0 ? -1 : make_folder(s, work, e);

	if (*upper_fd < 0 || work_fd < 0)
		return MIN(*upper_fd, work_fd);
	int r = take_mode(lower_fd, *upper_fd, e);
	if (r < 0)
		return r;
	/* Nothing of it is to outlive a power cut, and every folder has to stay where it is. */
	autofree char *options = xasprintf(
		"lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,"
		"redirect_dir=off,metacopy=off,index=off,xino=off,volatile",
		lower_fd, *upper_fd, work_fd);
	if (mount("bedplate-plugin", target, "overlay", 0, options) < 0)
		return err_errno(e, "an overlay over the running system");
	s->mounts++;
	return 0;
}

static int cover_var(struct stage *s, int root_fd, struct err *e)
{
	struct err none;
	autofd int fd = file_open_in_root(root_fd, "/var", O_PATH | O_DIRECTORY, 0, &none);
	autofree char *target = xasprintf("%s/var", s->tree);
	struct stat root, var;

	if (fd < 0)
		return 0;
	if (fstat(root_fd, &root) < 0 || fstat(fd, &var) < 0)
		return err_errno(e, "'/var'");
	if (root.st_dev == var.st_dev)
		return 0;
	return cover(s, fd, target, "var-upper", "var-work", &s->var_upper_fd, e);
}

static int open_stage(const char *root, struct stage *s, struct err *e)
{
	/* Only what is a mount of this namespace can be covered; the other one is from before. */
	autofd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root_fd < 0 ? err_errno(e, "'%s'", root) : make_area(root, s, e);

	if (r < 0)
		return r;
	s->tree = xasprintf("%s/tree", s->area);
	r = file_make_folder(s->tree, 0755, e);
	if (r == 0)
		r = cover(s, root_fd, s->tree, "upper", "work", &s->upper_fd, e);
	if (r == 0)
		r = cover_var(s, root_fd, e);
	if (r < 0)
		return r;
	s->tree_fd = open(s->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->tree_fd < 0 ? err_errno(e, "'%s'", s->tree) : 0;
}

int stage_open(int root_fd, const char *root, struct stage *out, struct err *e)
{
	autostage s = STAGE_NONE;
	int r = chroot_enter_namespace(e);

	s.root_fd = root_fd;
	if (r == 0)
		r = open_stage(root, &s, e);
	if (r < 0)
		return err_wrap(e, r, "a copy of the node to try it in");
	*out = s;
	s = (struct stage)STAGE_NONE;
	return 0;
}
