/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/recover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/entry-manifest.h"
#include "node/state.h"
#include "storage/thin.h"
#include "upgrade/base-view.h"

static const char *const kinds[] = {
	[MEND_REMOVE_VOLUME] = "remove-volume",
	[MEND_REMOVE_ENTRY] = "remove-entry",
	[MEND_REMOVE_FOLDER] = "remove-folder",
	[MEND_SETTLE] = "settle",
	[MEND_END_TRIAL] = "end-trial",
	[MEND_CLEAR_JOURNAL] = "clear-journal",
};

const char *mend_kind_name(enum mend kind)
{
	return kinds[kind];
}

char *mend_action_text(const struct mend_action *a)
{
	static const char *const words[] = {
		[MEND_REMOVE_VOLUME] = "remove volume",
		[MEND_REMOVE_ENTRY] = "remove boot entry",
		[MEND_REMOVE_FOLDER] = "remove boot folder",
		[MEND_SETTLE] = "boot by default",
		[MEND_END_TRIAL] = "end the trial of",
		[MEND_CLEAR_JOURNAL] = "clear the journal",
	};

	if (!a->what)
		return xasprintf("%s: %s", words[a->kind], a->why);
	return xasprintf("%s '%s': %s", words[a->kind], a->what, a->why);
}

/* 1: nothing in it that boot_entry_write() has not put there.  0: something else. */
static int is_bare(int boot_fd, const char *name, struct err *e)
{
	static const char *const ours[] = {
		"bedplate.cfg.new",
		"initramfs.img",
		"vmlinuz",
		BOOT_MANIFEST,
		BOOT_MANIFEST_SIG,
		BOOT_MANIFEST ".new",
		BOOT_MANIFEST_SIG ".new",
	};
	autofree char *path = NULL;
	autostrv names = {0};
	autofd int fd = openat(boot_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0
							  : err_errno(e, "boot folder '%s'", name);
	path = xasprintf("/proc/self/fd/%d", fd);
	int r = file_list(path, &names, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			known = known || str_eq(names.items[i], ours[k]);
		if (!known)
			return 0;
	}
	return 1;
}

static bool has_config(int boot_fd, const char *name)
{
	autofree char *path = xasprintf("%s/bedplate.cfg", name);

	return faccessat(boot_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int look_at_folders(const struct site *s, struct boot_folders *out, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d", s->boot_fd);
	autostrv names = {0};
	int r = file_list(path, &names, e);

	for (size_t i = 0; r >= 0 && i < names.count; i++) {
		const char *name = names.items[i];

		if (node_base_len(name) == 0 || boot_entries_find(&s->entries, name))
			continue;
		if (has_config(s->boot_fd, name)) {
			strv_add(&out->unread, name);
			continue;
		}
		r = is_bare(s->boot_fd, name, e);
		if (r > 0)
			strv_add(&out->bare, name);
	}
	return r < 0 ? err_wrap(e, r, "boot volume") : 0;
}

int recover_decide(const struct site *s, struct mend_plan *out, struct err *e)
{
	autobootfolders folders = {0};
	autojournal j = {0};
	autohistory history = {0};
	int r = look_at_folders(s, &folders, e);

	if (r == 0)
		r = history_read(s->boot_fd, &history, e);
	if (r == 0)
		r = journal_read(s->boot_fd, &j, e);
	if (r < 0)
		return r;
	recover_plan(s, r > 0 ? &j : NULL, &history, &folders, out);
	return 0;
}

int gc_decide(const struct site *s, unsigned keep, struct mend_plan *out, struct err *e)
{
	autobootfolders folders = {0};
	autojournal j = {0};
	int r = look_at_folders(s, &folders, e);

	if (r == 0)
		r = journal_read(s->boot_fd, &j, e);
	if (r < 0)
		return r;
	gc_plan(s, r > 0 ? &j : NULL, keep, &folders, out);
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a && b && str_eq(a, b);
}

/* An operation that was cut off before it changed what boots. */
static int note_in_history(const struct site *s, const struct mend_action *a, struct err *e)
{
	autojournal j = {0};
	int r = journal_read(s->boot_fd, &j, e);

	if (r <= 0 || j.step == STEP_STAGED || j.step == STEP_TRIAL ||
		same(s->choice.trial, j.to) || same(s->choice.default_layer, j.to))
		return r < 0 ? r : 0;
	autofree char *operation = xstrdup(operation_name(j.operation));
	autofree char *why = xasprintf("%s, in step '%s'", a->why, step_name(j.step));
	const struct transition t = {.operation = operation,
		.from = j.from,
		.to = j.to,
		.result = (char[]){"recovered"},
		.why = why};
	return history_add(s->boot_fd, &t, e);
}

/* What boots by default has changed without anybody asking for it. */
static void note_settled(const struct site *s, const struct mend_action *a)
{
	autofree char *operation = xstrdup(operation_name(OPERATION_ROLLBACK));
	const struct transition t = {.operation = operation,
		.from = s->choice.default_layer,
		.to = a->what,
		.result = (char[]){"recovered"},
		.why = a->why};
	struct err e = {0};

	if (history_add(s->boot_fd, &t, &e) < 0)
		log_warning("history of the node: %s", e.msg);
}

static int do_one(const struct site *s, const struct mend_action *a, struct err *e)
{
	int r;

	switch (a->kind) {
	case MEND_REMOVE_VOLUME:
		return thin_remove(s->vg->name, a->what, e);
	case MEND_REMOVE_ENTRY:
	case MEND_REMOVE_FOLDER:
		return boot_entry_remove(s->boot_fd, a->what, e);
	case MEND_SETTLE:
		r = boot_choice_settle(s->boot_fd, a->what, e);
		if (r == 0)
			note_settled(s, a);
		return r;
	case MEND_END_TRIAL:
		return boot_choice_end_trial(s->boot_fd, e);
	case MEND_CLEAR_JOURNAL:
		r = note_in_history(s, a, e);
		return r < 0 ? r : journal_clear(s->boot_fd, e);
	}
	return 0;
}

/* Removing a base while its layer could not be removed would leave a layer without one. */
static bool can_wait(const struct site *s, const struct mend_action *a)
{
	for (size_t i = 0; i < s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->lvm.lvs[i];

		if (str_eq(lv->vg, s->vg->name) && str_eq(lv->name, a->what))
			return !lvm_has_tag(&lv->tags, LVM_TAG_LAYER) ||
				lvm_has_tag(&lv->tags, LVM_TAG_NEW);
	}
	return true;
}

/* A base that nothing runs from is active only as long as it is read. */
static void rest_bases(const struct site *s)
{
	for (size_t i = 0; i < s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->lvm.lvs[i];
		struct err e = {0};

		if (!lv->active || !str_eq(lv->vg, s->vg->name) ||
			!lvm_has_tag(&lv->tags, LVM_TAG_BASE) ||
			(s->running && str_eq(lv->name, s->base)))
			continue;
		autofree char *path = xasprintf("%s/%s", lv->vg, lv->name);
		if (lvm_run(&e, "lvchange", "--activate=n", path, NULL) < 0)
			log_debug("%s", e.msg);
	}
}

static bool removes_volumes(const struct mend_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->items[i].kind == MEND_REMOVE_VOLUME)
			return true;
	return false;
}

/* What was cut off may have been a change of the pool. */
static void settle_pool(const struct site *s)
{
	struct err e = {0};

	if (pool_settle(s->vg->name, s->pool->name, &e) < 0)
		log_warning("%s", e.msg);
}

int mend_carry_out(struct site *s, const struct mend_plan *plan, struct strv *done, struct err *e)
{
	const bool was_killed = base_view_drop_leftovers();

	if (was_killed)
		rest_bases(s);
	if (removes_volumes(plan))
		settle_pool(s);
	for (size_t i = 0; i < plan->count; i++) {
		const struct mend_action *a = &plan->items[i];
		autofree char *text = mend_action_text(a);
		struct err why = {0};
		int r = do_one(s, a, &why);

		if (r == -EBUSY && a->kind == MEND_REMOVE_VOLUME && can_wait(s, a)) {
			log_warning("%s; it stays until it is free: %s", text, why.msg);
			continue;
		}
		if (r < 0)
			return err_set(e, -r, "%s: %s", text, why.msg);
		log_info("%s", text);
		if (done)
			strv_add(done, text);
	}
	return was_killed || plan->count > 0 ? site_refresh(s, e) : 0;
}

static int run(struct site *s, const struct mend_plan *plan, bool dry_run, struct strv *done,
	struct err *e)
{
	if (!dry_run)
		return mend_carry_out(s, plan, done, e);
	for (size_t i = 0; done && i < plan->count; i++)
		strv_take(done, mend_action_text(&plan->items[i]));
	return 0;
}

int recover_run(struct site *s, bool dry_run, struct strv *done, struct err *e)
{
	automendplan plan = {0};
	int r = recover_decide(s, &plan, e);

	return r == 0 ? run(s, &plan, dry_run, done, e) : r;
}

int gc_run(struct site *s, unsigned keep, bool dry_run, struct strv *done, struct err *e)
{
	automendplan plan = {0};
	int r = gc_decide(s, keep, &plan, e);

	return r == 0 ? run(s, &plan, dry_run, done, e) : r;
}
