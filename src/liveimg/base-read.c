/* SPDX-License-Identifier: Apache-2.0 */
/* A base read back: every block of it once through dm-verity. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "liveimg/base-stream.h"
#include "liveimg/base-write.h"

#define READ_BYTES  (1 * MIB)
#define READERS_MAX 4

/*
 * dm-verity hashes a request on one processor: several requests at a time keep all of them busy.
 */
struct base_reading {
	int fd, flags; /* as they were */
	uint64_t size_bytes;
	pthread_t threads[READERS_MAX];
	unsigned started;
	atomic_uint_fast64_t next; /* where the next request starts */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t done;
	unsigned running;
	int error; /* of the first place that fails */
	uint64_t error_at;
	bool stop;
};

static int read_piece(const struct base_reading *rd, uint8_t *buf, uint64_t off, uint64_t *bad)
{
	uint64_t end = MIN(off + READ_BYTES, rd->size_bytes);
	size_t most = READ_BYTES;

	while (off < end) {
		ssize_t n = pread(rd->fd, buf, MIN(most, (size_t)(end - off)), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		/* The request fails as a whole: which of its blocks is it? */
		if (n < 0 && errno == EIO && most > BASE_BLOCK_BYTES) {
			most = BASE_BLOCK_BYTES;
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

static void read_all(struct base_reading *rd, uint8_t *buf)
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
	struct base_reading *rd = ctx;
	void *buf = NULL;

	if (posix_memalign(&buf, BASE_BLOCK_BYTES, READ_BYTES) == 0)
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

void base_reading_free(struct base_reading *rd)
{
	if (!rd)
		return;
	pthread_mutex_lock(&rd->lock);
	rd->stop = true;
	pthread_mutex_unlock(&rd->lock);
	for (unsigned i = 0; i < rd->started; i++)
		pthread_join(rd->threads[i], NULL);
	fcntl(rd->fd, F_SETFL, rd->flags);
	pthread_cond_destroy(&rd->moved);
	pthread_mutex_destroy(&rd->lock);
	free(rd);
}

int base_reading_start(int mapper_fd, uint64_t size_bytes, struct base_reading **out, struct err *e)
{
	autoptr(base_reading) rd = xcalloc(1, sizeof(*rd));
	unsigned count = MIN(2 * thread_cpus(), READERS_MAX);
	struct err own = {0};
	int r = 0;

	rd->fd = mapper_fd;
	rd->flags = fcntl(mapper_fd, F_GETFL);
	rd->size_bytes = size_bytes;
	pthread_mutex_init(&rd->lock, NULL);
	pthread_cond_init(&rd->moved, NULL);
	base_set_direct(mapper_fd, true);
	rd->running = count;
	while (r == 0 && rd->started < count) {
		r = thread_start(&rd->threads[rd->started], reader, rd, &own);
		rd->started += r == 0;
	}
	pthread_mutex_lock(&rd->lock);
	rd->running -= count - rd->started;
	pthread_mutex_unlock(&rd->lock);
	/* Fewer readers are only slower. */
	if (rd->started == 0)
		return err_set(e, -r, "%s", own.msg);
	*out = take_ptr(rd);
	return 0;
}

/* Until all readers have ended: show how far they are, pass an interrupt on. */
static int wait_for_readers(struct base_reading *rd, struct progress *p, struct err *e)
{
	int r;

	pthread_mutex_lock(&rd->lock);
	r = progress_advance(p, rd->done, e);
	rd->stop = r < 0;
	while (rd->running > 0) {
		pthread_cond_wait(&rd->moved, &rd->lock);
		if (r < 0)
			continue;
		r = progress_advance(p, rd->done, e);
		rd->stop = r < 0;
	}
	pthread_mutex_unlock(&rd->lock);
	return r;
}

int base_reading_wait(struct base_reading *rd, struct progress *p, struct err *e)
{
	progress_begin(p, "verify", rd->size_bytes, "bytes");
	int r = wait_for_readers(rd, p, e);
	progress_end(p);
	if (r < 0 || rd->error == 0)
		return r;
	if (rd->error == -EIO)
		return err_set(e, EBADMSG,
			"block %" PRIu64 " (at byte %" PRIu64 ") of the base does not verify",
			rd->error_at / BASE_BLOCK_BYTES, rd->error_at);
	return err_set(e, -rd->error, "reading the base at %" PRIu64 ": %s", rd->error_at,
		rd->error == -ENODATA ? "it is too short" : strerror(-rd->error));
}

int base_read_verified(int mapper_fd, uint64_t size_bytes, struct progress *p, struct err *e)
{
	autoptr(base_reading) rd = NULL;
	int r = base_reading_start(mapper_fd, size_bytes, &rd, e);

	return r == 0 ? base_reading_wait(rd, p, e) : r;
}

struct base_verity base_verity_of(const struct manifest *m)
{
	return (struct base_verity){
		.hash_offset = m->verity.hash_offset,
		.fec_offset = m->verity.fec_offset,
		.fec_roots = m->verity.fec_roots,
	};
}

int base_verify(const char *vg, const char *base, const struct manifest *m, struct progress *p,
	struct err *e)
{
	/* Error correction would mend what this has to find. */
	const struct base_verity v = {.hash_offset = m->verity.hash_offset};
	struct err closing = {0};
	int r = base_open(vg, base, &v, m->verity.root_hash, BASE_VERIFY_NAME, e);

	if (r < 0)
		return r;
	int fd = open("/dev/mapper/" BASE_VERIFY_NAME, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? err_errno(e, "'/dev/mapper/" BASE_VERIFY_NAME "'")
		   : base_read_verified(fd, m->verity.data_bytes, p, e);
	close_auto(&fd);
	interrupt_defer();
	int closed = base_close(vg, base, BASE_VERIFY_NAME, &closing);
	interrupt_resume();
	if (r == 0 && closed < 0)
		return err_set(e, -closed, "%s", closing.msg);
	return r;
}
