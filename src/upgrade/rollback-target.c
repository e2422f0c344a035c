/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/rollback-target.h"

#include <errno.h>

#include "base/xalloc.h"
#include "node/state.h"
#include "upgrade/newest.h"

int rollback_check(const struct site *s, const char *layer, struct err *e)
{
	const struct lvm_lv *lv = lvm_find(&s->lvm, LVM_TAG_LAYER, layer);
	const struct boot_entry *entry = boot_entries_find(&s->entries, layer);

	if (!lv)
		return err_set(
			e, ENOENT, "there is no layer '%s': 'nodectl layers' lists them", layer);
	if (lvm_has_tag(&lv->tags, LVM_TAG_NEW))
		return err_set(e, EBADMSG, "layer '%s' is not complete", layer);
	if (!node_has_base_of(&s->lvm, layer))
		return err_set(e, EBADMSG, "layer '%s' cannot boot: its base is not there", layer);
	if (!entry)
		return err_set(e, EBADMSG, "layer '%s' cannot boot: it has no boot entry", layer);
	if (entry->missing)
		return err_set(e, EBADMSG, "layer '%s' cannot boot: there is no %s", layer,
			entry->missing);
	return 0;
}

static bool can_be(const struct site *s, const char *layer)
{
	struct err ignored;

	return layer && !str_eq(layer, s->layer) && rollback_check(s, layer, &ignored) == 0;
}

/* When a layer came to be: an index into the history plus 1; 0: before all of it, or not known. */
static size_t birth(const struct history *h, const char *layer)
{
	for (size_t i = 0; i < h->count; i++) {
		const struct transition *t = &h->items[i];

		if (str_eq(t->to, layer) &&
			!str_eq(t->operation, operation_name(OPERATION_ROLLBACK)))
			return i + 1;
	}
	return 0;
}

static bool was_good(const struct transition *t)
{
	return str_eq(t->result, "blessed") || str_eq(t->result, "done");
}

static const char *find_before(const struct site *s, const struct history *h, size_t born)
{
	const struct transition *own = born > 0 ? &h->items[born - 1] : NULL;

	for (size_t i = born; i > 0; i--) {
		const struct transition *t = &h->items[i - 1];

		if (was_good(t) && can_be(s, t->to) && birth(h, t->to) < born)
			return t->to;
	}
	return own && can_be(s, own->from) ? own->from : NULL;
}

/* The history is lost or cut off: what is known to be newer is still left out. */
static int find_only(
	const struct site *s, const struct history *h, size_t born, const char **out, struct err *e)
{
	autostrbuf names = {0};
	const char *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < s->entries.count; i++) {
		const char *layer = s->entries.items[i].layer;

		if (!can_be(s, layer) || birth(h, layer) > born)
			continue;
		strbuf_printf(&names, "%s%s", count++ ? ", " : "", layer);
		found = layer;
	}
	if (count == 0)
		return err_set(e, ENOENT,
			"there is no layer from before '%s' to go back to; --to names a newer one",
			s->layer);
	if (count > 1)
		return err_set(e, ENOTUNIQ, "several layers could be meant, --to says which: %s",
			names.data);
	*out = found;
	return 0;
}

int rollback_target(const struct site *s, const struct history *h, const char **out, struct err *e)
{
	const char *before = s->choice.default_layer;
	size_t born = birth(h, s->layer);

	/* A trial is left for what would boot without it. */
	if (before && s->choice.trial && str_eq(s->choice.trial, s->layer) && can_be(s, before)) {
		*out = before;
		return 0;
	}
	before = find_before(s, h, born);
	if (!before)
		return find_only(s, h, born, out, e);
	*out = before;
	return 0;
}

bool rollback_waits(const struct site *s)
{
	return s->choice.trial && !str_eq(s->choice.trial, s->layer);
}

bool rollback_is_trial(const struct site *s, const struct history *h, const char *layer)
{
	const char *chosen = s->choice.default_layer;

	if (!chosen || str_eq(chosen, layer) || !site_bootable(s, chosen) ||
		(s->running && str_eq(s->layer, layer)))
		return false;
	return site_standing(h, layer) < STANDING_UNKNOWN;
}

int rollback_choose(
	const struct site *s, const struct rollback_spec *spec, char **layer, struct err *e)
{
	autohistory history = {0};
	const char *target = spec->to;
	int r;

	if (!target && rollback_waits(s)) {
		*layer = xstrdup(s->choice.default_layer ? s->choice.default_layer : s->layer);
		return 0;
	}
	r = target ? rollback_check(s, target, e) : history_read(s->boot_fd, &history, e);
	if (r == 0 && !target)
		r = rollback_target(s, &history, &target, e);
	/* With /var there is something left to bring back, as after a trial that came to nothing. */
	if (r == 0 && !spec->with_var && !s->choice.trial && s->choice.default_layer &&
		str_eq(s->choice.default_layer, target))
		r = err_set(e, EALREADY, "layer '%s' boots by default already", target);
	if (r == 0)
		*layer = xstrdup(target);
	return r;
}
