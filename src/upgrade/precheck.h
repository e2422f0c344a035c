/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that can be known before anything changes, judged together: who is refused is told all
 * the reasons at once.  Internal to upgrade/.
 */
#pragma once

#include "boot/records.h"
#include "storage/thin.h"
#include "upgrade/upgrade.h"

struct precheck {
	const struct upgrade_spec *spec;
	const struct upgrade_plan *plan; /* names, versions, sizes */
	const struct site *site;
	const struct failed_versions *failed;
	const uint8_t *root_hash; /* of the new image */
	const struct pool_room *room;
	const char *upgrades_from_min, *upgrades_from_max; /* of its manifest; NULL: no limit */
	bool base_differs; /* there is a base of that name with another root hash */
};

/* A line each into problems; an empty list is good. */
void precheck_rooms(const struct upgrade_plan *u, const struct site *s, struct strv *problems);
/* What is against the image, here and at any time. */
void precheck_image(const struct precheck *c, struct strv *problems);
/* Plugins that were added on the node, and do not fit the image.  A factory reset may lose them. */
void precheck_plugins(const struct precheck *c, struct strv *problems);
/* What is against any upgrade by now, or one that needs so much room. */
void precheck_node(const struct precheck *c, struct strv *problems);
/* One about virtual machines, which a restart would end: those that run, or that nobody knows. */
int precheck_machines(struct strv *problems, struct err *e) MUST_CHECK;
/* -EBUSY: one is in progress, it is named. */
int precheck_no_trial(const struct site *s, struct err *e) MUST_CHECK;
/* -EPERM with problems: the only one, or how many. */
int precheck_result(const struct strv *problems, const char *what, struct err *e) MUST_CHECK;
