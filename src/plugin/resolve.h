/* SPDX-License-Identifier: Apache-2.0 */
/* The packages that a plugin for an image has to bring, from given repositories. */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "plugin/solve.h"

struct plugin_resolve_spec {
	const char *image;    /* path */
	struct strv repos;    /* each "URL [OPTION...]", with the options of kickstart's repo */
	struct strv names;    /* of packages */
	const char *cache;    /* folder for what is fetched of repositories */
	const char *download; /* the folder of a plugin: packages go into packages/; or NULL */
};

/*
 * Repositories are fetched and their signatures checked as for building an image.  out starts zeroed.
 * Further errors as of plugin_solve().  -EBADMSG: a package that was fetched has another digest.
 */
int plugin_resolve(const struct plugin_resolve_spec *spec, struct plugin_needs *out, struct err *e)
	MUST_CHECK;
