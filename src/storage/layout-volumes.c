/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pool, base and volumes.
 *
 * A pool is never promised to more than it has: what all volumes can grow to, the base, and a
 * second base and layer for the next upgrade fit in it.
 */
#include <errno.h>

#include "base/xalloc.h"
#include "storage/layout-internal.h"

#define METADATA_MIN    (64 * MIB)
#define METADATA_MAX    GIB /* of groups up to 1 TiB */
#define MAPPING_BYTES   64  /* of metadata for a chunk, more than dm-thin takes */
#define CHUNK_BYTES     (64 * KIB)
#define CHUNK_MAX_BYTES GIB

/* mkfs refuses less than about that. */
#define EXT4_MIN (16 * MIB)
#define XFS_MIN  (300 * MIB)

static uint64_t extents(const struct plan *p, uint64_t bytes)
{
	return plan_round_up(bytes, p->want.extent_bytes);
}

/* What the next upgrade takes. */
static uint64_t next_bytes(const struct plan *p)
{
	uint64_t layer = p->want.next_layer_bytes;

	for (size_t i = 0; layer == 0 && i < p->want.volume_count; i++)
		if (str_eq(p->want.volumes[i].mount, "/"))
			layer = p->out->volumes ? p->out->volumes[i].size_bytes
						: p->want.volumes[i].size.bytes;
	return extents(p, layer) + extents(p, p->params->rootfs_bytes);
}

/* A 64th of the group, up to 1 GiB; beyond 1 TiB a mapping for each of 64 KiB. */
static uint64_t metadata_by_rule(const struct plan *p, uint64_t group)
{
	uint64_t bytes = MAX(METADATA_MIN, MIN(group / 64, METADATA_MAX));

	bytes = MAX(bytes, group / (CHUNK_BYTES / MAPPING_BYTES));
	return extents(p, MIN(bytes, LAYOUT_METADATA_MAX));
}

static uint64_t chunk_by_rule(uint64_t pool, uint64_t metadata)
{
	uint64_t chunk = CHUNK_BYTES;

	while (pool / chunk > metadata / MAPPING_BYTES && chunk < CHUNK_MAX_BYTES)
		chunk *= 2;
	return chunk;
}

uint64_t plan_least_group(const struct plan *p)
{
	uint64_t pool = extents(p, p->params->rootfs_bytes) + next_bytes(p);

	for (size_t i = 0; i < p->want.volume_count; i++)
		pool += extents(p, p->want.volumes[i].size.bytes);
	/* Two extents for what rounding down takes. */
	return extents(p, pool / p->want.pool_size.percent * 100 + 100) + 2 * p->want.extent_bytes;
}

/* What a new group has room for: LVM takes the start of each physical volume. */
static uint64_t new_group_bytes(const struct plan *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->out->part_count; i++)
		if (p->out->parts[i].role == LAYOUT_PV)
			bytes += plan_round_down(
				p->out->parts[i].size_bytes - LAYOUT_ALIGN, p->want.extent_bytes);
	return bytes;
}

static int refuse_room(const char *what, uint64_t need, uint64_t has, struct err *e)
{
	autofree char *need_text = str_bytes(need);
	autofree char *has_text = str_bytes(has);
	autofree char *more_text = str_bytes(need - MIN(need, has));

	return err_set(
		e, ENOSPC, "%s needs %s, has %s, %s more", what, need_text, has_text, more_text);
}

/* At most room bytes unless --size is more; 0: by percent of a group that is too small. */
static uint64_t pool_size(const struct plan *p, uint64_t group, uint64_t room)
{
	const struct want_size *size = &p->want.pool_size;
	uint64_t pool = extents(p, size->bytes), most = room;

	if (size->percent > 0) {
		pool = plan_round_down(group / 100 * size->percent, p->want.extent_bytes);
		pool = MIN(pool, room);
	}
	if (size->max_bytes > 0)
		most = MIN(extents(p, size->max_bytes), room);
	return size->grow && most > pool ? most : pool;
}

/* group: what all of this may take; sets pool_bytes. */
static int size_pool(struct plan *p, uint64_t group, struct err *e)
{
	const struct want *w = &p->want;
	struct layout *l = p->out;
	uint64_t reserved = extents(p, group / 100 * w->reserved_percent);
	uint64_t taken, room;

	reserved = MAX(extents(p, w->reserved_bytes), reserved);
	l->pool_metadata_bytes = extents(p, w->metadata_bytes);
	if (w->metadata_bytes == 0)
		l->pool_metadata_bytes = metadata_by_rule(p, group);
	taken = reserved + 2 * l->pool_metadata_bytes; /* lvm keeps a spare of the metadata */
	room = group > taken ? group - taken : 0;
	l->pool_bytes = pool_size(p, group, room);
	if (l->pool_bytes > room || l->pool_bytes == 0) {
		autofree char *what = xasprintf("volume group '%s' is too small: thin pool and "
						"metadata: it",
			l->vg);
		return refuse_room(what, MAX(l->pool_bytes, w->extent_bytes) + taken, group, e);
	}
	l->pool_chunk_bytes = w->chunk_bytes;
	if (w->chunk_bytes == 0)
		l->pool_chunk_bytes = chunk_by_rule(l->pool_bytes, l->pool_metadata_bytes);
	return 0;
}

