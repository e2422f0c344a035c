/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /var as it was when a layer was left: VOLUME.LAYER, and VOLUME.LAYER.N while an older one is there.
 * The one with the highest number counts; the others go.
 */
#pragma once

#include "base/err.h"
#include "storage/lvm.h"

/* The volume itself; NULL: there is none. */
const struct lvm_lv *var_volume(const struct lvm_report *lvm, const char *vg);
bool var_snapshot_is_of(const struct lvm_lv *lv, const char *vg, const char *layer);
/* The newest of layer but for the one called "without", which may be NULL.  NULL: there is none. */
const struct lvm_lv *var_snapshot_find(
	const struct lvm_report *lvm, const char *vg, const char *layer, const char *without);
/* What the next one of layer is called; NULL: there is no volume.  The caller frees it. */
char *var_snapshot_name(const struct lvm_report *lvm, const char *vg, const char *layer) MUST_CHECK;
/* Make it.  What a power cut left under that name goes. */
int var_snapshot_take(const struct lvm_lv *var, const char *layer, const char *name, struct err *e)
	MUST_CHECK;
/* Those of layer but for the one called "but"; what cannot go is a warning. */
void var_snapshot_drop_older(
	const struct lvm_report *lvm, const char *vg, const char *layer, const char *but);
