/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/var-snapshot.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "storage/thin.h"

#define VAR "/var"

static bool is_for_var(const struct lvm_lv *lv, const char *vg, const char *tag)
{
	const char *mount = lvm_tag_value(&lv->tags, LVM_TAG_MOUNT);

	return str_eq(lv->vg, vg) && lvm_has_tag(&lv->tags, tag) &&
		!lvm_has_tag(&lv->tags, LVM_TAG_NEW) && mount && str_eq(mount, VAR);
}

const struct lvm_lv *var_volume(const struct lvm_report *lvm, const char *vg)
{
	for (size_t i = 0; i < lvm->lv_count; i++)
		if (is_for_var(&lvm->lvs[i], vg, LVM_TAG_VOLUME))
			return &lvm->lvs[i];
	return NULL;
}

bool var_snapshot_is_of(const struct lvm_lv *lv, const char *vg, const char *layer)
{
	const char *of = lvm_tag_value(&lv->tags, LVM_TAG_OF);

	return of && str_eq(of, layer) && is_for_var(lv, vg, LVM_TAG_SNAPSHOT);
}

/* A name without a number is the first. */
static uintmax_t number_of(const char *name, const char *layer)
{
	const char *at = strstr(name, layer);
	const char *rest = at ? at + strlen(layer) : "";

	return *rest == '.' ? strtoumax(rest + 1, NULL, 10) : 1;
}

const struct lvm_lv *var_snapshot_find(
	const struct lvm_report *lvm, const char *vg, const char *layer, const char *without)
{
	const struct lvm_lv *newest = NULL;

	for (size_t i = 0; i < lvm->lv_count; i++) {
		const struct lvm_lv *lv = &lvm->lvs[i];

		if (var_snapshot_is_of(lv, vg, layer) && !(without && str_eq(lv->name, without)) &&
			(!newest || number_of(lv->name, layer) > number_of(newest->name, layer)))
			newest = lv;
	}
	return newest;
}

char *var_snapshot_name(const struct lvm_report *lvm, const char *vg, const char *layer)
{
	const struct lvm_lv *var = var_volume(lvm, vg);
	const struct lvm_lv *last = var_snapshot_find(lvm, vg, layer, NULL);

	if (!var)
		return NULL;
	return last ? xasprintf("%s.%s.%ju", var->name, layer, number_of(last->name, layer) + 1)
		    : xasprintf("%s.%s", var->name, layer);
}

int var_snapshot_take(const struct lvm_lv *var, const char *layer, const char *name, struct err *e)
{
	autofree char *of = xasprintf(LVM_TAG_OF "%s", layer);
	const char *const tags[] = {LVM_TAG_SNAPSHOT, LVM_TAG_MOUNT VAR, of, NULL};
	int r = thin_snapshot(var->vg, var->name, name, 0, e);
	if (r == 0)
		r = thin_accept(var->vg, name, true, tags, e);
	return r < 0 ? err_wrap(e, r, "snapshot of " VAR) : 0;
}

void var_snapshot_drop_older(
	const struct lvm_report *lvm, const char *vg, const char *layer, const char *but)
{
	for (size_t i = 0; i < lvm->lv_count; i++) {
		const struct lvm_lv *lv = &lvm->lvs[i];
		struct err e = {0};

		if (var_snapshot_is_of(lv, vg, layer) && !str_eq(lv->name, but) &&
			thin_remove(vg, lv->name, &e) < 0)
			log_warning("'%s' stays until 'nodectl recover': %s", lv->name, e.msg);
	}
}
