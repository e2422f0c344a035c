/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state that an operation can be cut off in, and many that nothing leads to: what recovery plans
 * is done to a model, wholly and cut off after each action, and the result has to be consistent.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "folder.h"
#include "node/state.h"
#include "site-scene.h"
#include "upgrade/newest.h"
#include "upgrade/recover.h"

#define OLD      "n-1+1"
#define OLD_BASE "n-1"
#define NEW      "n-2+1"
#define NEW_BASE "n-2"
#define GONE     "n-9+1"

enum old_state { OLD_WHOLE, OLD_NO_BASE, OLD_NO_LAYER, OLD_NO_ENTRY, OLD_NO_KERNEL, OLD_STATES };
enum volume_state { VOLUME_NONE, VOLUME_NEW, VOLUME_DONE, VOLUME_STATES };
enum boot_state { BOOT_NONE, BOOT_BARE, BOOT_UNREAD, BOOT_NO_KERNEL, BOOT_WHOLE, BOOT_STATES };
enum snapshot_state {
	SNAPSHOT_NONE,
	SNAPSHOT_OF_OLD,
	SNAPSHOT_TWICE,
	SNAPSHOT_MIXED,
	SNAPSHOT_STATES
};
enum running_state { RUNS_NONE, RUNS_OLD, RUNS_NEW, RUNS_STATES };

static const char *const defaults[] = {NULL, OLD, NEW, GONE};
static const struct {
	const char *name;
	unsigned tries;
} trials[] = {{NULL, 0}, {NEW, 3}, {NEW, 0}, {GONE, 2}};

static const struct {
	bool there;
	enum operation operation;
	enum step step;
	bool backwards, var; /* from new to old */
	const char *snapshot;
} journals[] = {
	{false},
	{true, OPERATION_UPGRADE, STEP_BASE, false, false},
	{true, OPERATION_UPGRADE, STEP_LAYER, false, false},
	{true, OPERATION_UPGRADE, STEP_BOOT, false, false},
	{true, OPERATION_UPGRADE, STEP_STAGED, false, false},
	{true, OPERATION_UPGRADE, STEP_COMMIT, false, false, "var." OLD},
	{true, OPERATION_UPGRADE, STEP_COMMIT, false, false, "var." OLD ".2"},
	{true, OPERATION_UPGRADE, STEP_TRIAL, false, false, "var." OLD ".2"},
	{true, OPERATION_ROLLBACK, STEP_COMMIT, true, true},
	{true, OPERATION_ROLLBACK, STEP_COMMIT, true, true, "var." OLD},
	{true, OPERATION_ROLLBACK, STEP_TRIAL, true, false},
	{true, OPERATION_ROLLBACK, STEP_COMMIT, false, false, "var." OLD ".2"},
	{true, OPERATION_ROLLBACK, STEP_TRIAL, false, false, "var." OLD ".2"},
};

/* What became of the new layer, out of the old one; before that of the old one, out of the spare. */
static const char *const histories[] = {NULL, "", "staged", "blessed", "failed"};

struct choice {
	size_t old, base, layer, boot, snapshot, journal, chosen, trial, running, spare, history;
};

static const size_t sizes[] = {OLD_STATES, VOLUME_STATES, VOLUME_STATES, BOOT_STATES,
	SNAPSHOT_STATES, ARRAY_LEN(journals), ARRAY_LEN(defaults), ARRAY_LEN(trials), RUNS_STATES,
	2, ARRAY_LEN(histories)};

static struct choice choice_of(size_t index)
{
	size_t digit[ARRAY_LEN(sizes)];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		digit[i] = index % sizes[i];
		index /= sizes[i];
	}
	return (struct choice){digit[0], digit[1], digit[2], digit[3], digit[4], digit[5], digit[6],
		digit[7], digit[8], digit[9], digit[10]};
}

struct model {
	struct site s;
	struct boot_folders folders;
	struct journal j;
	bool has_journal;
	struct transition lines[2];
	struct history h;
};

static void model_fini(struct model *m)
{
	site_fini(&m->s);
	boot_folders_fini(&m->folders);
	journal_fini(&m->j);
}
#define automodel auto_with(model_fini) struct model

