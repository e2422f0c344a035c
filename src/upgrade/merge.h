/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator changed, carried over to another image: docs/merge.md.
 *
 * A 3-way merge per file of old base, upper half of the old layer, and new base; the result is the
 * upper half of the new layer.  All three are lists of files (base/tree.h), so the same code makes
 * the plan out of an image that is not installed yet, and the layer.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/tree.h"

enum merge_action {
	MERGE_KEPT,     /* the administrator's, the vendor has not touched it */
	MERGE_MERGED,   /* both changed it, and it went together */
	MERGE_CONFLICT, /* the administrator's stands, the vendor's lies beside it */
	MERGE_VENDOR,   /* the vendor's stands: what was changed is generated, or the same by now */
	MERGE_DROPPED,  /* was outside of what is carried over */
	MERGE_OWNER,    /* a file of the new image that gets the id this node knows its owner by */
};

struct merge_change {
	enum merge_action action;
	char *path;   /* "/etc/hosts" */
	char *why;    /* one line for people, or NULL */
	char *beside; /* MERGE_CONFLICT: where the vendor's file is, or NULL */
};

struct merge_report {
	struct merge_change *items; /* by path */
	size_t count;
};

void merge_report_fini(struct merge_report *r);
#define automergereport auto_with(merge_report_fini) struct merge_report

struct merge_trees {
	struct tree *old_base;
	struct tree *upper; /* as overlayfs keeps it: whiteouts, trusted.overlay.* */
	struct tree *new_base;
	/* Before so many bytes are written in all, of files without their holes; may be NULL. */
	int (*grow)(void *ctx, uint64_t bytes, struct err *e);
	void *ctx;
};

/*
 * out_fd is an empty folder on a file system that can be an overlay's upper half, -1: make the report
 * only.  Same input, same result.  Needs root unless out_fd is -1.  out starts zeroed.  -EBADMSG: a
 * tree cannot be read, or an account file makes no sense; -ENOSPC.
 */
int merge_layer(const struct merge_trees *t, int out_fd, struct merge_report *out,
	struct progress *p, struct err *e) MUST_CHECK;

/* "conflict" */
const char *merge_action_name(enum merge_action action);
/* A line a change, without MERGE_OWNER.  The caller frees it. */
char *merge_report_text(const struct merge_report *r) MUST_CHECK;
/* An array; docs/formats/upgrade.md.  The caller owns the reference. */
json_t *merge_report_json(const struct merge_report *r) MUST_CHECK;
