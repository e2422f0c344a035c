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

const char *site_newest(const struct site *s, const char *without)
{
	const char *newest = NULL;

	for (size_t i = 0; i < s->entries.count; i++) {
		const char *layer = s->entries.items[i].layer;

		if (site_bootable(s, layer) && !(without && str_eq(layer, without)) &&
			(!newest || site_compare(layer, newest) > 0))
			newest = layer;
	}
	return newest;
}