static void lack_kernel(struct model *m)
{
	m->s.entries.items[m->s.entries.count - 1].missing = xstrdup("x/vmlinuz");
}

/* What is not ours: in our group without our tags, and in another group with all of them. */
static void add_foreign(struct model *m)
{
	scene_add_lv(&m->s, "guest", "somebody");
	scene_add_lv(&m->s, "n-3+1", "");
	static const char *const tags[] = {
		LVM_TAG_NEW, LVM_TAG_BASE, LVM_TAG_LAYER, LVM_TAG_SNAPSHOT " bedplate:of:" GONE};
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		autofree char *name = xasprintf("n-4+%zu", i + 1);
		struct lvm_lv *lv = scene_add_lv(&m->s, name, tags[i]);

		free(lv->vg);
		lv->vg = xstrdup("other");
	}
	scene_add_lv(&m->s, "var", LVM_TAG_VOLUME " bedplate:mount:/var");
}

static void add_old(struct model *m, enum old_state state)
{
	if (state != OLD_NO_BASE)
		scene_add_lv(&m->s, OLD_BASE, LVM_TAG_BASE);
	if (state != OLD_NO_LAYER)
		scene_add_lv(&m->s, OLD, LVM_TAG_LAYER);
	if (state != OLD_NO_ENTRY)
		scene_add_entry(&m->s, OLD);
	if (state == OLD_NO_KERNEL)
		lack_kernel(m);
}

static void add_new(struct model *m, const struct choice *c)
{
	if (c->base != VOLUME_NONE)
		scene_add_lv(&m->s, NEW_BASE, c->base == VOLUME_NEW ? LVM_TAG_NEW : LVM_TAG_BASE);
	if (c->layer != VOLUME_NONE)
		scene_add_lv(&m->s, NEW, c->layer == VOLUME_NEW ? LVM_TAG_NEW : LVM_TAG_LAYER);
	if (c->layer == VOLUME_NEW)
		scene_add_lv(&m->s, OLD ".merge", LVM_TAG_NEW);
	if (c->boot == BOOT_BARE)
		strv_add(&m->folders.bare, NEW);
	if (c->boot == BOOT_UNREAD)
		strv_add(&m->folders.unread, NEW);
	if (c->boot == BOOT_NO_KERNEL || c->boot == BOOT_WHOLE)
		scene_add_entry(&m->s, NEW);
	if (c->boot == BOOT_NO_KERNEL)
		lack_kernel(m);
}

static void add_snapshots(struct model *m, enum snapshot_state state)
{
	if (state == SNAPSHOT_NONE)
		return;
	scene_add_lv(&m->s, "var." OLD, LVM_TAG_SNAPSHOT " bedplate:mount:/var bedplate:of:" OLD);
	if (state == SNAPSHOT_OF_OLD)
		return;
	if (state == SNAPSHOT_TWICE) {
		scene_add_lv(&m->s, "var." OLD ".2",
			LVM_TAG_SNAPSHOT " bedplate:mount:/var bedplate:of:" OLD);
		return;
	}
	scene_add_lv(&m->s, "var." NEW, LVM_TAG_SNAPSHOT " bedplate:mount:/var bedplate:of:" NEW);
	scene_add_lv(&m->s, "var." GONE, LVM_TAG_SNAPSHOT " bedplate:mount:/var bedplate:of:" GONE);
	scene_add_lv(&m->s, "log." OLD, LVM_TAG_NEW);
}

