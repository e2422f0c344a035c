/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/commit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/trial.h"
#include "storage/thin.h"
#include "upgrade/health.h"
#include "upgrade/var-snapshot.h"

int step_begin(struct site *s, struct journal *j, enum step step, struct err *e)
{
	int r = interrupt_check(e);

	j->step = step;
	return r == 0 ? journal_write(s->boot_fd, j, e) : r;
}

/* struct transition owns its text, this one only borrows it. */
static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void add_history(const struct site *s, const struct journal *j, struct transition t)
{
	struct err e = {0};

	t.operation = borrow(operation_name(j->operation));
	t.from = j->from;
	t.to = j->to;
	if (history_add(s->boot_fd, &t, &e) < 0)
		log_warning("history of the node: %s", e.msg);
}

void note_history(const struct site *s, const struct journal *j, const char *result,
	const char *signer, bool is_unsigned)
{
	add_history(s, j,
		(struct transition){.result = borrow(result),
			.signer = borrow(signer),
			.is_unsigned = is_unsigned});
}

void note_end(const struct site *s, const struct journal *j, const char *result, const char *why)
{
	add_history(s, j, (struct transition){.result = borrow(result), .why = borrow(why)});
}

void note_health(const struct site *s)
{
	struct err e = {0};

	if (!s->running)
		return;
	if (health_note_network(&e) < 0)
		log_warning("%s", e.msg);
	if (health_note_units(&e) < 0)
		log_warning("%s", e.msg);
}

static bool done(int r, const char *what, const struct err *e)
{
	if (r < 0)
		log_warning("'%s' stays until 'nodectl recover': %s", what, e->msg);
	return r == 0;
}

static void end_trial(struct site *s, const char *layer)
{
	autobootchoice choice = {0};
	struct err e = {0};
	int r = boot_choice_read(s->boot_fd, &choice, &e);

	if (r == 0 && choice.trial && str_eq(choice.trial, layer))
		r = boot_choice_end_trial(s->boot_fd, &e);
	done(r, "the trial in grubenv", &e);
}

static bool remove_volume(const struct site *s, const char *name)
{
	struct err e = {0};
	int r = thin_remove(s->vg->name, name, &e);

	/* Somebody else's volume, which was in the way. */
	return r == -EPERM || done(r, name, &e);
}

/* Whether grubenv was written when that failed is not known. */
static void undo(struct site *s, const struct journal *j)
{
	interrupt_defer();
	end_trial(s, j->to);
	if (j->snapshot)
		remove_volume(s, j->snapshot);
	interrupt_resume();
}

static int prepare(struct site *s, const struct journal *j, struct err *e)
{
	const struct lvm_lv *var = var_volume(&s->lvm, s->vg->name);
	int r = var ? var_snapshot_take(var, j->from, j->snapshot, e) : 0;

	if (r == 0)
		r = pool_verify(s->vg->name, s->pool->name, e);
	return r == 0 ? interrupt_check(e) : r;
}

int commit_run(const struct commit *c, struct err *e)
{
	struct site *s = c->site;
	struct journal *j = c->journal;
	struct err own = {0};

	free(j->snapshot);
	j->snapshot = var_snapshot_name(&s->lvm, s->vg->name, j->from);
	int r = step_begin(s, j, STEP_COMMIT, e);
	if (r < 0)
		return r;
	note_health(s);
	r = prepare(s, j, e);
	interrupt_defer();
	if (r == 0)
		r = boot_choice_try(s->boot_fd, j->to, c->tries, e);
	if (r < 0)
		undo(s, j);
	else if (step_begin(s, j, STEP_TRIAL, &own) < 0)
		log_warning("%s", own.msg);
	if (r == 0) {
		note_history(s, j, "trial", c->signer, c->is_unsigned);
		/* The report is of before the one that was just taken. */
		var_snapshot_drop_older(&s->lvm, s->vg->name, j->from, "");
	}
	interrupt_resume();
	return r < 0 ? err_wrap(e, r, "commit") : 0;
}

void take_back(struct site *s, const struct journal *j)
{
	autofree char *merge = xasprintf("%s.merge", j->from);
	struct err e = {0};

	interrupt_defer();
	bool all = done(boot_entry_remove(s->boot_fd, j->to, &e), j->to, &e);
	/* The youngest first: after a power cut LVM may not have noted it yet, see pool_settle(). */
	all = remove_volume(s, merge) && all;
	all = remove_volume(s, j->to) && all;
	if (j->new_base)
		all = remove_volume(s, j->base) && all;
	/* What is left is in it. */
	if (all && journal_clear(s->boot_fd, &e) < 0)
		log_warning("%s", e.msg);
	interrupt_resume();
}

int drop_staged(struct site *s, const char *keep_base, struct err *e)
{
	autojournal j = {0};
	int r = journal_read(s->boot_fd, &j, e);

	if (r <= 0 || j.step != STEP_STAGED)
		return MIN(r, 0);
	if (keep_base && str_eq(j.base, keep_base))
		j.new_base = false;
	log_warning("layer '%s', which was staged, is removed", j.to);
	take_back(s, &j);
	note_end(s, &j, "dropped", "another operation began");
	return site_refresh(s, e);
}
