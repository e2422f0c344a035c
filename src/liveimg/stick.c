/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/stick.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "sys/chroot.h"
#include "sys/loop.h"
#include "sys/partition.h"

#define SECTOR 512ULL /* of libblkid, whatever the disk has */

static void free_probe(blkid_probe *pr)
{
	blkid_free_probe(*pr);
}

static bool is_data(blkid_partition part)
{
	const char *type = blkid_partition_get_type_string(part);
	const char *name = blkid_partition_get_name(part);

	return type && name && strcasecmp(type, PARTITION_TYPE_BASIC_DATA) == 0 &&
		str_eq(name, PARTITION_LABEL_STICK);
}

static int find_data(const char *path, uint64_t *off, uint64_t *len, struct err *e)
{
	auto_with(free_probe) blkid_probe pr = blkid_new_probe_from_filename(path);

	if (!pr)
		return err_errno(e, "'%s'", path);
	blkid_probe_enable_superblocks(pr, 0);
	blkid_probe_enable_partitions(pr, 1);
	blkid_partlist list = blkid_probe_get_partitions(pr);
	int count = list ? blkid_partlist_numof_partitions(list) : 0;
	for (int i = 0; i < count; i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);

		if (!part || !is_data(part))
			continue;
		*off = (uint64_t)blkid_partition_get_start(part) * SECTOR;
		*len = (uint64_t)blkid_partition_get_size(part) * SECTOR;
		return 0;
	}
	return err_set(e, ENOENT, "'%s' is no stick of 'bedplate media usb'", path);
}

bool stick_is(const char *path)
{
	uint64_t off, len;

	return find_data(path, &off, &len, NULL) == 0;
}

int stick_mount(const char *path, const char *folder, struct err *e)
{
	autofree char *device = NULL;
	uint64_t off, len;
	int r = find_data(path, &off, &len, e);

	if (r == 0)
		r = chroot_enter_namespace(e);
	if (r == 0)
		r = file_make_folder(folder, 0700, e);
	if (r < 0)
		return r;
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	autofd int loop = loop_open(fd, off, len, &device, e);
	if (loop < 0)
		return err_wrap(e, loop, "'%s'", path);
	if (mount(device, folder, "vfat", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		r = err_errno(e, "'%s': mounting its data (vfat)", path);
	if (r < 0)
		rmdir(folder);
	return r;
}

void stick_unmount(const char *folder)
{
	if (umount2(folder, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 || rmdir(folder) < 0)
		log_warning("'%s': %s", folder, strerror(errno));
}

static bool has_image(const char *images, const char *name)
{
	autofree char *path = xasprintf("%s/%s/squashfs.img", images, name);

	return file_exists(path);
}

static char *joined(const struct strv *names)
{
	autostrbuf text = {0};

	for (size_t i = 0; i < names->count; i++) {
		autofree char *safe = str_printable(names->items[i]);

		strbuf_printf(&text, "%s%s", i > 0 ? ", " : "", safe);
	}
	return strbuf_take(&text);
}

int stick_choose(
	const char *folder, const char *shown, const char *name, char **image, struct err *e)
{
	autofree char *images = xasprintf("%s/images", folder);
	autostrv names = {0}, found = {0};
	int r = file_list(images, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++)
		if (has_image(images, names.items[i]))
			strv_add(&found, names.items[i]);
	autofree char *list = joined(&found);
	if (found.count == 0)
		return err_set(e, ENOENT, "'%s' is a stick without images", shown);
	if (name && !strv_has(&found, name))
		return err_set(e, ENOENT, "'%s' has no image '%s', it has: %s", shown, name, list);
	if (!name && found.count > 1)
		return err_set(e, EINVAL,
			"'%s' has several images: choose one, as %s:%s; it has: %s", shown, shown,
			found.items[0], list);
	*image = xasprintf("%s/%s", images, name ? name : found.items[0]);
	return 0;
}
