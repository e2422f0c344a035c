/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/volume.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "sys/chroot.h"

#define WAIT_SECONDS 20

/* What a kickstart may lie on, and what keeps a read-only mount from writing all the same. */
static const struct {
	const char *type, *options;
} mountable[] = {
	{"ext2", NULL},
	{"ext3", "noload"},
	{"ext4", "noload"},
	{"xfs", "norecovery"},
	{"btrfs", "rescue=nologreplay"},
	{"vfat", NULL},
	{"exfat", NULL},
	{"iso9660", NULL},
	{"udf", NULL},
	{"squashfs", NULL},
};

static int find_tag(const char *type, const char *value, char **device, struct err *e)
{
	blkid_cache cache = NULL;
	blkid_dev dev = NULL;

	/* No cache file: it would tell of an earlier machine. */
	if (blkid_get_cache(&cache, "/dev/null") < 0)
		return err_set(e, ENOMEM, "blkid");
	if (blkid_probe_all(cache) == 0)
		dev = blkid_find_dev_with_tag(cache, type, value);
	char *found = dev ? xstrdup(blkid_dev_devname(dev)) : NULL;
	blkid_put_cache(cache);
	if (!found)
		return err_set(e, ENODEV, "there is no volume with the %s '%.100s'", type, value);
	*device = found;
	return 0;
}

int volume_look(const char *what, char **device, struct err *e)
{
	struct stat st;

	if (str_starts(what, "LABEL="))
		return find_tag("LABEL", what + strlen("LABEL="), device, e);
	if (str_starts(what, "UUID="))
		return find_tag("UUID", what + strlen("UUID="), device, e);
	if (str_starts(what, "PARTUUID="))
		return find_tag("PARTUUID", what + strlen("PARTUUID="), device, e);
	autofree char *path = str_starts(what, "/dev/") ? xstrdup(what)
							: xasprintf("/dev/%s", what);
	if (strstr(path, "/../") || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return err_set(e, ENODEV, "there is no block device '%.100s'", path);
	*device = take_ptr(path);
	return 0;
}

int volume_find(const char *what, char **device, struct err *e)
{
	const struct timespec second = {.tv_sec = 1};
	struct err own = {0};
	int r = volume_look(what, device, &own);

	if (r == -ENODEV)
		log_warning("waiting for the volume '%.100s' (at most %d s)", what, WAIT_SECONDS);
	for (int i = 0; r == -ENODEV && i < WAIT_SECONDS; i++) {
		nanosleep(&second, NULL);
		r = interrupt_check(e);
		if (r < 0)
			return r;
		r = volume_look(what, device, &own);
	}
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
}

void volume_discs(struct strv *out)
{
	autostrv names = {0};

	if (file_list("/sys/block", &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		if (str_starts(names.items[i], "sr"))
			strv_take(out, xasprintf("/dev/%s", names.items[i]));
}

static int probe(const char *device, size_t *index, struct err *e)
{
	blkid_probe pr = blkid_new_probe_from_filename(device);
	const char *found = NULL;

	if (!pr)
		return err_errno(e, "'%s'", device);
	blkid_probe_enable_superblocks(pr, 1);
	if (blkid_do_safeprobe(pr) == 0)
		blkid_probe_lookup_value(pr, "TYPE", &found, NULL);
	autofree char *type = found ? xstrdup(found) : NULL;
	blkid_free_probe(pr);
	for (size_t i = 0; type && i < ARRAY_LEN(mountable); i++) {
		if (!str_eq(type, mountable[i].type))
			continue;
		*index = i;
		return 0;
	}
	return err_set(e, type ? EINVAL : ENOMEDIUM, "'%s' has no file system that can be read%s%s",
		device, type ? ": " : "", type ? type : "");
}

static int read_mounted(const char *folder, const char *path, size_t max_bytes, char **text,
	size_t *len, struct err *e)
{
	autofd int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofd int fd = -1;

	if (root < 0)
		return err_errno(e, "'%s'", folder);
	fd = file_open_in_root(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, e);
	return fd < 0 ? fd : file_read_fd(fd, max_bytes, text, len, e);
}

int volume_read(const char *device, const char *path, const char *folder, size_t max_bytes,
	char **text, size_t *len, struct err *e)
{
	size_t i = 0;
	int r = probe(device, &i, e);

	if (r == 0)
		r = chroot_enter_namespace(e);
	if (r == 0)
		r = file_make_folder(folder, 0700, e);
	if (r < 0)
		return r;
	if (mount(device, folder, mountable[i].type, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    mountable[i].options) < 0)
		return err_errno(e, "mounting '%s' (%s)", device, mountable[i].type);
	r = read_mounted(folder, path, max_bytes, text, len, e);
	if (umount2(folder, UMOUNT_NOFOLLOW) < 0 && umount2(folder, MNT_DETACH) < 0)
		log_warning("'%s' stays mounted until the installer ends", device);
	return r < 0 ? err_wrap(e, r, "'%s'", device) : 0;
}
