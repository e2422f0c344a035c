/* SPDX-License-Identifier: Apache-2.0 */
/* A rollback that takes /var along, at the boot of the layer that was gone back to. */
#pragma once

#include "base/err.h"
#include "boot/records.h"
#include "storage/lvm.h"

/*
 * /var as it is becomes a snapshot of the layer that was left (j->from), unless there is one; then
 * /var becomes what it was when j->to was left, which uses that snapshot up.  /var must not be
 * mounted: -EBUSY.  It can be cut off anywhere and done again.  *done: it was brought back now.
 */
int var_restore(const struct lvm_report *lvm, const struct journal *j, bool *done, struct err *e)
	MUST_CHECK;
