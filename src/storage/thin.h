/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thin volumes of a node that is there already: room, snapshots, and what is not complete yet.
 *
 * Everything made here is tagged LVM_TAG_NEW until thin_accept() makes it what it is to be, in one
 * transaction of LVM: what a power cut leaves is known by that tag.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/apply.h"
#include "storage/lvm.h"

/* Of a pool as device-mapper counts it. */
struct pool_room {
	uint64_t chunk_bytes;
	uint64_t data_bytes, data_used_bytes;
	uint64_t metadata_bytes, metadata_used_bytes;
	bool read_only, out_of_data, needs_check, failed;
	bool error_if_full; /* otherwise writers wait, which a root file system must not */
};

/* The pool has to be active.  -ENOENT: there is none. */
int pool_room(const char *vg, const char *pool, struct pool_room *out, struct err *e) MUST_CHECK;
/* While it is in use: pool_metadata_check(), and its errors; -EBADMSG also for what the kernel has found. */
int pool_verify(const char *vg, const char *pool, struct err *e) MUST_CHECK;
/*
 * The pool makes a volume and then counts the transaction, in two writes of its metadata.  Cut off in
 * between, LVM asks for the volume again, is told that it exists, and changes nothing in the pool ever
 * after.  Such a volume, with LVM_TAG_NEW, is taken out of the pool, so that LVM gets on.  1: it was.
 */
int pool_mend(const struct lvm_report *lvm, const struct lvm_lv *pool, struct err *e) MUST_CHECK;
/*
 * LVM asks the pool for a change, and then notes that it has.  Cut off in between, a removal that follows
 * is taken for done with the rest, and never comes to the pool: what was removed stays there, unknown,
 * and the next volume cannot have its number.  Making one is what lets LVM take note.
 */
int pool_settle(const char *vg, const char *pool, struct err *e) MUST_CHECK;

/* A new volume, active and writable. */
int thin_create(const char *vg, const char *pool, const char *name, uint64_t bytes, struct err *e)
	MUST_CHECK;
/*
 * A snapshot of origin, active, writable, and at least min_bytes large.  A mounted origin is frozen for
 * that moment: the snapshot is a clean file system but for its journal.
 */
int thin_snapshot(const char *vg, const char *origin, const char *name, uint64_t min_bytes,
	struct err *e) MUST_CHECK;
/*
 * What the two above have made is complete: LVM_TAG_NEW goes and tags (NULL at the end) come, in one
 * change; read_only also sets the activation skip flag and takes the volume offline.
 */
int thin_accept(const char *vg, const char *name, bool read_only, const char *const tags[],
	struct err *e) MUST_CHECK;
/* Remove it if it is not complete: fine when there is none, or a complete one, which stays. */
int thin_drop(const char *vg, const char *name, struct err *e) MUST_CHECK;
/* Fine when there is none.  -EBUSY: it is in use; it stays.  Refuses what has no tag of ours. */
int thin_remove(const char *vg, const char *name, struct err *e) MUST_CHECK;
