/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts, swap, and devices made of other devices. */
#include <errno.h>
#include <fcntl.h>
#include <libmount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "storage/inventory-internal.h"

#define SYSFS_MAX_BYTES (64 * KIB)
#define SWAPS_MAX_BYTES MIB
/* Pool on volume on crypt on RAID: more is a loop. */
#define STACK_MAX 12

struct uses {
	struct libmnt_table *mounts;
	dev_t *swaps;
	size_t swap_count;
};

void uses_free(struct uses *u)
{
	if (!u)
		return;
	mnt_unref_table(u->mounts);
	free(u->swaps);
	free(u);
}

static int read_swaps(struct uses *u, struct err *e)
{
	autofree char *text = NULL;
	int r = file_read("/proc/swaps", SWAPS_MAX_BYTES, &text, NULL, e);
	struct stat st;

	if (r == -ENOENT)
		return 0; /* a kernel without swap */
	if (r < 0)
		return r;
	char *rest = text;
	for (char *line; (line = str_next_word(&rest, "\n"));) {
		char *words = line, *path = str_next_word(&words, " \t");

		if (!path || path[0] != '/' || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
			continue;
		u->swaps = xrealloc(u->swaps, (u->swap_count + 1) * sizeof(*u->swaps));
		u->swaps[u->swap_count++] = st.st_rdev;
	}
	return 0;
}

int uses_read(struct uses **out, struct err *e)
{
	autoptr(uses) u = xcalloc(1, sizeof(*u));
	int r;

	u->mounts = mnt_new_table_from_file("/proc/self/mountinfo");
	if (!u->mounts)
		return err_set(e, EIO, "/proc/self/mountinfo cannot be read");
	r = read_swaps(u, e);
	if (r < 0)
		return r;
	*out = take_ptr(u);
	return 0;
}

/* Where the device is mounted; belongs to the table.  prefix: only below that folder. */
static const char *mount_of(const struct uses *u, dev_t dev, const char *prefix)
{
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	const char *found = NULL;
	struct libmnt_fs *fs;

	while (!found && it && mnt_table_next_fs(u->mounts, it, &fs) == 0) {
		const char *source = mnt_fs_get_source(fs);
		struct stat st;
		/* btrfs has a device number of its own. */
		bool same = mnt_fs_get_devno(fs) == dev ||
			(source && source[0] == '/' && stat(source, &st) == 0 &&
				S_ISBLK(st.st_mode) && st.st_rdev == dev);

		if (same && mnt_fs_get_target(fs) && str_starts(mnt_fs_get_target(fs), prefix))
			found = mnt_fs_get_target(fs);
	}
	mnt_free_iter(it);
	return found;
}

static bool is_swap(const struct uses *u, dev_t dev)
{
	for (size_t i = 0; i < u->swap_count; i++)
		if (u->swaps[i] == dev)
			return true;
	return false;
}

static char *read_sys(const char *folder, const char *file)
{
	autofree char *path = xasprintf("%s/%s", folder, file);
	autofree char *text = NULL;

	if (file_read(path, SYSFS_MAX_BYTES, &text, NULL, NULL) < 0)
		return xstrdup("");
	return xstrdup(str_trim(text));
}

static dev_t read_dev(const char *folder)
{
	autofree char *text = read_sys(folder, "dev");
	char *colon = strchr(text, ':');
	char *end;

	if (!colon)
		return 0;
	unsigned long major_number = strtoul(text, &end, 10);
	unsigned long minor_number = strtoul(colon + 1, &end, 10);
	return makedev((unsigned)major_number, (unsigned)minor_number);
}

/* Claimed by something that is not in sysfs: a mount of another namespace, say. */
static bool is_claimed(const char *folder)
{
	autofree char *text = read_sys(folder, "uevent");
	char *rest = text;

	for (char *line; (line = str_next_word(&rest, "\n"));) {
		if (!str_starts(line, "DEVNAME="))
			continue;
		autofree char *path = xasprintf("/dev/%s", line + strlen("DEVNAME="));
		autofd int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);

		return fd < 0 && errno == EBUSY;
	}
	return false;
}

/* folder: of the device in /sys. */
static char *use_of(const struct uses *u, const char *folder, bool has_parts, unsigned depth)
{
	dev_t dev = read_dev(folder);
	const char *target = mount_of(u, dev, "/");
	autofree char *holders_path = xasprintf("%s/holders", folder);
	autostrv holders = {0};

	if (target)
		return xasprintf("mounted on %s", target);
	if (is_swap(u, dev))
		return xstrdup("swap");
	if (depth > STACK_MAX)
		return xstrdup("a stack of devices without end");
	if (file_list(holders_path, &holders, NULL) < 0 || holders.count == 0)
		return !has_parts && is_claimed(folder) ? xstrdup("held by something") : NULL;
	for (size_t i = 0; i < holders.count; i++) {
		autofree char *holder = xasprintf("/sys/class/block/%s", holders.items[i]);
		autofree char *uuid = read_sys(holder, "dm/uuid");
		autofree char *name = read_sys(holder, "dm/name");
		char *use = NULL;

		/* Volumes may be active without anybody using them. */
		if (str_starts(uuid, "LVM-"))
			use = use_of(u, holder, false, depth + 1);
		else
			use = xasprintf("part of %s%s", *name ? "/dev/mapper/" : "/dev/",
				*name ? name : holders.items[i]);
		if (use)
			return use;
	}
	return NULL;
}

static bool device_number(const char *device, dev_t *out)
{
	struct stat st;

	if (stat(device, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	*out = st.st_rdev;
	return true;
}

char *uses_of(const struct uses *u, const char *device, bool has_parts)
{
	dev_t dev;

	/* A partition that the kernel does not know cannot be in use. */
	if (!device_number(device, &dev))
		return NULL;
	autofree char *folder = xasprintf("/sys/dev/block/%u:%u", major(dev), minor(dev));
	return use_of(u, folder, has_parts, 0);
}

bool uses_live(const struct uses *u, const char *device)
{
	dev_t dev;

	return device_number(device, &dev) &&
		(mount_of(u, dev, "/run/initramfs/") || mount_of(u, dev, "/run/install/repo"));
}
