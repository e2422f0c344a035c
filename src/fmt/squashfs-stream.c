/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file from start to end.  It is cut into units of several blocks, which lie one behind the other
 * in the image: a worker takes the next unit, reads it at once and unpacks it into a slot of a ring;
 * the caller's thread gets the units back in order.
 *
 *        out             take
 *   ------|-- done/busy --|---- free, as many as the ring has left ----
 *
 * One lock guards the two counters and the states of the slots.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "fmt/squashfs-read.h"

#define UNIT_BYTES       (1 * MIB)
#define PIECE_BYTES      SQUASHFS_STREAM_PIECE_BYTES
#define THREADS_MAX      8
#define SLOTS_MAX        16
#define SLOTS_PER_THREAD 3
#define BUFFER_ALIGN     4096
static_assert(UNIT_BYTES / PIECE_BYTES <= 32, "a bit for each piece");

struct unit {
	uint8_t *data;
	uint32_t pieces; /* bit n: piece n is not zero */
	bool done;
	int error; /* negative errno */
	struct err e;
};

struct stream;

struct worker {
	struct stream *stream;
	sqfs_compressor_t *uncmp;
	uint8_t *packed; /* one unit as it is stored */
	pthread_t thread;
	bool running;
};

struct stream {
	const struct squashfs_file *file;
	uint32_t block_bytes, unit_blocks;
	uint64_t bytes; /* without a tail in a fragment */
	uint64_t units;
	struct unit *slots;
	size_t slot_count;
	struct worker *workers;
	size_t worker_count;
	pthread_mutex_t lock;
	pthread_cond_t room, finished;
	uint64_t take, out;
	bool stop;
};

static uint64_t place_of(const struct stream *st, uint64_t block)
{
	return st->file->places[block] & ~SQUASHFS_PLACE_RAW;
}

static uint32_t packed_len(const struct stream *st, uint64_t block)
{
	return (uint32_t)(place_of(st, block + 1) - place_of(st, block));
}

/* Bytes of the file from off on, at most a unit. */
static uint32_t unit_len(const struct stream *st, uint64_t unit)
{
	return (uint32_t)MIN(UNIT_BYTES, st->bytes - unit * UNIT_BYTES);
}

static int unpack_block(
	const struct worker *w, uint64_t block, const uint8_t *in, uint8_t *out, struct err *e)
{
	const struct stream *st = w->stream;
	uint32_t want = (uint32_t)MIN(st->block_bytes, st->bytes - block * st->block_bytes);
	uint32_t len = packed_len(st, block);
	int64_t got = len;

	if (len == 0) {
		memset(out, 0, want);
		return 0;
	}
	if (st->file->places[block] & SQUASHFS_PLACE_RAW)
		memcpy(out, in, MIN(len, want));
	else
		got = w->uncmp->do_block(w->uncmp, in, len, out, want);
	if (got == want)
		return 0;
	return err_set(e, EBADMSG, "block %ju of %ju, at %ju of the image: %s", (uintmax_t)block,
		(uintmax_t)st->file->block_count, (uintmax_t)place_of(st, block),
		got <= 0 ? "compressed data is damaged" : "wrong length");
}

static uint32_t find_pieces(const uint8_t *data, uint32_t len)
{
	uint32_t pieces = 0;

	for (uint32_t i = 0; i * PIECE_BYTES < len; i++) {
		uint32_t at = i * (uint32_t)PIECE_BYTES;

		if (!squashfs_is_zero(data + at, MIN(PIECE_BYTES, len - at)))
			pieces |= 1U << i;
	}
	return pieces;
}

static int fill(const struct worker *w, struct unit *u, uint64_t number, struct err *e)
{
	const struct stream *st = w->stream;
	uint64_t first = number * st->unit_blocks;
	uint64_t end = MIN(first + st->unit_blocks, st->file->block_count);
	uint64_t start = place_of(st, first);
	size_t len = (size_t)(place_of(st, end) - start);

	u->pieces = 0;
	if (len == 0)
		return 0;
	int r = squashfs_plain_read(st->file->img, start, w->packed, len, e);
	if (r < 0)
		return err_wrap(e, r, "blocks %ju to %ju of %ju", (uintmax_t)first,
			(uintmax_t)(end - 1), (uintmax_t)st->file->block_count);
	for (uint64_t i = first; r == 0 && i < end; i++)
		r = unpack_block(w, i, w->packed + (place_of(st, i) - start),
			u->data + (i - first) * st->block_bytes, e);
	if (r == 0)
		u->pieces = find_pieces(u->data, unit_len(st, number));
	return r;
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct stream *st = w->stream;

	pthread_mutex_lock(&st->lock);
	for (;;) {
		while (!st->stop && st->take < st->units && st->take - st->out == st->slot_count)
			pthread_cond_wait(&st->room, &st->lock);
		if (st->stop || st->take == st->units)
			break;
		uint64_t number = st->take++;
		struct unit *u = &st->slots[number % st->slot_count];
		pthread_mutex_unlock(&st->lock);

		u->error = fill(w, u, number, &u->e);

		pthread_mutex_lock(&st->lock);
		u->done = true;
		pthread_cond_signal(&st->finished);
	}
	pthread_mutex_unlock(&st->lock);
	return NULL;
}

