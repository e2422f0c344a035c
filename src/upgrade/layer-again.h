/* SPDX-License-Identifier: Apache-2.0 */
/* A layer that is staged, made once more out of what the node is by now.  Internal to upgrade/. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "boot/records.h"
#include "upgrade/merge.h"
#include "upgrade/site.h"

/* Adds what is not in dropped yet to that, and to named: of those each has to be there. */
void layer_again_drop(struct strv *dropped, const struct strv *drop, struct strv *named);

/*
 * drop: plugins to leave out, with those of j, which may be gone by now.  -EPERM: one does not fit, or is
 * not there.
 *
 * j: STEP_STAGED; it becomes STEP_LAYER.  Its base and its boot entry stay, the volume is a new one.  A
 * failure that has cost the volume takes all of it back, otherwise j is STEP_STAGED again.
 */
int layer_again(struct site *s, struct journal *j, const struct strv *drop,
	struct merge_report *report, struct progress *p, struct err *e) MUST_CHECK;
