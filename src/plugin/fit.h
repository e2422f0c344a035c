/* SPDX-License-Identifier: Apache-2.0 */
/* What candidates_check() is made of.  Internal to plugin/. */
#pragma once

#include "plugin/candidate.h"

/* Image, architecture, modules and other plugins; sets policy of each. */
int fit_check_names(struct candidates *c, const struct candidates_place *place, struct err *e)
	MUST_CHECK;
bool fit_has_packages(const struct candidates *c);
/* The text of dpkg's status file, with an empty line at its end. */
int fit_read_status(struct tree *t, struct strbuf *out, struct err *e) MUST_CHECK;
/* A package of these names is that of the plugin, or the same one of the image. */
int fit_check_versions(const struct candidate *x, const char *status, const struct strv *names,
	struct err *e) MUST_CHECK;
/* Each file of each package to install. */
int fit_check_writes(
	const struct candidates *c, const struct candidates_place *place, struct err *e) MUST_CHECK;