static int start(struct stream *st, struct err *e)
{
	int id = squashfs_image_super(st->file->img)->compressor;

	for (size_t i = 0; i < st->slot_count; i++) {
		void *data = NULL;

		if (posix_memalign(&data, BUFFER_ALIGN, UNIT_BYTES) != 0)
			return err_set(e, ENOMEM, "unpacking: out of memory");
		st->slots[i].data = data;
	}
	for (size_t i = 0; i < st->worker_count; i++) {
		struct worker *w = &st->workers[i];

		w->stream = st;
		w->packed = xcalloc(1, UNIT_BYTES);
		int r = squashfs_decompressor_new(id, st->block_bytes, &w->uncmp, e);
		if (r == 0)
			r = thread_start(&w->thread, work, w, e);
		if (r < 0)
			return r;
		w->running = true;
	}
	return 0;
}

static void stop(struct stream *st)
{
	pthread_mutex_lock(&st->lock);
	st->stop = true;
	pthread_cond_broadcast(&st->room);
	pthread_mutex_unlock(&st->lock);
	for (size_t i = 0; i < st->worker_count; i++) {
		if (st->workers[i].running)
			pthread_join(st->workers[i].thread, NULL);
		sqfs_destroy(st->workers[i].uncmp);
		free(st->workers[i].packed);
	}
	for (size_t i = 0; i < st->slot_count; i++)
		free(st->slots[i].data);
	pthread_cond_destroy(&st->finished);
	pthread_cond_destroy(&st->room);
	pthread_mutex_destroy(&st->lock);
	free(st->slots);
	free(st->workers);
}

/* Runs of pieces that are not zero. */
static int hand_out(const struct squashfs_stream_spec *spec, const struct unit *u, uint64_t off,
	uint32_t len, struct err *e)
{
	uint32_t i = 0, count = (uint32_t)((len + PIECE_BYTES - 1) / PIECE_BYTES);

	while (i < count) {
		uint32_t from = i;

		while (i < count && u->pieces & 1U << i)
			i++;
		if (i == from) {
			i++;
			continue;
		}
		uint32_t at = from * (uint32_t)PIECE_BYTES;
		int r = spec->data(
			spec->ctx, u->data + at, MIN(i * PIECE_BYTES, len) - at, off + at, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int next_unit(struct stream *st, const struct squashfs_stream_spec *spec, struct err *e)
{
	struct unit *u = &st->slots[st->out % st->slot_count];
	int r;

	pthread_mutex_lock(&st->lock);
	while (!u->done)
		pthread_cond_wait(&st->finished, &st->lock);
	pthread_mutex_unlock(&st->lock);
	r = u->error;
	if (r < 0)
		return err_set(e, -r, "%s", u->e.msg);
	r = hand_out(spec, u, st->out * UNIT_BYTES, unit_len(st, st->out), e);

	pthread_mutex_lock(&st->lock);
	u->done = false;
	st->out++;
	pthread_cond_signal(&st->room);
	pthread_mutex_unlock(&st->lock);
	return r;
}

/* The end of the file when it shares a block with other files. */
static int tail(
	struct source *file, const struct squashfs_stream_spec *spec, uint64_t off, struct err *e)
{
	size_t len = (size_t)(file->size_bytes - off);
	void *data = NULL;

	if (posix_memalign(&data, BUFFER_ALIGN, UNIT_BYTES) != 0)
		return err_set(e, ENOMEM, "unpacking: out of memory");
	autofree uint8_t *owned = data;
	int r = source_read_at(file, owned, len, off, e);
	const struct unit u = {
		.data = owned, .pieces = r == 0 ? find_pieces(owned, (uint32_t)len) : 0};

	return r == 0 ? hand_out(spec, &u, off, (uint32_t)len, e) : r;
}

int squashfs_stream(struct source *file, const struct squashfs_stream_spec *spec,
	struct progress *p, struct err *e)
{
	struct stream st = {.file = squashfs_file_of(file)};
	unsigned threads = spec->threads > 0 ? spec->threads : thread_cpus() + 1;
	int r;

	if (!st.file)
		return err_set(e, EINVAL, "not a file in a squashfs image");
	st.block_bytes = squashfs_image_super(st.file->img)->block_bytes;
	st.unit_blocks = (uint32_t)UNIT_BYTES / st.block_bytes;
	st.bytes = MIN(st.file->block_count * st.block_bytes, file->size_bytes);
	st.units = (st.bytes + UNIT_BYTES - 1) / UNIT_BYTES;
	st.worker_count = MIN(threads, THREADS_MAX);
	st.slot_count = MIN(st.worker_count * SLOTS_PER_THREAD, SLOTS_MAX);
	st.workers = xcalloc(st.worker_count, sizeof(*st.workers));
	st.slots = xcalloc(st.slot_count, sizeof(*st.slots));
	pthread_mutex_init(&st.lock, NULL);
	pthread_cond_init(&st.room, NULL);
	pthread_cond_init(&st.finished, NULL);

	r = start(&st, e);
	while (r == 0 && st.out < st.units) {
		r = next_unit(&st, spec, e);
		if (r == 0)
			r = progress_advance(p, MIN(st.out * UNIT_BYTES, st.bytes), e);
	}
	stop(&st);
	if (r == 0 && st.bytes < file->size_bytes)
		r = tail(file, spec, st.bytes, e);
	return r == 0 ? progress_advance(p, file->size_bytes, e) : r;
}
