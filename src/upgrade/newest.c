/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/newest.h"

#include <string.h>

#include "base/xalloc.h"
#include "node/state.h"

const struct lvm_lv *site_volume(const struct site *s, const char *tag, const char *name)
{
	const struct lvm_lv *lv = lvm_find(&s->lvm, tag, name);

	return lv && !lvm_has_tag(&lv->tags, LVM_TAG_NEW) ? lv : NULL;
}

bool site_has_base_of(const struct site *s, const char *layer)
{
	autofree char *base = xstrndup(layer, node_base_len(layer));

	return *base && site_volume(s, LVM_TAG_BASE, base);
}

bool site_bootable(const struct site *s, const char *layer)
{
	const struct boot_entry *entry = boot_entries_find(&s->entries, layer);

	return entry && !entry->missing && site_volume(s, LVM_TAG_LAYER, layer) &&
		site_has_base_of(s, layer);
}

int site_compare(const char *layer, const char *other)
{
	autofree char *base = xstrndup(layer, node_base_len(layer));
	autofree char *other_base = xstrndup(other, node_base_len(other));
	int order = strverscmp(base, other_base);

	return order ? order : strverscmp(layer, other);
}

enum standing site_standing(const struct history *h, const char *layer)
{
	for (size_t i = h->count; i > 0; i--) {
		const struct transition *t = &h->items[i - 1];
		bool is_rollback = str_eq(t->operation, operation_name(OPERATION_ROLLBACK));

		if (str_eq(t->to, layer)) {
			if (str_eq(t->result, "blessed") || str_eq(t->result, "done"))
				return STANDING_GOOD;
			if (str_eq(t->result, "failed"))
				return STANDING_FAILED;
			/* One that did not come to its end, or goes on, says nothing new. */
			if (!is_rollback)
				return STANDING_UNTRIED;
		}
		/* A rollback may leave, or call off, what was never found good. */
		if (t->from && str_eq(t->from, layer) && !is_rollback)
			return STANDING_GOOD;
	}
	return STANDING_UNKNOWN;
}

static bool same(const char *a, const char *b)
{
	return a && b && str_eq(a, b);
}

bool site_unfinished(const struct site *s, const struct journal *j)
{
	return j && j->operation != OPERATION_ROLLBACK && j->step != STEP_STAGED &&
		j->step != STEP_TRIAL && !same(s->choice.trial, j->to) &&
		!same(s->choice.default_layer, j->to) && !(s->running && same(s->layer, j->to));
}

/* The journal knows what is new also where the history is lost. */
static bool is_new(
	const struct site *s, const struct history *h, const struct journal *j, const char *layer)
{
	if (!j || !str_eq(j->to, layer))
		return false;
	return site_unfinished(s, j) ||
		((j->step == STEP_STAGED || j->step == STEP_TRIAL) &&
			site_standing(h, layer) != STANDING_GOOD);
}

const char *site_best(const struct site *s, const struct history *h, const struct journal *j)
{
	const char *best = NULL;
	int best_rank = 0;

	for (size_t i = 0; i < s->entries.count; i++) {
		const char *layer = s->entries.items[i].layer;
		int rank = is_new(s, h, j, layer) ? -1 : (int)site_standing(h, layer);

		if (site_bootable(s, layer) &&
			(!best || rank > best_rank ||
				(rank == best_rank && site_compare(layer, best) > 0))) {
			best = layer;
			best_rank = rank;
		}
	}
	return best;
}