static void set_running(struct model *m, const char *layer)
{
	free(m->s.layer);
	m->s.layer = layer ? xstrdup(layer) : NULL;
	m->s.running = layer != NULL;
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* Lines borrow their texts. */
static struct transition line(const char *from, const char *to, const char *result)
{
	static char upgrade[] = "upgrade";

	return (struct transition){.operation = upgrade,
		.from = (char *)(uintptr_t)from,
		.to = (char *)(uintptr_t)to,
		.result = (char *)(uintptr_t)result};
}

static void add_history(struct model *m, const char *result)
{
	if (!result)
		return;
	m->lines[m->h.count++] = line("n-0+1", OLD, "blessed");
	if (*result)
		m->lines[m->h.count++] = line(OLD, NEW, result);
	m->h.items = m->lines;
}

static void build(const struct choice *c, struct model *m)
{
	*m = (struct model){0};
	add_history(m, histories[c->history]);
	scene_begin(&m->s);
	add_foreign(m);
	/* In no order that helps. */
	if (c->trial % 2)
		add_new(m, c);
	if (c->spare) {
		scene_add_lv(&m->s, "n-0", LVM_TAG_BASE);
		scene_add_lv(&m->s, "n-0+1", LVM_TAG_LAYER);
		scene_add_entry(&m->s, "n-0+1");
	}
	add_old(m, (enum old_state)c->old);
	if (c->trial % 2 == 0)
		add_new(m, c);
	add_snapshots(m, (enum snapshot_state)c->snapshot);
	m->s.choice.default_layer = copy(defaults[c->chosen]);
	m->s.choice.trial = copy(trials[c->trial].name);
	m->s.choice.tries = trials[c->trial].tries;
	set_running(m, c->running == RUNS_NONE ? NULL : c->running == RUNS_OLD ? OLD : NEW);
	m->has_journal = journals[c->journal].there;
	if (!m->has_journal)
		return;
	bool backwards = journals[c->journal].backwards;
	m->j = (struct journal){.operation = journals[c->journal].operation,
		.step = journals[c->journal].step,
		.from = xstrdup(backwards ? NEW : OLD),
		.to = xstrdup(backwards ? OLD : NEW),
		.base = xstrdup(backwards ? OLD_BASE : NEW_BASE),
		.new_base = !backwards,
		.var = journals[c->journal].var,
		.snapshot = copy(journals[c->journal].snapshot)};
}

static struct lvm_lv *find_lv(struct model *m, const char *name)
{
	for (size_t i = 0; i < m->s.lvm.lv_count; i++)
		if (str_eq(m->s.lvm.lvs[i].vg, SCENE_VG) && str_eq(m->s.lvm.lvs[i].name, name))
			return &m->s.lvm.lvs[i];
	return NULL;
}

/* ---- what goes wrong is told with the state it went wrong in ---- */

static size_t current;
static int cut_at = -1;

static void show_plan(const struct mend_plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		autofree char *text = mend_action_text(&p->items[i]);

		fprintf(stderr, "  %s\n", text);
	}
}

static void require_that(bool right, const char *what, const char *name)
{
	if (right)
		return;
	struct choice c = choice_of(current);
	automodel m = {0};
	automendplan p = {0};

	build(&c, &m);
	recover_plan(&m.s, m.has_journal ? &m.j : NULL, &m.h, &m.folders, &p);
	show_plan(&p);
	fail_msg("%s '%s': old %zu, new base %zu layer %zu boot %zu, snapshots %zu, journal %zu, "
		 "default %s, trial %s %u, running %s, spare %zu, history %zu, cut %d",
		what, name ? name : "-", c.old, c.base, c.layer, c.boot, c.snapshot, c.journal,
		defaults[c.chosen] ? defaults[c.chosen] : "-",
		trials[c.trial].name ? trials[c.trial].name : "-", trials[c.trial].tries,
		m.s.layer ? m.s.layer : "-", c.spare, c.history, cut_at);
}

/* ---- actions ---- */

static void drop_lv(struct model *m, const char *name)
{
	struct lvm_report *r = &m->s.lvm;
	struct lvm_lv *lv = find_lv(m, name);

	require_that(lv != NULL, "no such volume", name);
	bool ours = lvm_has_tag(&lv->tags, LVM_TAG_NEW) || lvm_has_tag(&lv->tags, LVM_TAG_BASE) ||
		lvm_has_tag(&lv->tags, LVM_TAG_LAYER) || lvm_has_tag(&lv->tags, LVM_TAG_SNAPSHOT);
	require_that(ours, "a foreign volume is removed", name);
	free(lv->vg);
	free(lv->name);
	strv_fini(&lv->tags);
	*lv = r->lvs[--r->lv_count];
	m->s.pool = lvm_node_pool(r);
}

static void drop_entry(struct model *m, const char *layer)
{
	struct boot_entries *b = &m->s.entries;

	for (size_t i = 0; i < b->count; i++) {
		if (!str_eq(b->items[i].layer, layer))
			continue;
		boot_entry_fini(&b->items[i]);
		b->items[i] = b->items[--b->count];
		return;
	}
	require_that(false, "no such entry", layer);
}

