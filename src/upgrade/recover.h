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

/* What of /boot is named like a layer and is no entry that can be read. */
struct boot_folders {
	struct strv bare; /* nothing in them but what an entry is made of, without bedplate.cfg */
	struct strv
		unread; /* with a bedplate.cfg that says nothing to us: their layers are not judged */
};

void boot_folders_fini(struct boot_folders *f);
#define autobootfolders auto_with(boot_folders_fini) struct boot_folders

/* j may be NULL. */
void recover_plan(const struct site *s, const struct journal *j, const struct history *h,
	const struct boot_folders *folders, struct mend_plan *out);
/* keep images, of each of them at most keep layers, and what must stay. */
void gc_plan(const struct site *s, const struct journal *j, unsigned keep,
	const struct boot_folders *folders, struct mend_plan *out);

/* Gather and decide.  out starts zeroed. */
int recover_decide(const struct site *s, struct mend_plan *out, struct err *e) MUST_CHECK;
int gc_decide(const struct site *s, unsigned keep, struct mend_plan *out, struct err *e) MUST_CHECK;
/* "remove volume 'x': why".  The caller frees it. */
char *mend_action_text(const struct mend_action *a) MUST_CHECK;
const char *mend_kind_name(enum mend kind);
/*
 * Do it.  A volume that is in use is left, with a warning, when nothing else depends on it.  done (may
 * be NULL) gets a line for each action.
 */
int mend_carry_out(struct site *s, const struct mend_plan *plan, struct strv *done, struct err *e)
	MUST_CHECK;

/* Gather, decide, do.  done (may be NULL) gets a line for each action; dry_run: only that. */
int recover_run(struct site *s, bool dry_run, struct strv *done, struct err *e) MUST_CHECK;
int gc_run(struct site *s, unsigned keep, bool dry_run, struct strv *done, struct err *e)
	MUST_CHECK;
