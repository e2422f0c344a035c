/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages are missing: libsolv over an image's package database and Packages files. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct plugin_need {
	char *name, *version, *arch;
	bool has_sha256;
	uint8_t sha256[SHA256_BYTES];
	size_t step; /* in the order in which they can be installed, from 0 */
};

struct plugin_needs {
	struct plugin_need *items; /* sorted by name */
	size_t count;
	struct strv present; /* of the names asked for: the image has them */
};

void plugin_needs_fini(struct plugin_needs *n);
#define auto_plugin_needs auto_with(plugin_needs_fini) struct plugin_needs

struct plugin_solve_spec {
	const char *status;  /* text of dpkg's status file */
	struct strv indexes; /* paths of Packages files */
	struct strv names;
	const char *arch; /* "amd64" */
};

/*
 * What has to be installed so that names are there: the image's packages stay as they are, and
 * recommended packages are not wanted.  out starts zeroed.  -ENOENT: no such package.  -ENOTUNIQ: what
 * excludes what, in words.
 */
int plugin_solve(const struct plugin_solve_spec *spec, struct plugin_needs *out, struct err *e)
	MUST_CHECK;

/* Whether what is installed has all that it depends on.  -EBADMSG: what is missing, in words. */
int plugin_solve_check(const char *status, const char *arch, struct err *e) MUST_CHECK;
