/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage domains: folders of virtual disks that other machines may use, marked by a dom_md/metadata.
 *
 * A file system is looked at through a read-only loop device: that the kernel writes nothing, not
 * even the orphans of a journal, does not depend on what its driver thinks of "ro".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmount.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/inventory-internal.h"
#include "sys/chroot.h"

#define DEPTH_MAX   4
#define ENTRIES_MAX 1000000

static bool is_domain(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, "dom_md/metadata", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) && st.st_size > 0;
}

struct search {
	unsigned left;   /* entries that may still be looked at */
	const char *why; /* not all was searched; NULL: it was */
};

/* Takes over fd. */
static bool look(int fd, unsigned depth, struct search *s)
{
	bool found = is_domain(fd);
	DIR *dir = fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		s->why = "a folder cannot be read";
		close(fd);
		return found;
	}
	while (!found && depth < DEPTH_MAX && s->left > 0 && !interrupt_pending()) {
		int child = -1;

		errno = 0;
		d = readdir(dir);
		if (!d && errno != 0)
			s->why = "a folder cannot be read";
		if (!d)
			break;
		s->left--;
		if (d->d_name[0] == '.' || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
			continue;
		child = openat(
			dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			found = look(child, depth + 1, s);
		else if (errno != ENOTDIR && errno != ELOOP)
			s->why = "a folder cannot be opened";
	}
	closedir(dir);
	return found;
}

static bool look_at(const char *dir, const char **why)
{
	struct search s = {.left = ENTRIES_MAX};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool found = fd >= 0 && look(fd, 0, &s);

	if (fd < 0)
		s.why = "its root cannot be opened";
	*why = s.left == 0 ? "it has too many files" : s.why;
	return found;
}

/* What makes the driver leave the journal alone; NULL: a type that is not looked at. */
static const char *mount_options(const char *fstype)
{
	static const struct {
		const char *fstype, *options;
	} types[] = {
		{"ext2", "ro,loop,nodev,nosuid,noexec"},
		{"ext3", "ro,loop,nodev,nosuid,noexec,noload"},
		{"ext4", "ro,loop,nodev,nosuid,noexec,noload"},
		{"xfs", "ro,loop,nodev,nosuid,noexec,norecovery,nouuid"},
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(fstype, types[i].fstype))
			return types[i].options;
	return NULL;
}

static bool mount_and_look(
	const char *device, const char *fstype, const char *dir, char **unsearched)
{
	struct libmnt_context *mount = mnt_new_context();
	bool found = false;
	char reason[256];
	const char *why = NULL;
	int r = -ENOMEM;

	if (mount) {
		mnt_context_disable_mtab(mount, 1);
		mnt_context_set_source(mount, device);
		mnt_context_set_target(mount, dir);
		mnt_context_set_fstype(mount, fstype);
		mnt_context_set_options(mount, mount_options(fstype));
		r = mnt_context_mount(mount);
	}
	if (r == 0) {
		found = look_at(dir, &why);
		mnt_reset_context(mount);
		mnt_context_disable_mtab(mount, 1);
		mnt_context_set_target(mount, dir);
		/* It goes with our namespace at the latest. */
		if (mnt_context_umount(mount) != 0)
			log_warning("%s: cannot unmount it again", device);
	} else {
		if (!mount || mnt_context_get_excode(mount, r, reason, sizeof(reason)) == 0)
			snprintf(reason, sizeof(reason), "it cannot be mounted");
		why = reason;
	}
	if (!found && why)
		*unsearched = xasprintf("%s: %s", fstype, why);
	mnt_free_context(mount);
	return found;
}

bool domain_is_on(const char *device, const char *fstype, char **unsearched)
{
	char dir[] = "/run/bedplate-look.XXXXXX";
	bool found;

	if (!fstype || !mount_options(fstype))
		return false;
	if (!mkdtemp(dir)) {
		*unsearched = xstrdup("there is no folder in /run to mount it on");
		return false;
	}
	found = mount_and_look(device, fstype, dir, unsearched);
	(void)rmdir(dir);
	return found;
}

int domain_prepare(struct err *e)
{
	return chroot_enter_namespace(e);
}
