/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A base of the node and what opens it: its volume, the tag that says where its dm-verity data is,
 * and the root hash that a boot entry trusts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "node/state.h"
#include "storage/apply.h"

struct base_ref {
	const char *name;        /* of the volume */
	const struct lvm_lv *lv; /* of the state */
	bool running;            /* this system runs from it */
	struct base_verity verity;
	uint8_t root_hash[SHA256_BYTES];
};

/*
 * The root hash is that of the kernel command line for the running base, of a boot entry for others.
 * -ENOENT: there is no such base; -ENOKEY: nothing says its root hash; -EBADMSG: its tag is wrong.
 */
int base_ref_find(const struct node_state *s, const char *name, struct base_ref *out, struct err *e)
	MUST_CHECK;
/* Out of the tag of its volume.  -EBADMSG: it has none that makes sense. */
int base_ref_verity(const struct lvm_lv *lv, struct base_verity *out, struct err *e) MUST_CHECK;
/*
 * As /dev/mapper/MAPPER-NAME, beside whatever else has it open.  Without correction a damaged block
 * is seen as such.
 */
int base_ref_open(const struct base_ref *b, const char *mapper_name, bool corrected, struct err *e)
	MUST_CHECK;
/* The volume is as it was before. */
int base_ref_close(const struct base_ref *b, const char *mapper_name, struct err *e) MUST_CHECK;

/*
 * Cut the table of the running base's device down to one line, without error correction unless
 * corrected.  -EKEYREJECTED: it has another root hash.
 */
int base_ref_table(char *table, const uint8_t root_hash[SHA256_BYTES], bool corrected,
	struct err *e) MUST_CHECK;

/* A mapper name that no other process has.  The caller frees it. */
char *base_ref_mapper_name(unsigned number) MUST_CHECK;
/* Close what processes that were killed have left under such names. */
void base_ref_drop_leftovers(void);
