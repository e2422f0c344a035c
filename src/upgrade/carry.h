/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the plugins that were added on the node go into the new layer, and how they get there:
 * docs/upgrade.md, "Plugins".  Internal to upgrade/.
 */
#pragma once

#include "hotadd/carry.h"
#include "image/manifest.h"
#include "upgrade/base-view.h"
#include "upgrade/place.h"
#include "upgrade/upgrade.h"

void carry_plan_fini(struct carry_plan *c);
#define autocarryplan auto_with(carry_plan_fini) struct carry_plan

/*
 * By what is known of the image before it is there.  drop: names of what stays behind.  What does not fit
 * is no failure.
 */
int carry_plan_make(const struct site *s, const struct manifest *image, const struct strv *drop,
	struct carry_plan *out, struct err *e) MUST_CHECK;
/* The same by the image's tree, with all that the plugins write. */
int carry_plan_check(const struct site *s, struct tree *new_base, const struct strv *drop,
	struct carry_plan *out, struct err *e) MUST_CHECK;
/* A line for each that is in the way, and for each name to drop that there is not. */
void carry_plan_problems(
	const struct carry_plan *c, const struct strv *drop, struct strv *problems);
/* Whether a package, "NAME VERSION", is of one of them. */
bool carry_plan_has_package(const struct carry_plan *c, const char *package);
/* Room for it in the new layer, at most. */
uint64_t carry_plan_bytes(const struct carry_plan *c);

/*
 * Put what is to be carried over into a new layer that was merged already.  layer: its volume, mounted;
 * old: what was taken out of the old one.
 */
int carry_into(const struct carry_plan *c, const struct added_plugins *old,
	const struct base_view *base, const struct place *layer, struct progress *p, struct err *e)
	MUST_CHECK;
