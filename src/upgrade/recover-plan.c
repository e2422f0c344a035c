/* SPDX-License-Identifier: Apache-2.0 */
/* What recovery and clean-up would do: a function of the state, and of nothing else. */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "node/state.h"
#include "upgrade/newest.h"
#include "upgrade/recover.h"
#include "upgrade/var-snapshot.h"

struct view {
	const struct site *s;
	const struct journal *j; /* or NULL */
	const struct history *h;
	const struct boot_folders *folders;
	const char *running, *chosen, *trial, *staged; /* layers that stay; NULL: none */
	const char *unfinished; /* layer that an operation was cut off over, which goes */
	bool settles;           /* chosen is not what it was */
	bool keeps_journal;
	bool hopeless;    /* nothing can be booted: whatever is left may still be of use */
	struct strv gone; /* layers whose volume goes */
	struct mend_plan *out;
};

void mend_plan_fini(struct mend_plan *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->items[i].what);
		free(m->items[i].why);
	}
	free(m->items);
	*m = (struct mend_plan){0};
}

void boot_folders_fini(struct boot_folders *f)
{
	strv_fini(&f->bare);
	strv_fini(&f->unread);
}

static void act(struct view *v, enum mend kind, const char *what, const char *why)
{
	struct mend_plan *m = v->out;

	m->items = xrealloc(m->items, (m->count + 1) * sizeof(*m->items));
	m->items[m->count++] = (struct mend_action){
		.kind = kind, .what = what ? xstrdup(what) : NULL, .why = xstrdup(why)};
}

static bool same(const char *a, const char *b)
{
	return a && b && str_eq(a, b);
}

static bool stays(const struct view *v, const char *layer)
{
	return same(v->running, layer) || same(v->chosen, layer) || same(v->trial, layer) ||
		same(v->staged, layer);
}

static bool is_of(const char *layer, const char *base)
{
	size_t len = node_base_len(layer);

	return len > 0 && strlen(base) == len && strncmp(layer, base, len) == 0;
}

static bool is_layer(const struct view *v, const struct lvm_lv *lv)
{
	return str_eq(lv->vg, v->s->vg->name) && lvm_has_tag(&lv->tags, LVM_TAG_LAYER) &&
		!lvm_has_tag(&lv->tags, LVM_TAG_NEW) && node_base_len(lv->name) > 0;
}

static bool has_tag(const struct view *v, const struct lvm_lv *lv, const char *tag)
{
	return str_eq(lv->vg, v->s->vg->name) && lvm_has_tag(&lv->tags, tag) &&
		!lvm_has_tag(&lv->tags, LVM_TAG_NEW);
}

static void choose(struct view *v)
{
	const char *was = v->s->choice.default_layer;

	if (was && site_bootable(v->s, was)) {
		v->chosen = was;
		return;
	}
	if (v->running && site_bootable(v->s, v->running))
		v->chosen = v->running;
	else
		v->chosen = site_best(v->s, v->h, v->j);
	/* What was not finished is better than nothing. */
	if (same(v->chosen, v->unfinished))
		v->unfinished = NULL;
	v->settles = v->chosen != NULL;
}

static void judge_trial(struct view *v)
{
	const char *trial = v->s->choice.trial;

	if (trial && !v->settles && (site_bootable(v->s, trial) || same(v->running, trial)))
		v->trial = trial;
}

static void judge_journal(struct view *v)
{
	const struct journal *j = v->j;

	if (!j)
		return;
	if (same(v->trial, j->to))
		v->keeps_journal = true;
	else if (j->step == STEP_STAGED && site_bootable(v->s, j->to) && !same(v->chosen, j->to) &&
		!same(v->running, j->to)) {
		v->staged = j->to;
		v->keeps_journal = true;
	} else if (j->operation == OPERATION_ROLLBACK && j->var && !v->settles)
		v->keeps_journal = same(v->chosen, j->to);
}

static void look(struct view *v)
{
	v->running = v->s->running ? v->s->layer : NULL;
	v->unfinished = site_unfinished(v->s, v->j) ? v->j->to : NULL;
	choose(v);
	v->hopeless = !v->chosen;
	judge_trial(v);
	judge_journal(v);
}

static const char *why_entry_goes(const struct view *v, const char *layer)
{
	if (stays(v, layer) || v->hopeless)
		return NULL;
	if (same(v->unfinished, layer))
		return "the operation that made it was cut off";
	if (!site_volume(v->s, LVM_TAG_LAYER, layer))
		return "its layer is not there";
	return site_has_base_of(v->s, layer) ? NULL : "its base is not there";
}

