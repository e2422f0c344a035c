/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carry a layout out: erase, partition, thin pool, volumes, file systems.
 *
 * Nothing is undone on failure, what was erased is gone; but every step can be done again on what a
 * failure or a power cut left, and nothing outside of the layout is ever written to.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "storage/layout.h"

/*
 * All but the content of the base: partitions and volumes made, tagged, formatted, active.  The
 * base's LV is there, writable and empty; the layer has its two folders.  layer is
 * "NAME-VERSION+1", base what stands before the "+".  A stage of progress for each part.
 */
int layout_apply(const struct layout *l, const char *layer, struct progress *p, struct err *e)
	MUST_CHECK;

/* A new file system with the two folders of a layer, on a new thin volume. */
int layer_format(const char *vg, const char *layer, struct err *e) MUST_CHECK;

/* Where the dm-verity data of a base is: see docs/node.md. */
struct base_verity {
	uint64_t hash_offset;
	uint64_t fec_offset; /* 0: none */
	unsigned fec_roots;
	bool once; /* only opened: a block that has verified is not hashed again */
};

/* Once the base is written and synced: tags, read-only, activation skipped, inactive. */
int base_protect(const char *vg, const char *base, const struct base_verity *v, struct err *e)
	MUST_CHECK;

/*
 * Open a base through dm-verity as /dev/mapper/NAME, activating its LV read-only if needed.
 * -EKEYREJECTED: the root hash does not fit.
 */
int base_open(const char *vg, const char *base, const struct base_verity *v,
	const uint8_t root_hash[32], const char *mapper_name, struct err *e) MUST_CHECK;
/* Fine when it is not open, or only half. */
int base_close(const char *vg, const char *base, const char *mapper_name, struct err *e) MUST_CHECK;

/* Whether a tag of the node's group, LVM_TAG_BIOS for one, names the partition. */
bool node_owns_part(const struct inventory *inv, const char *prefix, const struct inv_part *part);

/*
 * Remove all of the node's bases, layers and volumes, its pool, and its group when nothing foreign
 * is left in it; with partitions also those that its tags name, and the labels on what was the
 * physical volume, with its partition when that is called as ours are.  Foreign volumes, groups,
 * partitions and disks stay.  removed (may be NULL) becomes a list for people.  -ENOENT: there is no node here.  -EBUSY: it is in use.
 */
int node_remove(const struct inventory *inv, bool with_partitions, bool dry_run,
	struct strv *removed, struct progress *p, struct err *e) MUST_CHECK;
