/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/base-make.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "liveimg/base-stream.h"
#include "liveimg/base-write.h"
#include "storage/thin.h"
#include "storage/wipe.h"
#include "upgrade/base-patch.h"

/* How far the pool may grow before it is asked again. */
#define LOOK_BYTES (64 * MIB)
/* What is left to the volumes that are in use: of data at most, and a part of both. */
#define LEFT_MAX_BYTES     (64 * MIB)
#define DATA_LEFT_PART     32
#define METADATA_LEFT_PART 16

/* What growing is measured by. */
struct growth {
	const struct base_job *j;
	uint64_t chunk_bytes;
	uint64_t allowed_bytes; /* until the pool is asked again */
};

static int open_volume(const char *vg, const char *name, int flags, struct err *e)
{
	autofree char *path = xasprintf("/dev/%s/%s", vg, name);
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

static int volume_bytes(int fd, uint64_t *out, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_errno(e, "the base's volume");
	*out = (uint64_t)size;
	return 0;
}

uint64_t base_data_room(const struct pool_room *room)
{
	uint64_t left = MIN(LEFT_MAX_BYTES, room->data_bytes / DATA_LEFT_PART);

	left += room->data_used_bytes + room->chunk_bytes;
	return room->data_bytes > left ? room->data_bytes - left : 0;
}

uint64_t base_metadata_room(const struct pool_room *room)
{
	uint64_t left = room->metadata_used_bytes + room->metadata_bytes / METADATA_LEFT_PART;

	return room->metadata_bytes > left ? room->metadata_bytes - left : 0;
}

static int refuse(const char *vg, const char *pool, const char *what, uint64_t used, uint64_t has,
	struct err *e)
{
	autofree char *used_text = str_bytes(used);
	autofree char *has_text = str_bytes(has);

	return err_set(e, ENOSPC, "thin pool '%s/%s' has no room: %s of %s of %s are used", vg,
		pool, used_text, has_text, what);
}

int base_look(const char *vg, const char *pool, uint64_t *data_room, struct err *e)
{
	struct pool_room room;
	int r = pool_room(vg, pool, &room, e);

	if (r < 0)
		return r;
	if (room.failed || room.read_only || room.needs_check)
		return err_set(e, EIO, "thin pool '%s/%s' cannot be written to: %s", vg, pool,
			room.failed ? "it has failed" : "its metadata needs repair");
	uint64_t left = base_data_room(&room);
	if (room.out_of_data || left == 0)
		return refuse(vg, pool, "data", room.data_used_bytes, room.data_bytes, e);
	if (base_metadata_room(&room) == 0)
		return refuse(
			vg, pool, "metadata", room.metadata_used_bytes, room.metadata_bytes, e);
	*data_room = left;
	return 0;
}

/* Others write to the pool, too, and have to go on when this one cannot. */
static int look(struct growth *g, uint64_t chunk_bytes, struct err *e)
{
	uint64_t data_room;
	int r = base_look(g->j->vg, g->j->pool, &data_room, e);

	if (r < 0)
		return r;
	/* The chunk that is being asked for is part of it. */
	g->allowed_bytes = chunk_bytes - g->chunk_bytes +
		MIN(LOOK_BYTES, data_room + g->chunk_bytes);
	return 0;
}

static int may_grow(void *ctx, uint64_t chunk_bytes, struct err *e)
{
	struct growth *g = ctx;
	uint64_t limit = g->j->limit_bytes;

	if (limit > 0 && chunk_bytes > limit) {
		autofree char *text = str_bytes(limit);

		return err_set(e, ENOSPC, "it takes more of thin pool '%s/%s' than %s", g->j->vg,
			g->j->pool, text);
	}
	return chunk_bytes > g->allowed_bytes ? look(g, chunk_bytes, e) : 0;
}

/* The new volume, open for writing. */
static int fill_open(
	const struct base_job *j, int fd, struct base_cost *cost, struct progress *p, struct err *e)
{
	struct growth g = {.j = j};
	struct base_patch spec = {
		.img = j->image->img,
		.old_fd = j->like ? fd : -1,
		.new_fd = fd,
		.discards = wipe_can_discard(fd),
		.grow = may_grow,
		.ctx = &g,
	};
	struct pool_room room;
	int r = volume_bytes(fd, &spec.old_bytes, e);

	if (r == 0)
		r = pool_room(j->vg, j->pool, &room, e);
	if (r < 0)
		return r;
	spec.chunk_bytes = g.chunk_bytes = room.chunk_bytes;
	progress_begin(p, "base", j->image->manifest.rootfs.size_bytes, "bytes");
	r = base_patch(&spec, cost, p, e);
	progress_end(p);
	return r;
}

static int fill(const struct base_job *j, struct base_cost *cost, struct progress *p, struct err *e)
{
	autofd int fd = open_volume(j->vg, j->base, O_RDWR, e);

	return fd < 0 ? fd : fill_open(j, fd, cost, p, e);
}

/* It is called a base only once it was right. */
static int finish(const struct base_job *j, struct progress *p, struct err *e)
{
	const struct manifest *m = &j->image->manifest;
	const struct base_verity v = base_verity_of(m);
	autofree char *verity = xasprintf(LVM_TAG_VERITY "%" PRIu64 ":%" PRIu64 ":%u",
		v.hash_offset, v.fec_offset, v.fec_roots);
	const char *const tags[] = {LVM_TAG_BASE, verity, NULL};
	struct err own = {0};
	int r = base_verify(j->vg, j->base, m, p, &own);

	if (r < 0)
		return err_set(e, r == -EKEYREJECTED ? EBADMSG : own.code, "%s", own.msg);
	return thin_accept(j->vg, j->base, true, tags, e);
}

static const struct lvm_lv *find_like(const struct base_job *j, struct err *e)
{
	for (size_t i = 0; i < j->lvm->lv_count; i++) {
		const struct lvm_lv *lv = &j->lvm->lvs[i];

		if (str_eq(lv->vg, j->vg) && str_eq(lv->name, j->like) &&
			lvm_has_tag(&lv->tags, LVM_TAG_BASE) && lv->pool &&
			str_eq(lv->pool, j->pool))
			return lv;
	}
	err_set(e, ENOENT, "there is no base '%s' in thin pool '%s/%s'", j->like, j->vg, j->pool);
	return NULL;
}

static const struct lvm_lv *find_pool(const struct base_job *j, struct err *e)
{
	for (size_t i = 0; i < j->lvm->lv_count; i++) {
		const struct lvm_lv *lv = &j->lvm->lvs[i];

		if (lv->is_pool && str_eq(lv->vg, j->vg) && str_eq(lv->name, j->pool) &&
			lv->chunk_bytes > 0)
			return lv;
	}
	err_set(e, ENOENT, "there is no thin pool '%s/%s'", j->vg, j->pool);
	return NULL;
}

static int check(const struct base_job *j, const struct lvm_lv **like, const struct lvm_lv **pool,
	struct err *e)
{
	int r = base_stream_check(j->image->img, &j->image->manifest, e);

	if (r < 0)
		return r;
	*pool = find_pool(j, e);
	*like = *pool && j->like ? find_like(j, e) : NULL;
	return !*pool || (j->like && !*like) ? -ENOENT : 0;
}

static int make(const struct base_job *j, struct base_cost *cost, struct progress *p, struct err *e)
{
	uint64_t bytes = j->image->manifest.rootfs.size_bytes;
	const struct lvm_lv *like, *pool;
	struct err removing = {0};
	int r = check(j, &like, &pool, e);

	if (r == 0)
		r = like ? thin_snapshot(j->vg, j->like, j->base, bytes, e)
			 : thin_create(j->vg, j->pool, j->base, bytes, e);
	if (r < 0)
		return r;
	r = fill(j, cost, p, e);
	if (r == 0)
		r = finish(j, p, e);
	if (r < 0 && thin_drop(j->vg, j->base, &removing) < 0)
		log_warning("%s", removing.msg);
	return r;
}

int base_make(const struct base_job *j, struct base_cost *cost, struct progress *p, struct err *e)
{
	struct base_cost own = {0};
	int r = make(j, &own, p, e);

	if (r == 0 && cost)
		*cost = own;
	return r < 0 ? err_wrap(e, r, "new base '%s'", j->base) : 0;
}

static int measure_open(const struct base_job *j, const struct lvm_lv *pool, int fd,
	struct base_cost *out, struct progress *p, struct err *e)
{
	struct base_patch spec = {
		.img = j->image->img,
		.old_fd = fd,
		.new_fd = -1,
		.chunk_bytes = pool->chunk_bytes,
		.discards = fd >= 0 && wipe_can_discard(fd),
	};
	int r = fd >= 0 ? volume_bytes(fd, &spec.old_bytes, e) : 0;

	if (r < 0)
		return r;
	progress_begin(p, "comparing", j->image->manifest.rootfs.size_bytes, "bytes");
	r = base_patch(&spec, out, p, e);
	progress_end(p);
	return r;
}

static int measure_active(const struct base_job *j, const struct lvm_lv *pool,
	struct base_cost *out, struct progress *p, struct err *e)
{
	autofd int fd = open_volume(j->vg, j->like, O_RDONLY, e);

	return fd < 0 ? fd : measure_open(j, pool, fd, out, p, e);
}

static int measure_like(const struct base_job *j, const struct lvm_lv *like,
	const struct lvm_lv *pool, struct base_cost *out, struct progress *p, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", j->vg, j->like);
	struct err closing = {0};
	int r = like->active
		? 0
		: lvm_run(e, "lvchange", "--activate=y", "--ignoreactivationskip", path, NULL);

	if (r < 0)
		return r;
	r = measure_active(j, pool, out, p, e);
	if (like->active)
		return r;
	interrupt_defer();
	if (lvm_run(&closing, "lvchange", "--activate=n", path, NULL) < 0)
		log_warning("%s", closing.msg);
	interrupt_resume();
	return r;
}

int base_measure(const struct base_job *j, struct base_cost *out, struct progress *p, struct err *e)
{
	const struct lvm_lv *like, *pool;
	int r = check(j, &like, &pool, e);

	if (r == 0)
		r = like ? measure_like(j, like, pool, out, p, e)
			 : measure_open(j, pool, -1, out, p, e);
	return r < 0 ? err_wrap(e, r, "measuring base '%s'", j->base) : 0;
}
