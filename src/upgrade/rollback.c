/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/rollback-target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/trial.h"
#include "upgrade/commit.h"
#include "upgrade/hooks.h"
#include "upgrade/open.h"
#include "upgrade/settings.h"
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

/* Settings that are wrong keep nobody from going back: what they say so far, or the defaults. */
static unsigned tries_of_trial(void)
{
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct settings settings = {.tries = TRIAL_TRIES};
	struct err e = {0};

	if (root_fd >= 0 && settings_read(root_fd, &settings, &e) < 0)
		log_warning("%s", e.msg);
	return settings.tries;
}

/* The layer that boots now is what is left when the trial comes to nothing. */
static int try_it(struct site *s, struct journal *j, struct err *e)
{
	struct err own = {0};

	note_health(s);
	int r = boot_choice_try(s->boot_fd, j->to, tries_of_trial(), e);
	if (r == 0 && step_begin(s, j, STEP_TRIAL, &own) < 0)
		log_warning("%s", own.msg);
	return r;
}

static int settle(struct site *s, const struct journal *j, struct err *e)
{
	int r = boot_choice_settle(s->boot_fd, j->to, e);

	return r == 0 && !j->var ? journal_clear(s->boot_fd, e) : r;
}

/*
 * A full /boot keeps nobody from going back for good: that is one write to a file that is there, and the
 * journal only tells of it.
 */
static int begin(struct site *s, struct journal *j, bool trial, struct err *e)
{
	int r = step_begin(s, j, STEP_COMMIT, e);

	if (r != -ENOSPC || trial || j->var)
		return r;
	log_warning("no journal: %s", e->msg);
	*e = (struct err){0};
	return 0;
}

static int go_back(struct site *s, struct journal *j, bool trial, struct err *e)
{
	/* With /var it is kept when the other one comes back, which is not before the restart. */
	const bool keeps = !j->var && j->snapshot;
	int r = begin(s, j, trial, e);

	if (r == 0 && keeps)
		keep_var(s, j);
	if (r == 0)
		r = trial ? try_it(s, j, e) : settle(s, j, e);
	if (r == 0)
		note_history(s, j, trial ? "trial" : "done", NULL, false);
	if (r == 0 && keeps)
		var_snapshot_drop_older(&s->lvm, s->vg->name, j->from, j->snapshot);
	return r;
}

struct decision {
	char *target;   /* layer */
	char *snapshot; /* of /var, that comes back; NULL: none */
	bool off;       /* a trial that waits does not come */
	bool trial;     /* the target was never found good */
};

static void decision_fini(struct decision *d)
{
	free(d->target);
	free(d->snapshot);
}

static int carry_out(
	struct site *s, const struct rollback_spec *spec, const struct decision *d, struct err *e)
{
	char *target = d->target;
	/* Refreshing the site takes its names with it. */
	autofree char *from = xstrdup(d->off ? s->choice.trial : s->layer);
	const char *plus = strrchr(target, '+');
	autofree char *base = plus ? xstrndup(target, (size_t)(plus - target)) : xstrdup(target);
	bool leaves = !d->off && !str_eq(from, target);
	autofree char *kept = leaves ? var_snapshot_name(&s->lvm, s->vg->name, from) : NULL;
	struct journal j = {
		.operation = OPERATION_ROLLBACK,
		.from = from,
		.to = target,
		.base = base,
		.var = spec->with_var,
		.snapshot = spec->with_var ? d->snapshot : kept,
		.started = time(NULL),
	};
	struct hook_event event = {.name = "pre-rollback", .from = j.from, .to = j.to};
	int r = hooks_run(&event, e);

	if (r == 0)
		r = drop_staged(s, NULL, e);
	if (r < 0)
		return r;
	interrupt_defer();
	r = d->off ? call_off(s, &j, e) : go_back(s, &j, d->trial, e);
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

static int decide_var(struct site *s, struct decision *d, struct err *e)
{
	if (d->off)
		return err_set(e, EINVAL,
			"'%s' has not booted, so /var is as it was: rollback without --with-var",
			s->choice.trial);
	/* When it fails there would be no way back to /var as it is now. */
	if (d->trial)
		return err_set(e, EINVAL,
			"'%s' was never found good, so it is tried first: rollback without --with-var",
			d->target);
	return find_var(s, d->target, &d->snapshot, e);
}

/* A rollback takes it away. */
static int check_not_staged(const struct site *s, const char *layer, struct err *e)
{
	autojournal j = {0};
	int r = journal_read(s->boot_fd, &j, e);

	if (r == 1 && j.step == STEP_STAGED && str_eq(j.to, layer))
		return err_set(
			e, EINVAL, "layer '%s' is staged: 'nodectl activate' makes it boot", layer);
	return MIN(r, 0);
}

static int decide(
	struct site *s, const struct rollback_spec *spec, struct decision *d, struct err *e)
{
	autohistory history = {0};
	int r = rollback_choose(s, spec, &d->target, e);

	if (r == 0)
		r = check_not_staged(s, d->target, e);
	if (r == 0)
		r = history_read(s->boot_fd, &history, e);
	if (r < 0)
		return r;
	d->off = !spec->to && rollback_waits(s);
	d->trial = !d->off && rollback_is_trial(s, &history, d->target);
	return spec->with_var ? decide_var(s, d, e) : 0;
}

int rollback_run(const struct rollback_spec *spec, char **layer, bool *trial, struct err *e)
{
	autosite s = {0};
	auto_with(decision_fini) struct decision d = {0};
	int r = spec->dry_run ? site_open(true, &s, e) : open_site_mended(&s, e);

	if (r == 0)
		r = decide(&s, spec, &d, e);
	if (r == 0 && !spec->dry_run)
		r = carry_out(&s, spec, &d, e);
	if (r < 0)
		return r;
	*layer = take_ptr(d.target);
	*trial = d.trial;
	return 0;
}