static void mend_entries(struct view *v)
{
	for (size_t i = 0; i < v->s->entries.count; i++) {
		const char *layer = v->s->entries.items[i].layer;
		const char *why = why_entry_goes(v, layer);

		if (why)
			act(v, MEND_REMOVE_ENTRY, layer, why);
	}
}

static const char *why_layer_goes(const struct view *v, const char *layer)
{
	if (stays(v, layer) || v->hopeless || strv_has(&v->folders->unread, layer))
		return NULL;
	if (same(v->unfinished, layer))
		return "the operation that made it was cut off";
	if (!site_has_base_of(v->s, layer))
		return "its base is not there";
	return boot_entries_find(&v->s->entries, layer) ? NULL : "it has no boot entry";
}

static void mend_layers(struct view *v)
{
	for (size_t i = 0; i < v->s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &v->s->lvm.lvs[i];
		const char *why = is_layer(v, lv) ? why_layer_goes(v, lv->name) : NULL;

		if (!why)
			continue;
		act(v, MEND_REMOVE_VOLUME, lv->name, why);
		strv_add(&v->gone, lv->name);
	}
}

/* The snapshot that an operation took which did not come to leave the layer; NULL: none. */
static const char *early_snapshot(const struct view *v)
{
	return v->unfinished && v->j->step == STEP_COMMIT ? v->j->snapshot : NULL;
}

/* What a rollback has still to bring back, also when a newer one was kept meanwhile. */
static bool is_wanted(const struct view *v, const struct lvm_lv *lv)
{
	return v->keeps_journal && v->j->var && same(v->j->snapshot, lv->name);
}

static bool is_replaced(const struct view *v, const struct lvm_lv *lv, const char *layer)
{
	const char *vg = v->s->vg->name;

	return var_snapshot_is_of(lv, vg, layer) &&
		var_snapshot_find(&v->s->lvm, vg, layer, early_snapshot(v)) != lv;
}

static void mend_snapshots(struct view *v)
{
	for (size_t i = 0; i < v->s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &v->s->lvm.lvs[i];
		const char *layer = has_tag(v, lv, LVM_TAG_SNAPSHOT)
			? lvm_tag_value(&lv->tags, LVM_TAG_OF)
			: NULL;

		if (!layer || v->hopeless)
			continue;
		if (!same(v->running, layer) &&
			(!site_volume(v->s, LVM_TAG_LAYER, layer) || strv_has(&v->gone, layer)))
			act(v, MEND_REMOVE_VOLUME, lv->name,
				"the layer that it is of is not there");
		else if (same(early_snapshot(v), lv->name))
			act(v, MEND_REMOVE_VOLUME, lv->name,
				"it was taken for an operation that was cut off");
		else if (!is_wanted(v, lv) && is_replaced(v, lv, layer))
			act(v, MEND_REMOVE_VOLUME, lv->name, "there is a newer one of its layer");
	}
}

static bool base_is_used(const struct view *v, const char *base)
{
	if (v->running && is_of(v->running, base))
		return true;
	for (size_t i = 0; i < v->s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &v->s->lvm.lvs[i];

		if (is_layer(v, lv) && is_of(lv->name, base) && !strv_has(&v->gone, lv->name))
			return true;
	}
	return false;
}

static void mend_bases(struct view *v, const char *why)
{
	for (size_t i = 0; i < v->s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &v->s->lvm.lvs[i];

		if (has_tag(v, lv, LVM_TAG_BASE) && !v->hopeless && !base_is_used(v, lv->name))
			act(v, MEND_REMOVE_VOLUME, lv->name, why);
	}
}

static void mend_new(struct view *v)
{
	for (size_t i = 0; i < v->s->lvm.lv_count; i++) {
		const struct lvm_lv *lv = &v->s->lvm.lvs[i];

		if (!str_eq(lv->vg, v->s->vg->name) || !lvm_has_tag(&lv->tags, LVM_TAG_NEW) ||
			lv->is_pool || same(v->running, lv->name) ||
			(v->running && is_of(v->running, lv->name)))
			continue;
		act(v, MEND_REMOVE_VOLUME, lv->name, "it was never completed");
	}
}

static void mend_folders(struct view *v)
{
	for (size_t i = 0; i < v->folders->bare.count; i++) {
		const char *layer = v->folders->bare.items[i];

		if (!stays(v, layer) && !v->hopeless)
			act(v, MEND_REMOVE_FOLDER, layer,
				"the boot entry in it was never completed");
	}
}

static void settle(struct view *v)
{
	const char *why = v->s->choice.default_layer ? "the default cannot be booted"
						     : "there is no default";
	bool doubtful = !same(v->running, v->chosen) &&
		site_standing(v->h, v->chosen) < STANDING_UNKNOWN;
	autofree char *text = xasprintf(
		"%s%s", why, doubtful ? ", nor any layer that was ever found good" : "");

	act(v, MEND_SETTLE, v->chosen, text);
}

