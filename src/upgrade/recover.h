/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bring a node to a consistent state, whatever an operation that was cut off left behind; and
 * remove what is older than what is kept.
 *
 * The decision is a function of the state alone; carrying it out can be cut off and done again.
 * Nothing foreign is in any decision: volumes without our tags, folders and entries of others.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "boot/records.h"
#include "upgrade/site.h"

enum mend {
	MEND_REMOVE_VOLUME, /* what: name of the LV */
	MEND_REMOVE_ENTRY,  /* what: layer */
	MEND_REMOVE_FOLDER, /* what: layer's folder of /boot without a bedplate.cfg */
	MEND_SETTLE,        /* what: layer that becomes the default, no trial */
	MEND_END_TRIAL,     /* what: the trial that can no longer be */
	MEND_CLEAR_JOURNAL,
};

struct mend_action {
	enum mend kind;
	char *what, *why;
};

struct mend_plan {
	struct mend_action *items; /* in the order in which they are carried out */
	size_t count;
};

void mend_plan_fini(struct mend_plan *m);
#define automendplan auto_with(mend_plan_fini) struct mend_plan

/* folders: of /boot that are named like layers and have no entry.  running: the running layer or NULL. */
void recover_plan(const struct site *s, const struct journal *j, const struct strv *folders,
	struct mend_plan *out);
/* Bases, layers, entries and snapshots beyond `keep` images; never running, default, trial, staged. */
void gc_plan(const struct site *s, const struct journal *j, unsigned keep, struct mend_plan *out);

/* Gather, decide, do.  done (may be NULL) gets a line for each action; dry_run: only that. */
int recover_run(struct site *s, bool dry_run, struct strv *done, struct err *e) MUST_CHECK;
int gc_run(struct site *s, unsigned keep, bool dry_run, struct strv *done, struct err *e)
	MUST_CHECK;
