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

/* Chosen, and not booted yet: this system runs from what it would replace. */
static bool trial_is_waiting(const struct site *s)
{
	return s->choice.trial && !str_eq(s->choice.trial, s->layer);
}

static int check_var(const struct site *s, const char *layer, struct err *e)
{
	if (var_snapshot_find(&s->lvm, s->vg->name, layer, NULL))
		return 0;
	return err_set(e, ENOENT,
		"there is no /var as it was when '%s' was left: rollback without --with-var",
		layer);
}

static int choose(
	const struct site *s, const struct rollback_spec *spec, char **layer, struct err *e)
{
	autohistory history = {0};
	const char *target = spec->to;
	int r;

	if (!target && trial_is_waiting(s)) {
		*layer = xstrdup(s->choice.default_layer ? s->choice.default_layer : s->layer);
		return 0;
	}
	r = target ? rollback_check(s, target, e) : history_read(s->boot_fd, &history, e);
	if (r == 0 && !target)
		r = rollback_target(s, &history, &target, e);
	if (r == 0 && !s->choice.trial && s->choice.default_layer &&
		str_eq(s->choice.default_layer, target))
		r = err_set(e, EALREADY, "layer '%s' boots by default already", target);
	if (r == 0)
		*layer = xstrdup(target);
	return r;
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

static int go_back(struct site *s, struct journal *j, struct err *e)
{
	int r = step_begin(s, j, STEP_COMMIT, e);

	if (r == 0)
		r = boot_choice_settle(s->boot_fd, j->to, e);
	if (r == 0 && !j->var)
		r = journal_clear(s->boot_fd, e);
	if (r == 0)
		note_history(s, j, "done", NULL, false);
	return r;
}

static int carry_out(struct site *s, const struct rollback_spec *spec, char *target, struct err *e)
{
	bool off = !spec->to && trial_is_waiting(s);
	/* Refreshing the site takes its names with it. */
	autofree char *from = xstrdup(off ? s->choice.trial : s->layer);
	const char *plus = strrchr(target, '+');
	autofree char *base = plus ? xstrndup(target, (size_t)(plus - target)) : xstrdup(target);
	struct journal j = {
		.operation = OPERATION_ROLLBACK,
		.from = from,
		.to = target,
		.base = base,
		.var = spec->with_var,
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
	if (r < 0)
		return r;
	event.name = "post-rollback";
	struct err own = {0};
	if (hooks_run(&event, &own) < 0)
		log_warning("%s", own.msg);
	return 0;
}

int rollback_run(const struct rollback_spec *spec, char **layer, struct err *e)
{
	autosite s = {0};
	autofree char *target = NULL;
	int r = spec->dry_run ? site_open(true, &s, e) : open_site_mended(&s, e);

	if (r == 0)
		r = choose(&s, spec, &target, e);
	if (r < 0)
		return r;
	if (spec->with_var && !spec->to && trial_is_waiting(&s))
		r = err_set(e, EINVAL,
			"'%s' has not booted, so /var is as it was: rollback without --with-var",
			s.choice.trial);
	else if (spec->with_var)
		r = check_var(&s, target, e);
	if (r == 0 && !spec->dry_run)
		r = carry_out(&s, spec, target, e);
	if (r == 0)
		*layer = take_ptr(target);
	return r;
}
