/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/wipe.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/io.h"
#include "base/xalloc.h"

#define DISCARDS_MAX 4096
#define BUSY_TRIES   50 /* of a tenth of a second: udev opens a device to look at it */

static int write_zeros(int fd, uint64_t start, uint64_t size, struct err *e)
{
	autofree void *zeros = xcalloc(1, MIB);
	uint64_t len = MIN(size, MIB);
	int r = io_pwrite(fd, zeros, len, start, e);

	if (r == 0)
		r = io_pwrite(fd, zeros, len, start + size - len, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "writing zeros");
	return r;
}

/* With O_EXCL the kernel tells of mounts, swap and whatever else is built on a block device. */
static int open_unused(const char *path)
{
	static const struct timespec nap = {.tv_nsec = 100000000L};
	int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);

	for (unsigned i = 0; fd < 0 && errno == EBUSY && i < BUSY_TRIES; i++) {
		nanosleep(&nap, NULL);
		fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	}
	return fd;
}

int wipe_device(const char *path, struct err *e)
{
	autofd int fd = open_unused(path);

	if (fd < 0)
		return errno == EBUSY ? err_set(e, EBUSY, "'%s' is in use", path)
				      : err_errno(e, "'%s'", path);
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return err_errno(e, "'%s'", path);
	int r = write_zeros(fd, 0, (uint64_t)size, e);
	return r < 0 ? err_wrap(e, r, "erasing '%s'", path) : 0;
}

int wipe_region(const char *disk, uint64_t start_bytes, uint64_t size_bytes, struct err *e)
{
	autofd int fd = open(disk, O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, "'%s'", disk);
	r = write_zeros(fd, start_bytes, size_bytes, e);
	return r < 0 ? err_wrap(e, r, "erasing a part of '%s'", disk) : 0;
}

/* Of what the kernel cuts a discard into; 0: the device has none. */
static uint64_t discard_max_bytes(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 0;
	/* The queue belongs to the disk, which a partition is in. */
	for (unsigned up = 0; up < 2; up++) {
		autofree char *path = xasprintf("/sys/dev/block/%u:%u/%squeue/discard_max_bytes",
			major(st.st_rdev), minor(st.st_rdev), up ? "../" : "");
		autofree char *text = NULL;

		if (file_read(path, 64, &text, NULL, NULL) == 0)
			return strtoumax(text, NULL, 10);
	}
	return 0;
}

bool wipe_discard(const char *path)
{
	autofd int fd = open_unused(path);
	uint64_t range[2] = {0}, max = fd < 0 ? 0 : discard_max_bytes(fd);

	return max > 0 && ioctl(fd, BLKGETSIZE64, &range[1]) == 0 &&
		range[1] / max <= DISCARDS_MAX && ioctl(fd, BLKDISCARD, range) == 0;
}

bool wipe_can_discard(int fd)
{
	return discard_max_bytes(fd) > 0;
}