static void drop_folder_of(struct model *m, const char *layer)
{
	require_that(strv_has(&m->folders.bare, layer), "no such folder", layer);
	strv_fini(&m->folders.bare);
	m->folders.bare = (struct strv){0};
}

static void apply(struct model *m, const struct mend_action *a)
{
	struct boot_choice *c = &m->s.choice;

	switch (a->kind) {
	case MEND_REMOVE_VOLUME:
		drop_lv(m, a->what);
		break;
	case MEND_REMOVE_ENTRY:
		drop_entry(m, a->what);
		break;
	case MEND_REMOVE_FOLDER:
		drop_folder_of(m, a->what);
		break;
	case MEND_SETTLE:
		require_that(site_bootable(&m->s, a->what), "settled on", a->what);
		free(c->default_layer);
		c->default_layer = xstrdup(a->what);
		__attribute__((fallthrough));
	case MEND_END_TRIAL:
		free(c->trial);
		c->trial = NULL;
		c->tries = 0;
		break;
	case MEND_CLEAR_JOURNAL:
		require_that(m->has_journal, "no journal", NULL);
		m->has_journal = false;
		break;
	}
}

static void plan(const struct model *m, struct mend_plan *out)
{
	recover_plan(&m->s, m->has_journal ? &m->j : NULL, &m->h, &m->folders, out);
}

static void recover(struct model *m)
{
	automendplan p = {0};

	plan(m, &p);
	for (size_t i = 0; i < p.count; i++)
		apply(m, &p.items[i]);
}

/* ---- what has to hold ---- */

static bool same(const char *a, const char *b)
{
	return a && b && str_eq(a, b);
}

static const char *running(const struct model *m)
{
	return m->s.running ? m->s.layer : NULL;
}

static bool has_layer_of(struct model *m, const char *base)
{
	for (size_t i = 0; i < m->s.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &m->s.lvm.lvs[i];

		if (str_eq(lv->vg, SCENE_VG) && lvm_has_tag(&lv->tags, LVM_TAG_LAYER) &&
			node_base_len(lv->name) == strlen(base) && str_starts(lv->name, base))
			return true;
	}
	return running(m) && str_starts(running(m), base) && running(m)[strlen(base)] == '+';
}

static void check_volumes(struct model *m)
{
	for (size_t i = 0; i < m->s.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &m->s.lvm.lvs[i];
		const char *of = lvm_tag_value(&lv->tags, LVM_TAG_OF);
		bool own = (running(m) && same(running(m), lv->name)) ||
			(running(m) && str_starts(running(m), lv->name) &&
				running(m)[strlen(lv->name)] == '+');

		if (!str_eq(lv->vg, SCENE_VG) || own)
			continue;
		require_that(!lvm_has_tag(&lv->tags, LVM_TAG_NEW), "not complete", lv->name);
		if (lvm_has_tag(&lv->tags, LVM_TAG_LAYER) &&
			!strv_has(&m->folders.unread, lv->name)) {
			require_that(site_has_base_of(&m->s, lv->name), "without base", lv->name);
			require_that(boot_entries_find(&m->s.entries, lv->name) != NULL,
				"without entry", lv->name);
		}
		if (lvm_has_tag(&lv->tags, LVM_TAG_BASE))
			require_that(has_layer_of(m, lv->name), "without layer", lv->name);
		if (lvm_has_tag(&lv->tags, LVM_TAG_SNAPSHOT) && !same(of, running(m)))
			require_that(find_lv(m, of) != NULL, "orphan snapshot", lv->name);
	}
}

static void check_boot(struct model *m)
{
	const struct boot_choice *c = &m->s.choice;

	require_that(c->default_layer && site_bootable(&m->s, c->default_layer),
		"default cannot be booted", c->default_layer);
	require_that(!c->trial || site_bootable(&m->s, c->trial) || same(c->trial, running(m)),
		"trial cannot be booted", c->trial);
	for (size_t i = 0; i < m->s.entries.count; i++) {
		const char *layer = m->s.entries.items[i].layer;

		require_that(same(layer, running(m)) ||
				(find_lv(m, layer) && site_has_base_of(&m->s, layer)),
			"entry of nothing", layer);
	}
	for (size_t i = 0; i < m->folders.bare.count; i++)
		require_that(same(m->folders.bare.items[i], running(m)), "bare folder",
			m->folders.bare.items[i]);
}

