/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides are cut into units, one after the other: the stream of the image fills one, the reader
 * has the same one of the device in a ring of slots, they are compared block by block, and what
 * differs is written chunk by chunk.
 *
 *        taken                read
 *   ------|------ ready -------|---- free, as many as the ring has left ----
 *
 * The reader is always ahead of what is written, so it only sees old content.
 */
#include "upgrade/base-patch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "liveimg/base-stream.h"

#define UNIT_BYTES  (1 * MIB)
#define UNIT_BLOCKS (UNIT_BYTES / BASE_BLOCK_BYTES)
#define SLOTS       8

struct slot {
	uint8_t *data;
	bool unknown; /* it cannot be read */
	int error;    /* negative errno */
};

struct reader {
	int fd;
	uint64_t old_bytes, units;
	struct slot slots[SLOTS];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t read, taken; /* units */
	bool running, stop;
};

enum change { CHANGE_NONE, CHANGE_WRITE, CHANGE_DISCARD };

struct patch {
	const struct base_patch *spec;
	struct base_cost cost;
	struct reader reader;
	uint64_t size_bytes; /* of the image, up to a whole block */
	uint64_t at;         /* of the unit that comes next */
	uint8_t *unit, *zeros;
	bool filled;         /* there is something in the unit */
	uint64_t next_chunk; /* the first one that was not counted */
	bool discards;
	/* Within the unit, still to be carried out. */
	enum change pending;
	uint64_t pending_start, pending_end;
};

static uint8_t *new_unit(void)
{
	return xaligned(BASE_BLOCK_BYTES, UNIT_BYTES);
}

