/* SPDX-License-Identifier: Apache-2.0 */
/* What adding and removing have in common.  Internal to hotadd/. */
#pragma once

#include "hotadd/delta.h"
#include "hotadd/hotadd.h"
#include "hotadd/transaction.h"
#include "plugin/install.h"
#include "plugin/policy.h"

#define RUN_STAMPS 9

struct run {
	const struct hotadd_site *site;
	struct plugin_records records;
	struct view view; /* of records and all that is asked of the system */
	/* None of these is its own.  manifest: of what is added; kept: what may be changed back. */
	struct plugin_policy *policy;
	const struct plugin_manifest *manifest;
	const struct undo_list *kept;
	struct stage stage;
	struct delta delta;
	struct hotadd_plan *plan;
	struct strv services; /* that an undo stops, or starts again */
	int log_fd, dpkg_fd, frontend_fd, accounts_fd;
	struct {
		bool there;
		uint64_t inode;
		int64_t changed_ns;
	} stamps[RUN_STAMPS]; /* of files that others change, too */
};

/* site and plan are set; takes dpkg's locks and notes the stamps. */
int run_begin(struct run *r, struct err *e) MUST_CHECK;
void run_fini(struct run *r);
#define autorun auto_with(run_fini) struct run

/* All that a manifest speaks of; before view_end(). */
int run_view(struct run *r, const struct plugin_manifest *m, struct err *e) MUST_CHECK;
/* Open the stage, and where in it packages go in and out. */
int run_open_stage(struct run *r, struct plugin_place *place, struct err *e) MUST_CHECK;
/* What the stage has changed, anew, and whether the plugin may. */
int run_judge(struct run *r, struct err *e) MUST_CHECK;
/* Bring it over.  The system is as before when it fails. */
int run_carry_out(struct run *r, const struct strv *packages, struct err *e) MUST_CHECK;
