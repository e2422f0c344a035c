/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LVM through lvm(8): reports as JSON, commands as vectors.
 *
 * Everything of ours is found by tag.  A group or volume that is not ours, whatever its name, is
 * never an error and never touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

#define OWN_PARTLABEL    "bedplate-" /* what the PARTLABEL of each of our partitions begins with */
#define LVM_TAG_VG       "bedplate:vg"
#define LVM_TAG_POOL     "bedplate:pool"
#define LVM_TAG_BASE     "bedplate:base"
#define LVM_TAG_LAYER    "bedplate:layer"
#define LVM_TAG_VOLUME   "bedplate:volume"
#define LVM_TAG_SNAPSHOT "bedplate:snapshot"
#define LVM_TAG_NEW      "bedplate:new" /* not complete yet */
/* Followed by a value. */
#define LVM_TAG_MOUNT  "bedplate:mount:"
#define LVM_TAG_VERITY "bedplate:verity:"
#define LVM_TAG_BOOT   "bedplate:boot:"
#define LVM_TAG_EFI    "bedplate:efi:"
#define LVM_TAG_BIOS   "bedplate:bios:"
#define LVM_TAG_OF     "bedplate:of:" /* a snapshot: the layer that was left when it was taken */

struct lvm_lv {
	char *vg, *name, *path; /* "/dev/VG/LV" */
	char *pool, *origin;    /* names in the same group, or NULL */
	struct strv tags;
	uint64_t size_bytes;
	bool is_pool, is_thin, active, read_only, skips_activation;
	bool has_discards;       /* pool: passes discards down */
	bool error_if_full;      /* pool */
	double data_percent;     /* < 0: unknown */
	double metadata_percent; /* pool; < 0: unknown */
	uint64_t metadata_bytes; /* pool */
	uint64_t chunk_bytes;    /* pool */
	bool monitored;          /* pool: by dmeventd */
	uint64_t transaction_id; /* pool: the last; thin: the one before that which makes it */
	uint64_t thin_id;        /* thin */
	char *profile;           /* of its metadata, or NULL */
	char *health;            /* "" when well; else lvm's words: "failed", "out_of_data" */
};

struct lvm_vg {
	char *name, *uuid;
	struct strv tags, pvs;
	uint64_t size_bytes, free_bytes, extent_bytes;
	bool partial; /* a physical volume is missing */
};

struct lvm_report {
	struct lvm_vg *vgs;
	size_t vg_count;
	struct lvm_lv *lvs; /* without hidden ones */
	size_t lv_count;
};

void lvm_report_fini(struct lvm_report *r);
#define autolvmreport auto_with(lvm_report_fini) struct lvm_report

/* Of this machine.  out starts zeroed.  -ENOENT: no lvm2 here. */
int lvm_report(struct lvm_report *out, struct err *e) MUST_CHECK;

/* The node's own: by tag, NULL when there is none (or, for the group, more than one). */
const struct lvm_vg *lvm_node_vg(const struct lvm_report *r);
const struct lvm_lv *lvm_node_pool(const struct lvm_report *r);
/* By tag and name, in the node's group. */
const struct lvm_lv *lvm_find(const struct lvm_report *r, const char *tag, const char *name);
bool lvm_has_tag(const struct strv *tags, const char *tag);
/* What follows the prefix in the tag that has it, or NULL. */
const char *lvm_tag_value(const struct strv *tags, const char *prefix);

/* Run "lvm ARGS... NULL"; its last words are in the error. */
int lvm_run(struct err *e, ...) MUST_CHECK __attribute__((sentinel));
/*
 * What is on this machine's disks, not what a devices file of another life says.  And a thin pool may have
 * blocks that nothing uses, see docs/upgrade.md: what is damaged is refused all the same.
 */
#define LVM_CONFIG                                                                                 \
	"devices{use_devicesfile=0} "                                                              \
	"global{thin_check_options=[\"-q\",\"--ignore-non-fatal-errors\"]}"
/* The same from a list.  "--config=..." among them takes the place of LVM_CONFIG. */
int lvm_run_args(const struct strv *args, struct err *e) MUST_CHECK;

/* Whether lvm(8) takes it as the name of a group or volume, or as a tag. */
bool lvm_name_ok(const char *name);
bool lvm_tag_ok(const char *tag);
