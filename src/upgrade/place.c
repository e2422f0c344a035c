/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/place.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "upgrade/site.h"

#define FLAGS        (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define BUSY_TRIES   50
#define BUSY_WAIT_NS 100000000L

int place_open(
	const char *device, const char *name, bool writable, struct place *out, struct err *e)
{
	autofree char *path = xasprintf(SITE_FOLDER "/%s", name);
	unsigned long flags = FLAGS | (writable ? 0 : MS_RDONLY);
	int r = file_make_folder(path, 0700, e);

	if (r < 0)
		return r;
	if (mount(device, path, "ext4", flags, NULL) < 0)
		return err_errno(e, "mounting '%s' on '%s'", device, path);
	autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int failed = err_errno(e, "'%s'", path);

		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
		return failed;
	}
	*out = (struct place){.path = take_ptr(path), .fd = take_fd(&fd)};
	return 0;
}

/* Whoever looks at new mounts, as udisks does, is done soon. */
static int unmount(const char *path, struct err *e)
{
	for (unsigned i = 0; umount2(path, UMOUNT_NOFOLLOW) < 0; i++) {
		if (errno != EBUSY || i == BUSY_TRIES)
			return err_errno(e, "unmounting '%s'", path);
		nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_NS}, NULL);
	}
	return 0;
}

int place_close(struct place *p, struct err *e)
{
	int r = 0;

	if (!p->path)
		return 0;
	if (syncfs(p->fd) < 0)
		r = err_errno(e, "writing to '%s'", p->path);
	close_auto(&p->fd);
	p->fd = -1;
	if (r == 0)
		r = unmount(p->path, e);
	if (r == 0) {
		free(p->path);
		p->path = NULL;
	}
	return r;
}

int place_make_writable(const struct place *p, struct err *e)
{
	if (mount(NULL, p->path, NULL, MS_REMOUNT | FLAGS, NULL) < 0)
		return err_errno(e, "mounting '%s' writable", p->path);
	return 0;
}

void place_unmount(const char *path)
{
	struct err e = {0};

	if (unmount(path, &e) < 0) {
		log_debug("%s", e.msg);
		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

void place_fini(struct place *p)
{
	if (p->fd >= 0)
		close_auto(&p->fd);
	p->fd = -1;
	if (!p->path)
		return;
	place_unmount(p->path);
	free(p->path);
	p->path = NULL;
}
