/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/base-write.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/xalloc.h"
#include "fmt/squashfs.h"

#define DIRECT_ALIGN 4096 /* also the block size of dm-verity here */
#define READ_BYTES   (1 * MIB)
#define READERS_MAX  4

/*
 * Past the page cache as long as that works: the cache would only be filled with what nobody reads
 * again, and on a machine with little memory it pushes out the image that is being read.
 */
static bool set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

static int write_data(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	const int *fd = ctx;
	size_t whole = len - len % DIRECT_ALIGN;
	int r = io_pwrite(*fd, data, whole, off, e);

	if (r < 0 || whole == len)
		return r;
	/* The end of a file that is no whole number of sectors. */
	set_direct(*fd, false);
	return io_pwrite(*fd, (const char *)data + whole, len - whole, off + whole, e);
}

/* For an image that is no squashfs: bytes as they are. */
static int copy_plain(struct source *s, int fd, struct progress *p, struct err *e)
{
	void *data = NULL;

	if (posix_memalign(&data, DIRECT_ALIGN, READ_BYTES) != 0)
		return err_set(e, ENOMEM, "copying: out of memory");
	autofree uint8_t *buf = data;
	int r = 0;
	for (uint64_t off = 0; r == 0 && off < s->size_bytes;) {
		size_t len = (size_t)MIN(READ_BYTES, s->size_bytes - off);

		r = source_read_at(s, buf, len, off, e);
		if (r == 0)
			r = write_data(&fd, buf, len, off, e);
		off += len;
		if (r == 0)
			r = progress_advance(p, off, e);
	}
	return r;
}

static int check(struct source *rootfs, const struct image *img, const struct manifest *manifest,
	int device_fd, struct err *e)
{
	struct stat st;

	if (!rootfs)
		return err_set(e, EBADMSG, "'%s' holds no file system image", image_path(img));
	if (rootfs->size_bytes != manifest->rootfs.size_bytes)
		return err_set(e, EBADMSG,
			"'%s' holds a file system image of %" PRIu64
			" bytes, its manifest has %" PRIu64,
			image_path(img), rootfs->size_bytes, manifest->rootfs.size_bytes);
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
	const struct squashfs_stream_spec spec = {.data = write_data, .ctx = &device_fd};
	int flags = fcntl(device_fd, F_GETFL);
	int r = check(rootfs, img, manifest, device_fd, e);

	if (r < 0)
		return r;
	progress_begin(p, "base", rootfs->size_bytes, "bytes");
	set_direct(device_fd, true);
	r = image_kind(img) == IMAGE_LIVE ? squashfs_stream(rootfs, &spec, p, e)
					  : copy_plain(rootfs, device_fd, p, e);
	if (r == 0)
		r = finish(device_fd, rootfs->size_bytes, e);
	fcntl(device_fd, F_SETFL, flags);
	progress_end(p);
	return r < 0 ? err_wrap(e, r, "writing the base") : 0;
}

/*
 * dm-verity hashes a request on one processor: several requests at a time keep all of them busy.
 */
struct reading {
	int fd;
	uint64_t size_bytes;
	atomic_uint_fast64_t next; /* where the next request starts */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t done;
	unsigned running;
	int error; /* of the first place that fails */
	uint64_t error_at;
	bool stop;
};

static int read_piece(const struct reading *rd, uint8_t *buf, uint64_t off, uint64_t *bad)
{
	uint64_t end = MIN(off + READ_BYTES, rd->size_bytes);
	size_t most = READ_BYTES;

	while (off < end) {
		ssize_t n = pread(rd->fd, buf, MIN(most, (size_t)(end - off)), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		/* The request fails as a whole: which of its blocks is it? */
		if (n < 0 && errno == EIO && most > DIRECT_ALIGN) {
			most = DIRECT_ALIGN;
			continue;
		}
		if (n <= 0) {
			*bad = off;
			return n < 0 ? -errno : -ENODATA;
		}
		off += (uint64_t)n;
	}
	return 0;
}

static void read_all(struct reading *rd, uint8_t *buf)
{
	for (;;) {
		uint64_t off = atomic_fetch_add(&rd->next, READ_BYTES), bad = 0;

		if (off >= rd->size_bytes)
			break;
		int r = read_piece(rd, buf, off, &bad);
		pthread_mutex_lock(&rd->lock);
		rd->done += MIN(READ_BYTES, rd->size_bytes - off);
		if (r < 0 && (rd->error == 0 || bad < rd->error_at)) {
			rd->error = r;
			rd->error_at = bad;
		}
		bool stop = rd->stop || rd->error < 0;
		pthread_cond_signal(&rd->moved);
		pthread_mutex_unlock(&rd->lock);
		if (stop)
			break;
	}
}

static void *reader(void *ctx)
{
	struct reading *rd = ctx;
	void *buf = NULL;

	if (posix_memalign(&buf, DIRECT_ALIGN, READ_BYTES) == 0)
		read_all(rd, buf);
	free(buf);
	pthread_mutex_lock(&rd->lock);
	if (!buf && rd->error == 0)
		rd->error = -ENOMEM;
	rd->running--;
	pthread_cond_signal(&rd->moved);
	pthread_mutex_unlock(&rd->lock);
	return NULL;
}

/* Until all readers have ended: show how far they are, pass an interrupt on. */
static int wait_for_readers(struct reading *rd, struct progress *p, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&rd->lock);
	while (rd->running > 0) {
		pthread_cond_wait(&rd->moved, &rd->lock);
		if (r < 0)
			continue;
		r = progress_advance(p, rd->done, e);
		rd->stop = r < 0;
	}
	pthread_mutex_unlock(&rd->lock);
	if (r < 0 || rd->error == 0)
		return r;
	if (rd->error == -EIO)
		return err_set(e, EBADMSG,
			"block %" PRIu64 " (at byte %" PRIu64 ") of the base does not verify",
			rd->error_at / DIRECT_ALIGN, rd->error_at);
	return err_set(e, -rd->error, "reading the base at %" PRIu64 ": %s", rd->error_at,
		rd->error == -ENODATA ? "it is too short" : strerror(-rd->error));
}

int base_read_verified(int mapper_fd, uint64_t size_bytes, struct progress *p, struct err *e)
{
	struct reading rd = {.fd = mapper_fd, .size_bytes = size_bytes};
	unsigned count = MIN(2 * thread_cpus(), READERS_MAX), started = 0;
	int flags = fcntl(mapper_fd, F_GETFL);
	pthread_t threads[READERS_MAX];
	struct err start_error = {0};
	int r = 0;

	pthread_mutex_init(&rd.lock, NULL);
	pthread_cond_init(&rd.moved, NULL);
	progress_begin(p, "verify", size_bytes, "bytes");
	set_direct(mapper_fd, true);
	rd.running = count;
	while (r == 0 && started < count) {
		r = thread_start(&threads[started], reader, &rd, &start_error);
		started += r == 0;
	}
	pthread_mutex_lock(&rd.lock);
	rd.running -= count - started;
	pthread_mutex_unlock(&rd.lock);
	/* Fewer readers are only slower. */
	r = started > 0 ? wait_for_readers(&rd, p, e) : err_set(e, -r, "%s", start_error.msg);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	fcntl(mapper_fd, F_SETFL, flags);
	progress_end(p);
	pthread_cond_destroy(&rd.moved);
	pthread_mutex_destroy(&rd.lock);
	return r;
}
