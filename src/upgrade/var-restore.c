/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/var-restore.h"

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/thin.h"

#define VAR "/var"

static bool is_for_var(const struct lvm_lv *lv, const char *vg, const char *tag)
{
	const char *mount = lvm_tag_value(&lv->tags, LVM_TAG_MOUNT);

	return str_eq(lv->vg, vg) && lvm_has_tag(&lv->tags, tag) && mount && str_eq(mount, VAR);
}

static const struct lvm_lv *find_var(const struct lvm_report *lvm, const char *vg)
{
	for (size_t i = 0; i < lvm->lv_count; i++)
		if (is_for_var(&lvm->lvs[i], vg, LVM_TAG_VOLUME))
			return &lvm->lvs[i];
	return NULL;
}

static const struct lvm_lv *find_snapshot(
	const struct lvm_report *lvm, const char *vg, const char *layer)
{
	for (size_t i = 0; i < lvm->lv_count; i++) {
		const char *of = lvm_tag_value(&lvm->lvs[i].tags, LVM_TAG_OF);

		if (of && str_eq(of, layer) && is_for_var(&lvm->lvs[i], vg, LVM_TAG_SNAPSHOT))
			return &lvm->lvs[i];
	}
	return NULL;
}

/* What a power cut left of it has not got its tags yet. */
static int keep_current(const struct lvm_lv *var, const char *layer, struct err *e)
{
	autofree char *name = xasprintf("%s.%s", var->name, layer);
	autofree char *of = xasprintf(LVM_TAG_OF "%s", layer);
	const char *const tags[] = {LVM_TAG_SNAPSHOT, LVM_TAG_MOUNT VAR, of, NULL};
	int r = thin_remove(var->vg, name, e);

	if (r == 0)
		r = thin_snapshot(var->vg, var->name, name, 0, e);
	if (r == 0)
		r = thin_accept(var->vg, name, true, tags, e);
	return r;
}

/*
 * Of an origin that is not active lvm makes the snapshot's blocks its own in one change of its
 * metadata; of one that is, it would wait for the next activation, which is the next boot.
 */
static int bring_back(const struct lvm_lv *var, const struct lvm_lv *snapshot, struct err *e)
{
	autofree char *volume = xasprintf("%s/%s", var->vg, var->name);
	autofree char *from = xasprintf("%s/%s", snapshot->vg, snapshot->name);
	struct err own = {0};
	int r = lvm_run(&own, "lvchange", "--activate=n", volume, NULL);

	if (r < 0)
		return err_set(e, EBUSY, "'%s' is in use: %s", volume, own.msg);
	interrupt_defer();
	r = lvm_run(e, "lvconvert", "--merge", from, NULL);
	/* Without it there is no /var at all, whatever became of the merge. */
	if (lvm_run(&own, "lvchange", "--ignoreactivationskip", "--activate=y", volume, NULL) < 0)
		log_warning("activating '%s': %s", volume, own.msg);
	interrupt_resume();
	return r;
}

int var_restore(const struct lvm_report *lvm, const struct journal *j, bool *done, struct err *e)
{
	const struct lvm_vg *vg = lvm_node_vg(lvm);
	const struct lvm_lv *var = vg ? find_var(lvm, vg->name) : NULL;
	const struct lvm_lv *wanted = vg ? find_snapshot(lvm, vg->name, j->to) : NULL;
	int r = 0;

	*done = false;
	if (!var)
		return err_set(e, ENOENT, "there is no volume for " VAR);
	if (!wanted) {
		/* It was used up by an attempt that was cut off behind that. */
		if (!find_snapshot(lvm, vg->name, j->from))
			return err_set(
				e, ENOENT, "there is no snapshot of " VAR " of layer '%s'", j->to);
		return 0;
	}
	if (!find_snapshot(lvm, vg->name, j->from))
		r = keep_current(var, j->from, e);
	if (r == 0)
		r = bring_back(var, wanted, e);
	if (r < 0)
		return err_wrap(e, r, "bringing " VAR " of layer '%s' back", j->to);
	*done = true;
	return 0;
}