static void check_journal(struct model *m)
{
	const struct boot_choice *c = &m->s.choice;
	const struct journal *j = &m->j;

	if (!m->has_journal)
		return;
	require_that(same(c->trial, j->to) ||
			(j->step == STEP_STAGED && site_bootable(&m->s, j->to) &&
				!same(c->default_layer, j->to)) ||
			(j->operation == OPERATION_ROLLBACK && j->var &&
				same(c->default_layer, j->to)),
		"journal of what has ended", j->to);
}

/* Of what was there it is still there. */
static void check_kept(struct model *was, struct model *m, const char *layer)
{
	autofree char *base = xstrndup(layer, node_base_len(layer));

	require_that(!find_lv(was, layer) || find_lv(m, layer), "lost layer", layer);
	require_that(!find_lv(was, base) || find_lv(m, base), "lost base", layer);
	require_that(!boot_entries_find(&was->s.entries, layer) ||
			boot_entries_find(&m->s.entries, layer),
		"lost entry", layer);
}

static bool is_hopeless(const struct model *m)
{
	return !site_best(&m->s, &m->h, NULL);
}

static void check_untouched(struct model *was, struct model *m)
{
	static const char *const tags[] = {LVM_TAG_BASE, LVM_TAG_LAYER, LVM_TAG_SNAPSHOT};

	for (size_t i = 0; i < was->s.lvm.lv_count; i++)
		for (size_t k = 0; k < ARRAY_LEN(tags); k++)
			if (str_eq(was->s.lvm.lvs[i].vg, SCENE_VG) &&
				lvm_has_tag(&was->s.lvm.lvs[i].tags, tags[k]))
				require_that(find_lv(m, was->s.lvm.lvs[i].name) != NULL,
					"the last hope is lost", was->s.lvm.lvs[i].name);
	require_that(was->s.entries.count == m->s.entries.count, "lost entries", NULL);
}

/* What was the default once goes before what was not, and what runs before all. */
static void check_settled(struct model *was, struct model *m)
{
	static const char *const good[] = {"n-0+1", OLD, NEW};
	const char *chosen = m->s.choice.default_layer;
	bool any = false, is_good = false;

	if (running(was) && site_bootable(&was->s, running(was))) {
		require_that(same(chosen, running(was)), "not what runs", chosen);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		bool was_good = str_eq(good[i], NEW)
			? was->h.count > 1 && str_eq(was->h.items[1].result, "blessed") &&
				!site_unfinished(&was->s, was->has_journal ? &was->j : NULL)
			: was->h.count > 0;

		any = any || (was_good && site_bootable(&was->s, good[i]));
		is_good = is_good || (was_good && same(chosen, good[i]));
	}
	require_that(is_good || !any, "a layer that was good is passed over for", chosen);
	/* Without a history the journal knows what is new. */
	if (was->h.count == 0 && was->has_journal && same(was->j.to, NEW) &&
		(site_unfinished(&was->s, &was->j) || was->j.step == STEP_STAGED ||
			was->j.step == STEP_TRIAL))
		require_that(!same(chosen, NEW) || !site_bootable(&was->s, OLD), "it is not tried",
			chosen);
}

/* One a layer: the newest but for that of an operation that was cut off. */
static void check_snapshots(struct model *was, struct model *m)
{
	bool first = find_lv(m, "var." OLD), second = find_lv(m, "var." OLD ".2");

	bool wanted = m->has_journal && m->j.var && m->j.snapshot;

	require_that(wanted || !first || !second, "two snapshots of", OLD);
	require_that(!wanted || first || !find_lv(was, "var." OLD), "what comes back is lost", OLD);
	if (!find_lv(m, OLD) || !find_lv(was, "var." OLD ".2"))
		return;
	require_that(first || second, "the snapshot is lost", OLD);
	/* A journal that is gone was that of what was cut off, or of what has ended. */
	const struct journal *j = &was->j;
	bool committed = !was->has_journal || j->operation == OPERATION_ROLLBACK ||
		j->step != STEP_COMMIT || same(was->s.choice.trial, j->to) ||
		same(was->s.choice.default_layer, j->to) || same(running(was), j->to) ||
		same(m->s.choice.default_layer, j->to);
	require_that(committed || !same(j->snapshot, "var." OLD ".2") || first,
		"the old snapshot is lost", OLD);
	require_that(!committed || second, "the new snapshot is lost", OLD);
}

