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
	struct journal before;       /* of what was staged; to NULL: nothing */
	struct liveimg_from from;    /* of spec, with a folder */
	const struct liveimg *about; /* whose manifest was checked: image, or what becomes it */
	struct liveimg image;
	struct pool_room room;
	struct failed_versions failed;
	uint64_t layer_bytes; /* at most, that the new layer takes of the pool */
	bool unwanted;        /* the image itself is what is refused */
	bool tight;           /* whether there is room depends on how much of the image differs */
	struct upgrade_plan *plan;
};

/* The plan by the manifest alone, and whether anything is against it: -EPERM. */
int plan_make(struct upgrade_run *u, struct err *e) MUST_CHECK;
/* With the image: whether it has room after all, when that was in doubt.  -EPERM. */
int plan_fit(struct upgrade_run *u, struct err *e) MUST_CHECK;
/* With the image: whether the plugins of the node go into it.  -EPERM. */
int plan_plugins(struct upgrade_run *u, struct err *e) MUST_CHECK;
/* Read both images and merge for the report only. */
int plan_measure(struct upgrade_run *u, struct err *e) MUST_CHECK;

/*
 * What the pool has and what is taken of it, by write_bytes of the plan and by the layer that is worked from;
 * the second is what is returned, as the most that a new layer takes.
 */
uint64_t plan_pool(const struct site *s, const struct pool_room *room, struct upgrade_plan *plan);
/* The same of /boot, by what the files of an entry have; 0: not known. */
int plan_boot(const struct site *s, uint64_t file_bytes, struct upgrade_plan *plan, struct err *e)
	MUST_CHECK;

/* The base to begin from: the image whose layout the new one has kept, when it is here; else the one that runs. */
const char *plan_like(const struct site *s, const struct manifest *m);

/* What the base may take of the pool: what was planned for it and a margin, and no more than is free. */
uint64_t plan_base_limit(const struct upgrade_plan *u, uint64_t layer_bytes);

/* How long it takes on a slow machine, by the bytes of the plan and by how long measuring took. */
uint64_t plan_seconds(const struct upgrade_plan *u, uint64_t measure_seconds);

/* "node-1.2+3" of "node-1.2" and so on, for the menu: "node 1.2 (3)".  The caller frees it. */
char *plan_title(const char *name, const char *version, const char *layer) MUST_CHECK;