static int refuse_pool(const struct plan *p, uint64_t need, struct err *e)
{
	autofree char *next = str_bytes(next_bytes(p));
	autofree char *what = xasprintf("thin pool '%s' is too small: with %s for the base and "
					"layer of the next upgrade it",
		p->out->pool, next);

	return refuse_room(what, need, p->out->pool_bytes, e);
}

static int check_least(const struct want_volume *v, struct err *e)
{
	uint64_t least = str_eq(v->fstype, "xfs") ? XFS_MIN : EXT4_MIN;

	if (v->size.percent > 0 || v->size.bytes >= least || str_eq(v->fstype, "swap"))
		return 0;
	return plan_refuse(v->cmd, e, EINVAL, "%s needs at least %llu MiB for %s", v->mount,
		least / MIB, v->fstype);
}

/* --percent is of what the others leave; then the rest goes to those that grow. */
static void share_rest(struct plan *p, uint64_t rest)
{
	const struct want *w = &p->want;
	struct layout_volume *out = p->out->volumes;
	autofree struct grower *g = xcalloc(w->volume_count + 1, sizeof(*g));
	uint64_t left = rest;
	size_t count = 0;

	for (size_t i = 0; i < w->volume_count; i++) {
		uint64_t share = rest / 100 * w->volumes[i].size.percent;

		share = MIN(plan_round_down(share, w->extent_bytes), left);
		out[i].size_bytes += share;
		left -= share;
	}
	for (size_t i = 0; i < w->volume_count; i++)
		if (w->volumes[i].size.grow)
			g[count++] = (struct grower){
				.base = MAX(out[i].size_bytes / w->extent_bytes, 1),
				.limit = w->volumes[i].size.max_bytes
					? extents(p, w->volumes[i].size.max_bytes) / w->extent_bytes
					: UINT64_MAX};
	plan_grow(g, count, left / w->extent_bytes);
	count = 0;
	for (size_t i = 0; i < w->volume_count; i++)
		if (w->volumes[i].size.grow)
			out[i].size_bytes = g[count++].got * w->extent_bytes;
}

static int size_volumes(struct plan *p, struct err *e)
{
	const struct want *w = &p->want;
	uint64_t need = p->out->base_bytes;
	int r = 0;

	for (size_t i = 0; i < w->volume_count; i++) {
		r = check_least(&w->volumes[i], e);
		if (r < 0)
			return r;
		p->out->volumes[i].size_bytes = extents(p, w->volumes[i].size.bytes);
		need += p->out->volumes[i].size_bytes;
	}
	need += next_bytes(p);
	if (need > p->out->pool_bytes)
		return refuse_pool(p, need, e);
	share_rest(p, p->out->pool_bytes - need);
	return 0;
}

/* "/var/log/audit" -> "var_log_audit" */
static char *name_of_mount(const char *mount)
{
	char *name = xstrdup(mount + (mount[0] == '/'));

	for (char *s = name; *s; s++)
		if (*s == '/')
			*s = '_';
	return name;
}

static void add_volumes(struct plan *p)
{
	struct layout *l = p->out;
	const struct want *w = &p->want;

	l->volumes = xcalloc(w->volume_count + 1, sizeof(*l->volumes));
	for (size_t i = 0; i < w->volume_count; i++) {
		const struct want_volume *v = &w->volumes[i];
		bool is_swap = str_eq(v->fstype, "swap");

		l->volumes[l->volume_count++] = (struct layout_volume){
			.name = v->name                 ? xstrdup(v->name)
				: str_eq(v->mount, "/") ? NULL
							: name_of_mount(v->mount),
			.mount = xstrdup(v->mount),
			.fstype = xstrdup(v->fstype),
			.fsoptions = plan_fsoptions(v->fsoptions, !is_swap),
		};
	}
}

/* The layer first, then those that others are mounted in before these, swap last. */
static int compare_wants(const void *a, const void *b)
{
	const char *x = ((const struct want_volume *)a)->mount;
	const char *y = ((const struct want_volume *)b)->mount;

	return strcmp(x, y);
}

int plan_volumes(struct plan *p, struct err *e)
{
	struct layout *l = p->out;
	struct want *w = &p->want;
	int r;

	qsort(w->volumes, w->volume_count, sizeof(*w->volumes), compare_wants);
	if (!p->old_vg) {
		l->vg = xstrdup(w->vg);
		l->vg_is_new = true;
		l->extent_bytes = w->extent_bytes;
		p->vg_room_bytes = new_group_bytes(p);
	}
	l->pool = xstrdup(w->pool);
	l->base_bytes = extents(p, p->params->rootfs_bytes);
	r = size_pool(p, p->vg_room_bytes, e);
	if (r < 0)
		return r;
	add_volumes(p);
	return size_volumes(p, e);
}
