/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/base-write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "liveimg/base-stream.h"

static int write_data(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	const int *fd = ctx;
	size_t whole = len - len % BASE_BLOCK_BYTES;
	int r = io_pwrite(*fd, data, whole, off, e);

	if (r < 0 || whole == len)
		return r;
	/* The end of a file that is no whole number of sectors. */
	base_set_direct(*fd, false);
	return io_pwrite(*fd, (const char *)data + whole, len - whole, off + whole, e);
}

static int check_device(const struct source *rootfs, int device_fd, struct err *e)
{
	struct stat st;

	if (fstat(device_fd, &st) < 0)
		return err_errno(e, "the base's volume");
	if (!S_ISBLK(st.st_mode))
		return 0;
	off_t room = lseek(device_fd, 0, SEEK_END);
	if (room < 0)
		return err_errno(e, "the base's volume");
	if ((uint64_t)room < rootfs->size_bytes)
		return err_set(e, ENOSPC,
			"the base's volume has %jd bytes, the file system image %" PRIu64,
			(intmax_t)room, rootfs->size_bytes);
	return 0;
}

/* A plain file gets its size even when it ends with zeros. */
static int finish(int fd, uint64_t size_bytes, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && ftruncate(fd, (off_t)size_bytes) < 0)
		return err_errno(e, "the base's volume");
	return fsync(fd) < 0 ? err_errno(e, "writing the base") : 0;
}

int base_write(struct image *img, const struct manifest *manifest, int device_fd,
	struct progress *p, struct err *e)
{
	struct source *rootfs = image_rootfs(img);
	const struct base_sink sink = {.data = write_data, .ctx = &device_fd};
	int flags = fcntl(device_fd, F_GETFL);
	int r = base_stream_check(img, manifest, e);

	if (r == 0)
		r = check_device(rootfs, device_fd, e);

	if (r < 0)
		return r;
	progress_begin(p, "base", rootfs->size_bytes, "bytes");
	base_set_direct(device_fd, true);
	r = base_stream(img, &sink, p, e);
	if (r == 0)
		r = finish(device_fd, rootfs->size_bytes, e);
	fcntl(device_fd, F_SETFL, flags);
	progress_end(p);
	return r < 0 ? err_wrap(e, r, "writing the base") : 0;
}
