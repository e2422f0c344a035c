/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A base of the node, opened through dm-verity: as a device, of which its volume, the tag that says
 * where its dm-verity data is, and the root hash that a boot entry trusts are the reference; and as a
 * tree, read without a mount.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "image/image.h"
#include "node/state.h"
#include "storage/apply.h"
#include "upgrade/site.h"

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

#define BASE_VIEW_OLD "bedplate-upgrade-old" /* device-mapper names */
#define BASE_VIEW_NEW "bedplate-upgrade-new"

struct base_view {
	struct base_ref ref; /* of the site's report */
	char *mapper;        /* NULL: it is the running base, which stays open */
	char *device;        /* "/dev/mapper/..." */
	struct image *img;
	char *name, *version; /* of its image.json; NULL: it has none */
};

/*
 * mapper_name is taken over from a process that was killed.  The caller closes it while s lives.
 * -EKEYREJECTED: it has another root hash; -EBADMSG: it is damaged.
 */
int base_view_open(const struct site *s, const char *base, const uint8_t root_hash[32],
	const char *mapper_name, struct base_view *out, struct err *e) MUST_CHECK;
void base_view_fini(struct base_view *v);
#define autobaseview auto_with(base_view_fini) struct base_view

/*
 * Close what processes that were killed have left under any name: only with the lock of the site.
 * true: some had.
 */
bool base_view_drop_leftovers(void);
