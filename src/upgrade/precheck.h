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
void precheck_judge(const struct precheck *c, struct strv *problems);
/* One about virtual machines, which a restart would end: those that run, or that nobody knows. */
int precheck_machines(struct strv *problems, struct err *e) MUST_CHECK;
/* -EBUSY: one is in progress, it is named. */
int precheck_no_trial(const struct site *s, struct err *e) MUST_CHECK;
/* -EPERM with problems: the only one, or how many. */
int precheck_result(const struct strv *problems, const char *what, struct err *e) MUST_CHECK;
