/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/rollback-target.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/trial.h"
#include "upgrade/commit.h"
#include "upgrade/hooks.h"
#include "upgrade/open.h"
#include "upgrade/upgrade.h"
#include "upgrade/var-snapshot.h"

static int find_var(const struct site *s, const char *layer, char **snapshot, struct err *e)
{
	const struct lvm_lv *lv = var_snapshot_find(&s->lvm, s->vg->name, layer, NULL);

	if (lv) {
		*snapshot = xstrdup(lv->name);
		return 0;
	}
	return err_set(e, ENOENT,
		"there is no /var as it was when '%s' was left: rollback without --with-var",
		layer);
}

/* The layer that was about to be tried stays, and is removed with the others that are too old. */
static int call_off(struct site *s, const struct journal *j, struct err *e)
{
	int r = boot_choice_end_trial(s->boot_fd, e);

	if (r == 0)
		r = journal_clear(s->boot_fd, e);
	if (r == 0)
		note_history(s, j, "done", NULL, false);
	return r;
}

/*
 * /var as this layer leaves it, to come forward again.  Whoever goes back needs that layer more than this:
 * what fails is a warning.
 */
static void keep_var(struct site *s, const struct journal *j)
{
	const struct lvm_lv *var = var_volume(&s->lvm, s->vg->name);
	struct err e = {0};

	if (var && var_snapshot_take(var, j->from, j->snapshot, &e) < 0)
		log_warning("no way back to /var as it is now: %s", e.msg);
}

static int go_back(struct site *s, struct journal *j, struct err *e)
{
	/* With /var it is kept when the other one comes back, which is not before the restart. */
	const bool keeps = !j->var && j->snapshot;
	int r = step_begin(s, j, STEP_COMMIT, e);

	if (r == 0 && keeps)
		keep_var(s, j);
	if (r == 0)
		r = boot_choice_settle(s->boot_fd, j->to, e);
	if (r == 0 && !j->var)
		r = journal_clear(s->boot_fd, e);
	if (r == 0)
		note_history(s, j, "done", NULL, false);
	if (r == 0 && keeps)
		var_snapshot_drop_older(&s->lvm, s->vg->name, j->from, j->snapshot);
	return r;
}

/* snapshot: of /var, that comes back; NULL: none. */
static int carry_out(struct site *s, const struct rollback_spec *spec, char *target, char *snapshot,
	struct err *e)
{
	bool off = !spec->to && rollback_waits(s);
	/* Refreshing the site takes its names with it. */
	autofree char *from = xstrdup(off ? s->choice.trial : s->layer);
	const char *plus = strrchr(target, '+');
	autofree char *base = plus ? xstrndup(target, (size_t)(plus - target)) : xstrdup(target);
	bool leaves = !off && !str_eq(from, target);
	autofree char *kept = leaves ? var_snapshot_name(&s->lvm, s->vg->name, from) : NULL;
	struct journal j = {
		.operation = OPERATION_ROLLBACK,
		.from = from,
		.to = target,
		.base = base,
		.var = spec->with_var,
		.snapshot = spec->with_var ? snapshot : kept,
		.started = time(NULL),
	};
	struct hook_event event = {.name = "pre-rollback", .from = j.from, .to = j.to};
	int r = hooks_run(&event, e);

	if (r == 0)
		r = drop_staged(s, NULL, e);
	if (r < 0)
		return r;
	interrupt_defer();
	r = off ? call_off(s, &j, e) : go_back(s, &j, e);
	interrupt_resume();
	if (r < 0) {
		note_end(s, &j, "undone", e->msg);
		return r;
	}
	event.name = "post-rollback";
	struct err own = {0};
	if (hooks_run(&event, &own) < 0)
		log_warning("%s", own.msg);
	return 0;
}

int rollback_run(const struct rollback_spec *spec, char **layer, struct err *e)
{
	autosite s = {0};
	autofree char *target = NULL, *snapshot = NULL;
	int r = spec->dry_run ? site_open(true, &s, e) : open_site_mended(&s, e);

	if (r == 0)
		r = rollback_choose(&s, spec, &target, e);
	if (r < 0)
		return r;
	if (spec->with_var && !spec->to && rollback_waits(&s))
		r = err_set(e, EINVAL,
			"'%s' has not booted, so /var is as it was: rollback without --with-var",
			s.choice.trial);
	else if (spec->with_var)
		r = find_var(&s, target, &snapshot, e);
	if (r == 0 && !spec->dry_run)
		r = carry_out(&s, spec, target, snapshot, e);
	if (r == 0)
		*layer = take_ptr(target);
	return r;
}
