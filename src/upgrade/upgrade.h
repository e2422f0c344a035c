/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that change what a node boots: docs/upgrade.md has the steps, nodectl-upgrade(1) the user's
 * view.  Each takes the lock, mends what was left behind, runs its hooks, and writes history. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "liveimg/get.h"
#include "upgrade/merge.h"
#include "upgrade/site.h"

struct upgrade_spec {
	struct liveimg_from from; /* folder and signature are seen to */
	bool plan_only, stage, yes;
	bool allow_downgrade, allow_other_name, allow_incompatible, allow_running_vms, retry_failed;
	struct strv
		drop_plugins; /* names of plugins that were added on the node, and stay behind */
};

enum carry_action {
	CARRY_OVER,
	CARRY_IN_IMAGE, /* the new image has one of this name */
	CARRY_DROPPED,
	CARRY_UNFIT, /* does not go into the new image */
};

/* A plugin that was added on this node. */
struct carry_item {
	enum carry_action action;
	char *name, *version;
	char *why;            /* CARRY_UNFIT: what is wrong; or NULL */
	uint64_t bytes;       /* that it may take in the new layer */
	struct strv packages; /* names of those that came with it */
};

struct carry_plan {
	struct carry_item *items; /* in the order in which they were added */
	size_t count;
};

/* Of a package; NULL: not there. */
struct package_change {
	char *name, *old_version, *new_version;
};

struct package_changes {
	struct package_change *items; /* by name */
	size_t count;
};

/* What will be, or was, done; docs/formats/upgrade.md. */
struct upgrade_plan {
	char *from, *to, *base; /* layers; base of "to" */
	char *old_name, *old_version, *new_name, *new_version;
	char *origin;
	char *signer;   /* NULL: none */
	char *replaces; /* a layer that was staged, and goes; NULL: none */
	bool already;   /* this image runs: there is nothing to do, "to" is NULL */
	bool base_is_there, measured;
	uint64_t image_bytes;
	uint64_t write_bytes; /* of the base; an upper bound unless measured */
	uint64_t pool_growth_bytes, pool_free_bytes;
	uint64_t metadata_growth_bytes, metadata_free_bytes;
	uint64_t boot_needed_bytes, boot_free_bytes;
	uint64_t var_needed_bytes, var_free_bytes; /* for what is downloaded; needs 0: nothing is */
	uint64_t seconds;                          /* on a slow machine; 0: not known */
	struct package_changes packages;           /* from image to image */
	struct strv lost_packages;                 /* added on this node, not in the new image */
	struct carry_plan plugins;                 /* that were added on this node */
	struct merge_report merge;
	struct strv
		problems; /* why it was refused; otherwise what would be in the way of its boot */
};

void upgrade_plan_fini(struct upgrade_plan *u);
#define autoupgradeplan auto_with(upgrade_plan_fini) struct upgrade_plan

/*
 * out: the plan, filled as far as it got.  -ECANCELED: neither plan_only nor yes; -EPERM: there are
 * problems, all of them in the plan.  A failure takes everything back.
 */
int upgrade_run(const struct upgrade_spec *spec, struct upgrade_plan *out, struct progress *p,
	struct err *e) MUST_CHECK;
/* For people, with a newline at the end of each line.  The caller frees it. */
char *upgrade_plan_text(const struct upgrade_plan *u) MUST_CHECK;
/* The caller owns the reference. */
json_t *upgrade_plan_json(const struct upgrade_plan *u) MUST_CHECK;

struct activate_spec {
	bool allow_running_vms;
	struct strv drop_plugins; /* more of them than when it was staged */
};

/*
 * Merge once more what was staged, into the same layer, and commit it.  *layer: which, the caller's to
 * free.  -ENOENT: nothing is staged.  -EPERM: a plugin that was added since does not fit.
 */
int upgrade_activate(const struct activate_spec *spec, struct merge_report *report, char **layer,
	struct progress *p, struct err *e) MUST_CHECK;

struct rollback_spec {
	const char *to; /* NULL: the one that ran before */
	bool with_var;  /* also /var as it was when "to" was left */
	bool dry_run;
};

/* -EPERM: virtual machines run here, or libvirt does not say, and a restart would end them. */
int upgrade_check_restart(struct err *e) MUST_CHECK;

/* *layer: what boots next, the caller's to free; *trial: it was never found good, so it is tried. */
int rollback_run(const struct rollback_spec *spec, char **layer, bool *trial, struct err *e)
	MUST_CHECK;

/* A new layer on the running base without what was changed, but for the paths in keep. */
int factory_reset_run(const struct strv *keep, bool dry_run, char **layer, struct progress *p,
	struct err *e) MUST_CHECK;

/*
 * At each boot, before /var is mounted: finish a rollback with /var, take note of a trial that came to
 * nothing, mend what was cut off.  Never fails the boot: errors are logged.
 */
int upgrade_boot(struct err *e) MUST_CHECK;
/*
 * until, in seconds after power-on: so long is waited for the lock, which others hold for a moment or two.
 *
 * The running layer is good: default=LAYER, history, older images go.  1: it was the default already;
 * -EINVAL: it is not on trial.
 */
int upgrade_bless(uint64_t until, struct err *e) MUST_CHECK;
/* It is not: back to the layer before it at the next boot.  -EINVAL: it is not on trial. */
int upgrade_unbless(uint64_t until, const char *why, struct err *e) MUST_CHECK;
