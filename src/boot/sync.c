/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/entry.h"

/*
 * Freezing writes the journal back to where its blocks belong, which syncfs(2) does not.  The file
 * system of the running root is never frozen: were we ended in between, nothing would go on.
 */
static int write_back_journal(int fd, struct err *e)
{
	struct stat boot, root;

	if (fstat(fd, &boot) < 0 || stat("/", &root) < 0)
		return err_errno(e, "stat");
	if (boot.st_dev == root.st_dev)
		return 0;
	if (ioctl(fd, FIFREEZE, 0) < 0) {
		/* A file system without journal, or somebody else is at it: then it is written back. */
		if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EBUSY || errno == EPERM)
			return 0;
		return err_errno(e, "freezing the boot volume");
	}
	if (ioctl(fd, FITHAW, 0) < 0)
		return err_errno(e, "thawing the boot volume");
	return 0;
}

int boot_sync(int boot_fd, struct err *e)
{
	autofd int fd = openat(boot_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "the boot volume");
	if (syncfs(fd) < 0)
		return err_errno(e, "writing to the boot volume");
	return write_back_journal(fd, e);
}

int boot_thaw(int boot_fd, struct err *e)
{
	autofd int fd = openat(boot_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "the boot volume");
	/* EINVAL: it is not frozen. */
	if (ioctl(fd, FITHAW, 0) < 0 && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOTTY)
		return err_errno(e, "thawing the boot volume");
	return 0;
}