static void check(struct model *was, struct model *m)
{
	const struct boot_choice *c = &was->s.choice;
	automendplan again = {0};

	plan(m, &again);
	require_that(
		again.count == 0, "it is not done", again.count > 0 ? again.items[0].what : NULL);
	if (is_hopeless(was)) {
		check_untouched(was, m);
		return;
	}
	check_volumes(m);
	check_boot(m);
	check_journal(m);
	if (running(was) && same(running(was), running(m)))
		check_kept(was, m, running(was));
	if (c->default_layer && site_bootable(&was->s, c->default_layer)) {
		check_kept(was, m, c->default_layer);
		require_that(same(m->s.choice.default_layer, c->default_layer), "another default",
			c->default_layer);
		if (c->trial && site_bootable(&was->s, c->trial))
			require_that(
				same(m->s.choice.trial, c->trial) && m->s.choice.tries == c->tries,
				"lost trial", c->trial);
	}
	if (c->trial && c->tries > 0 && site_bootable(&was->s, c->trial))
		check_kept(was, m, c->trial);
	if (!c->default_layer || !site_bootable(&was->s, c->default_layer))
		check_settled(was, m);
	check_snapshots(was, m);
	if (was->has_journal && site_bootable(&was->s, was->j.to) &&
		(was->j.step == STEP_STAGED || was->j.step == STEP_TRIAL))
		check_kept(was, m, was->j.to);
}

/* ---- */

/* What GRUB starts: the trial as long as it has tries, then the default, then anything. */
static void boot(struct model *m)
{
	struct boot_choice *c = &m->s.choice;

	if (c->trial && c->tries > 0 && boot_entries_find(&m->s.entries, c->trial)) {
		c->tries--;
		set_running(m, site_bootable(&m->s, c->trial) ? c->trial : NULL);
	} else {
		set_running(m,
			c->default_layer && site_bootable(&m->s, c->default_layer)
				? c->default_layer
				: site_best(&m->s, &m->h, NULL));
	}
}

/* Entries that lead to nothing. */
static size_t dangling(const struct model *m)
{
	size_t count = 0;

	for (size_t i = 0; i < m->s.entries.count; i++) {
		const char *layer = m->s.entries.items[i].layer;

		count += !site_volume(&m->s, LVM_TAG_LAYER, layer) ||
			!site_has_base_of(&m->s, layer);
	}
	return count;
}

/* The power fails after some actions; then recovery is run again, where it was or after a boot. */
static void cut(const struct choice *c, const struct mend_plan *p, size_t after, bool reboot)
{
	automodel was = {0}, m = {0};

	cut_at = (int)after;
	build(c, &was);
	build(c, &m);
	for (size_t i = 0; i < after; i++)
		apply(&m, &p->items[i]);
	require_that(is_hopeless(&was) == is_hopeless(&m), "nothing to boot from", NULL);
	require_that(dangling(&m) <= dangling(&was), "an entry leads to nothing now", NULL);
	if (reboot) {
		boot(&was);
		boot(&m);
		/* What a system ran from that could not be booted is its loss alone. */
		if (same(was.s.layer, m.s.layer) && was.s.running)
			check_kept(&was, &m, was.s.layer);
	}
	recover(&m);
	if (!reboot)
		check(&was, &m);
	automendplan again = {0};
	plan(&m, &again);
	require_that(again.count == 0, "it is not done after a cut", NULL);
	if (!is_hopeless(&m)) {
		check_volumes(&m);
		check_boot(&m);
		check_journal(&m);
	}
	cut_at = -1;
}

