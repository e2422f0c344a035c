/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of an upgrade share.  Internal to upgrade/. */
#pragma once

#include "boot/records.h"
#include "liveimg/get.h"
#include "storage/thin.h"
#include "upgrade/settings.h"
#include "upgrade/site.h"
#include "upgrade/upgrade.h"

struct upgrade_run {
	const struct upgrade_spec *spec;
	struct progress *p;
	struct site site;
	struct settings settings;
	struct journal before; /* of what was staged; to NULL: nothing */
	struct liveimg image;
	struct pool_room room;
	struct failed_versions failed;
	uint64_t layer_bytes; /* at most, that the new layer takes of the pool */
	struct upgrade_plan *plan;
};

/* The plan as far as it costs nothing, and whether anything is against it: -EPERM. */
int plan_make(struct upgrade_run *u, struct err *e) MUST_CHECK;
/* Read both images and merge for the report only. */
int plan_measure(struct upgrade_run *u, struct err *e) MUST_CHECK;

/* How long it takes on a slow machine, by the bytes of the plan and by how long measuring took. */
uint64_t plan_seconds(const struct upgrade_plan *u, uint64_t measure_seconds);

/* "node-1.2+3" of "node-1.2" and so on, for the menu: "node 1.2 (3)".  The caller frees it. */
char *plan_title(const char *name, const char *version, const char *layer) MUST_CHECK;