void recover_plan(const struct site *s, const struct journal *j, const struct history *h,
	const struct boot_folders *folders, struct mend_plan *out)
{
	struct view v = {.s = s, .j = j, .h = h, .folders = folders, .out = out};
	const char *trial = s->choice.trial;

	look(&v);
	bool ended = j && !v.keeps_journal && !v.unfinished;
	/*
	 * What points somewhere is put right before what it points to goes, and the journal is kept as
	 * long as it is needed to know what was not finished, or not tried; but with the trial gone,
	 * a commit would look cut off.
	 */
	if (ended && j->step != STEP_TRIAL)
		act(&v, MEND_CLEAR_JOURNAL, NULL, "what it tells of has ended");
	if (v.settles)
		settle(&v);
	else if (trial && !v.trial)
		act(&v, MEND_END_TRIAL, trial, "it cannot be booted");
	if (ended && j->step == STEP_TRIAL)
		act(&v, MEND_CLEAR_JOURNAL, NULL, "what it tells of has ended");
	mend_entries(&v);
	mend_layers(&v);
	mend_snapshots(&v);
	mend_bases(&v, "no layer uses it");
	mend_folders(&v);
	mend_new(&v);
	if (v.unfinished)
		act(&v, MEND_CLEAR_JOURNAL, NULL, "the operation was cut off");
	strv_fini(&v.gone);
}

/* The layers that can be judged, newest first. */
static int newest_first(const void *a, const void *b)
{
	return site_compare(*(const char *const *)b, *(const char *const *)a);
}

static void list_layers(const struct view *v, struct strv *out)
{
	for (size_t i = 0; i < v->s->lvm.lv_count; i++)
		if (is_layer(v, &v->s->lvm.lvs[i]))
			strv_add(out, v->s->lvm.lvs[i].name);
	if (out->count > 1)
		qsort(out->items, out->count, sizeof(*out->items), newest_first);
}

static bool must_stay(const struct view *v, const char *layer)
{
	return stays(v, layer) || strv_has(&v->folders->unread, layer);
}

static bool same_image(const char *layer, const char *other)
{
	size_t len = node_base_len(layer);

	return len == node_base_len(other) && strncmp(layer, other, len) == 0;
}

static void add_image(struct strv *images, const char *layer)
{
	autofree char *base = xstrndup(layer, node_base_len(layer));

	if (!strv_has(images, base))
		strv_add(images, base);
}

/* Those that must stay count first. */
static void choose_images(
	const struct view *v, const struct strv *layers, unsigned keep, struct strv *images)
{
	for (size_t i = 0; i < layers->count; i++)
		if (must_stay(v, layers->items[i]))
			add_image(images, layers->items[i]);
	for (size_t i = 0; i < layers->count && images->count < keep; i++)
		add_image(images, layers->items[i]);
}

/* Whether the layer is one of its image's layers that stay. */
static bool has_place(const struct view *v, const struct strv *layers, size_t at, unsigned keep)
{
	size_t before = 0;

	for (size_t i = 0; i < layers->count; i++)
		before += i != at && same_image(layers->items[i], layers->items[at]) &&
			(must_stay(v, layers->items[i]) || i < at);
	return before < keep;
}

static void drop_layers(struct view *v, unsigned keep)
{
	autostrv layers = {0}, images = {0};

	list_layers(v, &layers);
	choose_images(v, &layers, keep, &images);
	for (size_t i = 0; i < layers.count; i++) {
		const char *layer = layers.items[i];
		autofree char *base = xstrndup(layer, node_base_len(layer));

		if (must_stay(v, layer) ||
			(strv_has(&images, base) && has_place(v, &layers, i, keep)))
			continue;
		if (boot_entries_find(&v->s->entries, layer))
			act(v, MEND_REMOVE_ENTRY, layer, "it is older than what is kept");
		act(v, MEND_REMOVE_VOLUME, layer, "it is older than what is kept");
		strv_add(&v->gone, layer);
	}
}

void gc_plan(const struct site *s, const struct journal *j, unsigned keep,
	const struct boot_folders *folders, struct mend_plan *out)
{
	const struct history none = {0};
	struct view v = {.s = s, .j = j, .h = &none, .folders = folders, .out = out};

	look(&v);
	/* Whatever is wrong is put right by recovery, first. */
	if (v.hopeless || v.settles)
		return;
	drop_layers(&v, MAX(keep, 1));
	if (v.gone.count > 0) {
		mend_snapshots(&v);
		mend_bases(&v, "it is older than what is kept");
	}
	strv_fini(&v.gone);
}
