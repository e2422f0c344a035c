/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/var-restore.h"

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/thin.h"
#include "upgrade/var-snapshot.h"

#define VAR "/var"

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

static int keep_current(
	const struct lvm_report *lvm, const struct lvm_lv *var, const char *layer, struct err *e)
{
	autofree char *name = var_snapshot_name(lvm, var->vg, layer);
	/* Of an attempt that was cut off. */
	int r = lvm_find(lvm, LVM_TAG_NEW, name) ? thin_drop(var->vg, name, e) : 0;

	return r == 0 ? var_snapshot_take(var, layer, name, e) : r;
}

/* The journal says which: of a layer that is gone back to out of itself, the newest is the one just kept. */
static const struct lvm_lv *find_wanted(
	const struct lvm_report *lvm, const char *vg, const struct journal *j)
{
	for (size_t i = 0; j->snapshot && i < lvm->lv_count; i++)
		if (str_eq(lvm->lvs[i].name, j->snapshot) &&
			var_snapshot_is_of(&lvm->lvs[i], vg, j->to))
			return &lvm->lvs[i];
	return j->snapshot ? NULL : var_snapshot_find(lvm, vg, j->to, NULL);
}

int var_restore(const struct lvm_report *lvm, const struct journal *j, bool *done, struct err *e)
{
	const struct lvm_vg *vg = lvm_node_vg(lvm);
	const struct lvm_lv *var = vg ? var_volume(lvm, vg->name) : NULL;
	const struct lvm_lv *wanted = vg ? find_wanted(lvm, vg->name, j) : NULL;
	int r;

	*done = false;
	if (!var)
		return err_set(e, ENOENT, "there is no volume for " VAR);
	if (!wanted) {
		/* It was used up by an attempt that was cut off behind that. */
		if (!var_snapshot_find(lvm, vg->name, j->from, NULL))
			return err_set(
				e, ENOENT, "there is no snapshot of " VAR " of layer '%s'", j->to);
		return 0;
	}
	r = keep_current(lvm, var, j->from, e);
	if (r == 0)
		r = bring_back(var, wanted, e);
	if (r < 0)
		return err_wrap(e, r, "bringing " VAR " of layer '%s' back", j->to);
	*done = true;
	return 0;
}
