/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new base: a thin snapshot of one that is there, with the blocks that differ written over it.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "liveimg/get.h"
#include "storage/thin.h"

struct base_job {
	const struct lvm_report *lvm;
	const char *vg, *pool;
	const char *base; /* "NAME-VERSION" */
	const char *like; /* a base of the node that it begins as; NULL: none */
	const struct liveimg *image;
	uint64_t limit_bytes; /* that the pool may grow by: more is -ENOSPC; 0: no limit */
};

struct base_cost {
	uint64_t changed_bytes; /* blocks of 4096 that differ */
	uint64_t chunk_bytes;   /* chunks of the pool that they are in: what it will grow by */
};

/* What may be taken of the pool: something is left to the volumes that are in use. */
uint64_t base_data_room(const struct pool_room *room);
uint64_t base_metadata_room(const struct pool_room *room);

/*
 * While something is written, again and again: -EIO: the pool cannot be written to; -ENOSPC: nothing may be
 * taken of it any more.
 */
int base_look(const char *vg, const char *pool, uint64_t *data_room, struct err *e) MUST_CHECK;

/*
 * What it will take: reads both whole.  out is exact when `like` does not change meanwhile, which a
 * base never does.
 */
int base_measure(const struct base_job *j, struct base_cost *out, struct progress *p, struct err *e)
	MUST_CHECK;
/*
 * Make it, complete, protected and verified, as LVM_TAG_BASE; on failure it is removed again.
 * cost may be NULL.  Memory: at most 96 MiB.  -EBADMSG: the image is damaged or does not verify;
 * -ENOSPC.
 */
int base_make(const struct base_job *j, struct base_cost *cost, struct progress *p, struct err *e)
	MUST_CHECK;