/* Clean-up of what was mended: it takes nothing that must stay, at no moment. */
static void clean_up(struct model *m, unsigned keep)
{
	automendplan p = {0}, again = {0};
	struct journal *j = m->has_journal ? &m->j : NULL;
	const struct boot_choice *c = &m->s.choice;
	size_t was_dangling = dangling(m);

	gc_plan(&m->s, j, keep, &m->folders, &p);
	const char *const stay[] = {
		running(m), c->default_layer, c->trial, j && j->step == STEP_STAGED ? j->to : NULL};
	bool there[ARRAY_LEN(stay)];
	for (size_t i = 0; i < ARRAY_LEN(stay); i++)
		there[i] = stay[i] && site_bootable(&m->s, stay[i]);
	for (size_t i = 0; i < p.count; i++) {
		apply(m, &p.items[i]);
		require_that(
			dangling(m) <= was_dangling, "clean-up: an entry leads to nothing", NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(stay); i++)
		require_that(!there[i] || site_bootable(&m->s, stay[i]), "clean-up: lost", stay[i]);
	gc_plan(&m->s, j, keep, &m->folders, &again);
	require_that(again.count == 0, "clean-up is not done", NULL);
	automendplan rest = {0};
	plan(m, &rest);
	require_that(rest.count == 0, "clean-up leaves something to mend", NULL);
}

static size_t combinations(void)
{
	size_t all = 1;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		all *= sizes[i];
	return all;
}

static void every_state_is_mended(void **state)
{
	/* Prime to all sizes, so that what is left out is of no kind; all of them take minutes. */
	const size_t stride = getenv("BEDPLATE_TEST_ALL") ? 1 : 47;
	size_t all = combinations(), plans = 0;

	(void)state;
	assert_true(all / stride > 50000);
	for (current = 0; current < all; current += stride) {
		const struct choice c = choice_of(current);
		automodel was = {0}, m = {0};
		automendplan p = {0};

		build(&c, &was);
		build(&c, &m);
		size_t foreign = 0;
		for (size_t i = 0; i < was.s.lvm.lv_count; i++)
			foreign += was.s.lvm.lvs[i].tags.count == 0 ||
				!str_eq(was.s.lvm.lvs[i].vg, SCENE_VG);
		plan(&m, &p);
		for (size_t i = 0; i < p.count; i++)
			apply(&m, &p.items[i]);
		check(&was, &m);
		clean_up(&m, current % 2 ? 1 : 2);
		for (size_t i = 0; i < m.s.lvm.lv_count; i++)
			foreign -= m.s.lvm.lvs[i].tags.count == 0 ||
				!str_eq(m.s.lvm.lvs[i].vg, SCENE_VG);
		require_that(foreign == 0, "foreign volumes are lost", NULL);
		/* Spread over all of them; each cut costs as much as the whole. */
		for (size_t i = 1; i < p.count; i++)
			if ((current + i) % 3 == 0)
				cut(&c, &p, i, current % 2);
		plans += p.count > 0;
	}
	assert_true(plans > all / stride / 2);
}

/* The actions as text, by and by. */
static void check_gc(const struct model *m, unsigned keep, const char *want)
{
	automendplan p = {0};
	autostrbuf got = {0};

	gc_plan(&m->s, m->has_journal ? &m->j : NULL, keep, &m->folders, &p);
	for (size_t i = 0; i < p.count; i++)
		strbuf_printf(&got, "%s%s%s", i ? " " : "",
			p.items[i].kind == MEND_REMOVE_ENTRY ? "entry:" : "", p.items[i].what);
	assert_string_equal(got.data ? got.data : "", want);
}

static void add_layer(struct model *m, const char *layer)
{
	scene_add_lv(&m->s, layer, LVM_TAG_LAYER);
	scene_add_entry(&m->s, layer);
}

static void what_is_old_goes_first(void **state)
{
	automodel m = {0};

	(void)state;
	scene_begin(&m.s);
	add_foreign(&m);
	scene_add_lv(&m.s, "n-9", LVM_TAG_BASE);
	scene_add_lv(&m.s, "n-10", LVM_TAG_BASE);
	scene_add_lv(&m.s, "n-11", LVM_TAG_BASE);
	add_layer(&m, "n-9+1");
	add_layer(&m, "n-10+1");
	add_layer(&m, "n-11+1");
	scene_add_lv(&m.s, "var.n-9+1", LVM_TAG_SNAPSHOT " bedplate:mount:/var bedplate:of:n-9+1");
	/* Without a default nothing is taken away, recovery comes first. */
	check_gc(&m, 1, "");
	m.s.choice.default_layer = xstrdup("n-11+1");
	check_gc(&m, 3, "");
	check_gc(&m, 2, "entry:n-9+1 n-9+1 var.n-9+1 n-9");
	check_gc(&m, 1, "entry:n-10+1 n-10+1 entry:n-9+1 n-9+1 var.n-9+1 n-9 n-10");
	check_gc(&m, 0, "entry:n-10+1 n-10+1 entry:n-9+1 n-9+1 var.n-9+1 n-9 n-10");

	/* What runs, is tried, is staged or cannot be judged stays, and counts. */
	set_running(&m, "n-9+1");
	check_gc(&m, 1, "entry:n-10+1 n-10+1 n-10");
	check_gc(&m, 2, "entry:n-10+1 n-10+1 n-10");
	set_running(&m, NULL);
	m.s.choice.trial = xstrdup("n-9+1");
	check_gc(&m, 2, "entry:n-10+1 n-10+1 n-10");
	free(m.s.choice.trial);
	m.s.choice.trial = NULL;
	m.j = (struct journal){
		.step = STEP_STAGED, .from = xstrdup("n-11+1"), .to = xstrdup("n-9+1")};
	m.has_journal = true;
	check_gc(&m, 1, "entry:n-10+1 n-10+1 n-10");
	m.has_journal = false;
	strv_add(&m.folders.unread, "n-10+1");
	check_gc(&m, 1, "entry:n-9+1 n-9+1 var.n-9+1 n-9");
}

static void an_image_keeps_as_many_layers(void **state)
{
	automodel m = {0};

	(void)state;
	scene_begin(&m.s);
	scene_add_lv(&m.s, "n-1", LVM_TAG_BASE);
	for (int i = 1; i <= 4; i++) {
		autofree char *layer = xasprintf("n-1+%d", i);

		add_layer(&m, layer);
	}
	m.s.choice.default_layer = xstrdup("n-1+2");
	check_gc(&m, 4, "");
	check_gc(&m, 2, "entry:n-1+3 n-1+3 entry:n-1+1 n-1+1");
	check_gc(&m, 1, "entry:n-1+4 n-1+4 entry:n-1+3 n-1+3 entry:n-1+1 n-1+1");
}

static void write_file(const char *in, const char *name)
{
	autofree char *path = xasprintf("%s/%s", in, name);
	struct err e = {0};

	assert_ok(file_replace(path, "x", 1, 0644, &e), e);
}

/* An entry that was cut off while it was written or removed; one with a file of somebody else stays. */
static void what_is_left_of_an_entry_goes(void **state)
{
	static const char *const files[] = {"bedplate.cfg.new", "initramfs.img", "vmlinuz",
		"manifest.json", "manifest.json.sig", "manifest.json.new", "manifest.json.sig.new"};
	autofree char *left = xasprintf("%s/" NEW, folder);
	autofree char *foreign = xasprintf("%s/" GONE, folder);
	automodel m = {0};
	automendplan plan = {0};
	struct err e = {0};

	(void)state;
	scene_begin(&m.s);
	add_old(&m, OLD_WHOLE);
	m.s.choice.default_layer = xstrdup(OLD);
	assert_ok(file_make_folder(left, 0700, &e), e);
	assert_ok(file_make_folder(foreign, 0700, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		write_file(left, files[i]);
	write_file(foreign, "vmlinuz");
	write_file(foreign, "notes");
	m.s.boot_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(recover_decide(&m.s, &plan, &e), e);
	assert_int_equal(plan.count, 1);
	assert_int_equal(plan.items[0].kind, MEND_REMOVE_FOLDER);
	assert_string_equal(plan.items[0].what, NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_is_mended),
		cmocka_unit_test(what_is_old_goes_first),
		cmocka_unit_test(an_image_keeps_as_many_layers),
		cmocka_unit_test(what_is_left_of_an_entry_goes),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