static int read_unit(const struct reader *rd, struct slot *s, uint64_t off)
{
	size_t want = off < rd->old_bytes ? (size_t)MIN(UNIT_BYTES, rd->old_bytes - off) : 0;
	size_t done = 0;

	while (done < want) {
		ssize_t n = pread(rd->fd, s->data + done, want - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	memset(s->data + done, 0, UNIT_BYTES - done);
	return 0;
}

static void *read_ahead(void *ctx)
{
	struct reader *rd = ctx;

	pthread_mutex_lock(&rd->lock);
	while (!rd->stop && rd->read < rd->units) {
		struct slot *s = &rd->slots[rd->read % SLOTS];
		uint64_t off = rd->read * UNIT_BYTES;

		if (rd->read - rd->taken == SLOTS) {
			pthread_cond_wait(&rd->moved, &rd->lock);
			continue;
		}
		pthread_mutex_unlock(&rd->lock);

		s->error = read_unit(rd, s, off);
		s->unknown = s->error == -EIO;

		pthread_mutex_lock(&rd->lock);
		rd->read++;
		pthread_cond_signal(&rd->moved);
	}
	pthread_mutex_unlock(&rd->lock);
	return NULL;
}

static int reader_start(struct reader *rd, struct err *e)
{
	pthread_mutex_init(&rd->lock, NULL);
	pthread_cond_init(&rd->moved, NULL);
	if (rd->fd < 0)
		return 0;
	for (size_t i = 0; i < SLOTS; i++)
		rd->slots[i].data = new_unit();
	int r = thread_start(&rd->thread, read_ahead, rd, e);
	rd->running = r == 0;
	return r;
}

static void reader_stop(struct reader *rd)
{
	pthread_mutex_lock(&rd->lock);
	rd->stop = true;
	pthread_cond_signal(&rd->moved);
	pthread_mutex_unlock(&rd->lock);
	if (rd->running)
		pthread_join(rd->thread, NULL);
	for (size_t i = 0; i < SLOTS; i++)
		free(rd->slots[i].data);
	pthread_cond_destroy(&rd->moved);
	pthread_mutex_destroy(&rd->lock);
}

/* The next unit, which stays until reader_drop(). */
static const struct slot *reader_take(struct reader *rd)
{
	pthread_mutex_lock(&rd->lock);
	while (rd->read == rd->taken)
		pthread_cond_wait(&rd->moved, &rd->lock);
	pthread_mutex_unlock(&rd->lock);
	return &rd->slots[rd->taken % SLOTS];
}

static void reader_drop(struct reader *rd)
{
	pthread_mutex_lock(&rd->lock);
	rd->taken++;
	pthread_cond_signal(&rd->moved);
	pthread_mutex_unlock(&rd->lock);
}

static int grow(struct patch *p, uint64_t bytes, struct err *e)
{
	p->cost.chunk_bytes += bytes;
	return p->spec->grow ? p->spec->grow(p->spec->ctx, p->cost.chunk_bytes, e) : 0;
}

/* A chunk may be larger than a unit. */
static int count_chunk(struct patch *p, uint64_t chunk, struct err *e)
{
	if (chunk < p->next_chunk)
		return 0;
	p->next_chunk = chunk + 1;
	return grow(p, p->spec->chunk_bytes, e);
}

static int discard(int fd, uint64_t start, uint64_t len)
{
	uint64_t range[] = {start, len};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	int r = S_ISBLK(st.st_mode) ? ioctl(fd, BLKDISCARD, range)
				    : fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					      (off_t)start, (off_t)len);
	return r < 0 ? -errno : 0;
}

static int carry_out(struct patch *p, const uint8_t *data, struct err *e)
{
	uint64_t start = p->pending_start, len = p->pending_end - start;
	enum change kind = p->pending;
	int fd = p->spec->new_fd, r;

	p->pending = CHANGE_NONE;
	if (kind == CHANGE_NONE || fd < 0)
		return 0;
	if (kind == CHANGE_DISCARD) {
		r = discard(fd, start, len);
		if (r == 0)
			return 0;
		log_debug("discard at %ju: %s", (uintmax_t)start, strerror(-r));
		p->discards = false;
		r = grow(p, len, e);
		if (r < 0)
			return r;
	}
	r = io_pwrite(fd, data + (start - p->at), len, start, e);
	return r < 0 ? err_wrap(e, r, "writing the base at %ju", (uintmax_t)start) : 0;
}

static int change(struct patch *p, const uint8_t *data, enum change kind, uint64_t start,
	uint64_t end, struct err *e)
{
	int r = 0;

	if (p->pending != kind || p->pending_end != start) {
		r = carry_out(p, data, e);
		p->pending_start = start;
	}
	p->pending = kind;
	p->pending_end = end;
	return r;
}

/* Only what differs of a chunk that is not wholly in this unit. */
static int change_blocks(struct patch *p, const uint8_t *data, const bool *differs, uint64_t start,
	uint64_t end, struct err *e)
{
	int r = 0;

	for (uint64_t off = start; r == 0 && off < end; off += BASE_BLOCK_BYTES)
		if (differs[(off - p->at) / BASE_BLOCK_BYTES])
			r = change(p, data, CHANGE_WRITE, off, off + BASE_BLOCK_BYTES, e);
	return r;
}

/*
 * A whole chunk is written whole: the pool would otherwise copy it first.  One of zeros goes back to
 * the pool.
 */
static int change_chunk(struct patch *p, const uint8_t *data, const bool *differs, uint64_t start,
	uint64_t end, struct err *e)
{
	bool is_whole = end - start == p->spec->chunk_bytes;

	if (is_whole && p->discards && memcmp(data + (start - p->at), p->zeros, end - start) == 0)
		return change(p, data, CHANGE_DISCARD, start, end, e);
	int r = count_chunk(p, start / p->spec->chunk_bytes, e);
	if (r < 0)
		return r;
	return is_whole ? change(p, data, CHANGE_WRITE, start, end, e)
			: change_blocks(p, data, differs, start, end, e);
}

static int change_unit(
	struct patch *p, const uint8_t *data, const uint8_t *old, uint64_t len, struct err *e)
{
	bool differs[UNIT_BLOCKS] = {0};
	uint64_t chunk = p->spec->chunk_bytes, unit_end = p->at + len;
	int r = 0;

	for (uint64_t i = 0; i < len / BASE_BLOCK_BYTES; i++) {
		uint64_t off = i * BASE_BLOCK_BYTES;

		differs[i] = !old || memcmp(data + off, old + off, BASE_BLOCK_BYTES) != 0;
		p->cost.changed_bytes += differs[i] ? BASE_BLOCK_BYTES : 0;
	}
	for (uint64_t start = p->at, end; r == 0 && start < unit_end; start = end) {
		uint64_t first = (start - p->at) / BASE_BLOCK_BYTES;

		end = MIN((start / chunk + 1) * chunk, unit_end);
		if (memchr(differs + first, true, (end - start) / BASE_BLOCK_BYTES))
			r = change_chunk(p, data, differs, start, end, e);
	}
	return r == 0 ? carry_out(p, data, e) : r;
}

/* data: the unit of the image at p->at. */
static int end_unit(struct patch *p, const uint8_t *data, struct err *e)
{
	uint64_t len = MIN(UNIT_BYTES, p->size_bytes - p->at);
	bool has_old = p->spec->old_fd >= 0;
	const struct slot *s = has_old ? reader_take(&p->reader) : NULL;
	const uint8_t *old = has_old ? s->data : p->zeros;
	int r = 0;

	if (s && s->error < 0 && !s->unknown)
		return err_set(e, -s->error, "reading the base at %ju: %s", (uintmax_t)p->at,
			strerror(-s->error));
	if (s && s->unknown)
		old = NULL;
	if (!old || memcmp(data, old, len) != 0)
		r = change_unit(p, data, old, len, e);
	if (has_old)
		reader_drop(&p->reader);
	p->at += UNIT_BYTES;
	if (p->filled)
		memset(p->unit, 0, UNIT_BYTES);
	p->filled = false;
	return r;
}

static int add_data(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	const uint8_t *from = data;
	struct patch *p = ctx;
	int r = 0;

	while (r == 0 && len > 0) {
		if (off >= p->at + UNIT_BYTES) {
			r = end_unit(p, p->unit, e);
			continue;
		}
		size_t n = (size_t)MIN(len, p->at + UNIT_BYTES - off);
		if (n == UNIT_BYTES) {
			r = end_unit(p, from, e);
		} else {
			memcpy(p->unit + (off - p->at), from, n);
			p->filled = true;
		}
		from += n;
		len -= n;
		off += n;
	}
	return r;
}

static int run(struct patch *p, struct progress *progress, struct err *e)
{
	const struct base_sink sink = {.data = add_data, .ctx = p};
	int r = reader_start(&p->reader, e);

	if (r == 0)
		r = base_stream(p->spec->img, &sink, progress, e);
	while (r == 0 && p->at < p->size_bytes)
		r = end_unit(p, p->unit, e);
	reader_stop(&p->reader);
	return r;
}

int base_patch(const struct base_patch *spec, struct base_cost *out, struct progress *progress,
	struct err *e)
{
	uint64_t bytes = image_rootfs(spec->img)->size_bytes;
	uint64_t size = (bytes + BASE_BLOCK_BYTES - 1) / BASE_BLOCK_BYTES * BASE_BLOCK_BYTES;
	autofree uint8_t *unit = new_unit(), *zeros = new_unit();
	struct patch p = {
		.spec = spec,
		.reader = {.fd = spec->old_fd,
			.old_bytes = spec->old_bytes,
			.units = (size + UNIT_BYTES - 1) / UNIT_BYTES},
		.size_bytes = size,
		.unit = unit,
		.zeros = zeros,
		.discards = spec->discards,
	};

	if (spec->old_fd >= 0)
		base_set_direct(spec->old_fd, true);
	if (spec->new_fd >= 0)
		base_set_direct(spec->new_fd, true);
	int r = run(&p, progress, e);
	if (r == 0 && spec->new_fd >= 0 && fsync(spec->new_fd) < 0)
		r = err_errno(e, "writing the base");
	if (r == 0)
		*out = p.cost;
	return r;
}
