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
#include <sys/stat.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/inventory-internal.h"
#include "sys/chroot.h"

#define DEPTH_MAX   4
#define ENTRIES_MAX 200000

static bool is_domain(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, "dom_md/metadata", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) && st.st_size > 0;
}

/* Takes over fd. */
static bool look(int fd, unsigned depth, unsigned *left)
{
	bool found = is_domain(fd);
	DIR *dir = fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		close(fd);
		return found;
	}
	while (!found && depth<DEPTH_MAX && * left> 0 && !interrupt_pending() &&
		(d = readdir(dir))) {
		int child = -1;

		--*left;
		if (d->d_name[0] != '.' && (d->d_type == DT_DIR || d->d_type == DT_UNKNOWN))
			child = openat(dirfd(dir), d->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			found = look(child, depth + 1, left);
	}
	closedir(dir);
	return found;
}

static bool look_at(const char *device, const char *dir)
{
	unsigned left = ENTRIES_MAX;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool found = fd >= 0 && look(fd, 0, &left);

	if (left == 0)
		log_warning(
			"%s: too many files, not all were searched for a storage domain", device);
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

static bool mount_and_look(const char *device, const char *fstype, const char *dir)
{
	struct libmnt_context *mount = mnt_new_context();
	bool found = false;
	char why[256];
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
		found = look_at(device, dir);
		mnt_reset_context(mount);
		mnt_context_disable_mtab(mount, 1);
		mnt_context_set_target(mount, dir);
		/* It goes with our namespace at the latest. */
		if (mnt_context_umount(mount) != 0)
			log_warning("%s: cannot unmount it again", device);
	} else {
		if (!mount || mnt_context_get_excode(mount, r, why, sizeof(why)) == 0)
			why[0] = '\0';
		log_warning("%s: %s cannot be read safely, it is not searched for a storage domain"
			    "%s%s",
			device, fstype, why[0] ? ": " : "", why);
	}
	mnt_free_context(mount);
	return found;
}

bool domain_is_on(const char *device, const char *fstype)
{
	char dir[] = "/run/bedplate-look.XXXXXX";
	bool found;

	if (!fstype || !mount_options(fstype))
		return false;
	if (!mkdtemp(dir)) {
		log_warning("%s: not searched for a storage domain: no folder in /run", device);
		return false;
	}
	found = mount_and_look(device, fstype, dir);
	(void)rmdir(dir);
	return found;
}

int domain_prepare(struct err *e)
{
	return chroot_enter_namespace(e);
}
