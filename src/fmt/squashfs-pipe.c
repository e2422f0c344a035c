/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of blocks.  The caller fills them in order, workers take them in order, the caller gets
 * them back in order: what is written does not depend on which worker was faster.
 *
 *        out              take             in
 *   ------|---- done/busy --|--- filled ----|--- free ----
 *
 * One lock guards the three counters and the states.  A block belongs to the caller while free or
 * done and to one worker while busy.
 */
#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/thread.h"
#include "base/xalloc.h"
#include "fmt/squashfs-internal.h"

#define SLOTS_PER_THREAD 4
#define RING_MAX_BYTES   (96 * MIB) /* but never fewer slots than threads */

struct slot {
	struct squashfs_block b;
	bool done;
	int error; /* negative errno */
	struct err e;
};

struct worker {
	struct squashfs_pipe *pipe;
	sqfs_compressor_t *cmp;
	pthread_t thread;
	bool running;
};

struct squashfs_pipe {
	struct squashfs_pipe_spec spec;
	struct slot *slots;
	size_t slot_count;
	struct worker *workers;
	size_t worker_count;
	pthread_mutex_t lock;
	pthread_cond_t filled, finished;
	uint64_t in, take, out;
	bool stop;
};

static int pack(struct worker *w, struct squashfs_block *b, struct err *e)
{
	const struct squashfs_reuse *reuse = w->pipe->spec.reuse;
	uint8_t stored[SHA256_BYTES];

	b->reused = b->kept;
	if (b->kept)
		return 0;
	b->word = 0;
	memset(b->plain, 0, sizeof(b->plain));
	if (b->hole || (b->may_sparse && squashfs_is_zero(b->in, b->len)))
		return 0;

	sha256_buffer(b->in, b->len, b->plain);
	b->reused = reuse && squashfs_reuse_find(reuse, b->plain, b->out, &b->word);
	if (!b->reused) {
		int r = squashfs_compress(w->cmp, b->in, b->len, b->out, &b->word, e);
		if (r < 0)
			return r;
	}
	sha256_buffer(b->out, SQUASHFS_LEN(b->word), stored);
	memcpy(b->stored, stored, sizeof(b->stored));
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct squashfs_pipe *p = w->pipe;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && p->take == p->in)
			pthread_cond_wait(&p->filled, &p->lock);
		if (p->stop)
			break;
		struct slot *s = &p->slots[p->take++ % p->slot_count];
		pthread_mutex_unlock(&p->lock);

		s->error = pack(w, &s->b, &s->e);

		pthread_mutex_lock(&p->lock);
		s->done = true;
		pthread_cond_signal(&p->finished);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int squashfs_pipe_new(
	const struct squashfs_pipe_spec *spec, struct squashfs_pipe **out, struct err *e)
{
	autoptr(squashfs_pipe) p = xcalloc(1, sizeof(*p));
	uint32_t block_bytes = spec->params->block_bytes;

	p->spec = *spec;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->filled, NULL);
	pthread_cond_init(&p->finished, NULL);
	p->worker_count = spec->params->threads;
	p->workers = xcalloc(p->worker_count, sizeof(*p->workers));
	size_t slot_bytes = block_bytes + SQUASHFS_OUT_BYTES(block_bytes);
	p->slot_count = MIN(p->worker_count * SLOTS_PER_THREAD, RING_MAX_BYTES / slot_bytes);
	p->slot_count = MAX(p->slot_count, p->worker_count + 1);
	p->slots = xcalloc(p->slot_count, sizeof(*p->slots));
	for (size_t i = 0; i < p->slot_count; i++) {
		p->slots[i].b.in = xcalloc(1, block_bytes);
		p->slots[i].b.out = xcalloc(1, SQUASHFS_OUT_BYTES(block_bytes));
	}
	for (size_t i = 0; i < p->worker_count; i++) {
		struct worker *w = &p->workers[i];

		w->pipe = p;
		int r = squashfs_compressor_new(spec->params, &w->cmp, e);
		if (r == 0)
			r = thread_start(&w->thread, work, w, e);
		if (r < 0)
			return r;
		w->running = true;
	}
	*out = take_ptr(p);
	return 0;
}

void squashfs_pipe_free(struct squashfs_pipe *p)
{
	if (!p)
		return;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->filled);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->worker_count; i++) {
		if (p->workers[i].running)
			pthread_join(p->workers[i].thread, NULL);
		sqfs_destroy(p->workers[i].cmp);
	}
	for (size_t i = 0; i < p->slot_count; i++) {
		free(p->slots[i].b.in);
		free(p->slots[i].b.out);
	}
	pthread_cond_destroy(&p->finished);
	pthread_cond_destroy(&p->filled);
	pthread_mutex_destroy(&p->lock);
	free(p->slots);
	free(p->workers);
	free(p);
}

/* The oldest block: wait until it is done and hand it on. */
static int finish_one(struct squashfs_pipe *p, struct err *e)
{
	struct slot *s = &p->slots[p->out % p->slot_count];

	pthread_mutex_lock(&p->lock);
	while (!s->done)
		pthread_cond_wait(&p->finished, &p->lock);
	s->done = false;
	p->out++;
	pthread_mutex_unlock(&p->lock);
	if (s->error < 0) {
		if (e)
			*e = s->e;
		return s->error;
	}
	return p->spec.done(p->spec.ctx, &s->b, e);
}

int squashfs_pipe_next(struct squashfs_pipe *p, struct squashfs_block **out, struct err *e)
{
	if (p->in - p->out == p->slot_count) {
		int r = finish_one(p, e);
		if (r < 0)
			return r;
	}
	*out = &p->slots[p->in % p->slot_count].b;
	return 0;
}

void squashfs_pipe_submit(struct squashfs_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->in++;
	pthread_cond_signal(&p->filled);
	pthread_mutex_unlock(&p->lock);
}

int squashfs_pipe_drain(struct squashfs_pipe *p, struct err *e)
{
	while (p->out < p->in) {
		int r = finish_one(p, e);
		if (r < 0)
			return r;
	}
	return 0;
}
