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

/* -ENOSPC: it may take more than that. */
int carry_check_room(const struct carry_item *it, uint64_t room_bytes, struct err *e) MUST_CHECK;

struct carry_job {
	const struct site *site;
	const struct carry_plan *plan;
	const struct added_plugins *old; /* what was taken out of the old layer */
	const struct base_view *base;
	const struct place *layer; /* volume of the new one, mounted */
};

/*
 * Put what is to be carried over into a new layer that was merged already.  -ENOSPC: the pool has no room
 * for the next one.
 */
int carry_into(const struct carry_job *j, struct progress *p, struct err *e) MUST_CHECK;
