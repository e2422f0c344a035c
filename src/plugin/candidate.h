/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin on its way into an image, and every check that can be made before anything is done: does it
 * fit the image, do several of them fit together, do their packages keep to what is declared.
 */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "base/tree.h"
#include "image/manifest.h"
#include "plugin/deb.h"
#include "plugin/policy.h"
#include "plugin/read.h"
#include "plugin/record.h"

struct candidate {
	char *path;
	struct source *file;
	uint8_t sha256[SHA256_BYTES];
	struct plugin plugin;
	struct deb_files *debs; /* of each package of the manifest */
	struct plugin_policy *policy;
	const struct plugin_package **install; /* those that the image lacks, in this order */
	size_t install_count;
};

struct candidates {
	struct candidate *items;
	size_t count;
};

void candidates_fini(struct candidates *c);
#define autocandidates auto_with(candidates_fini) struct candidates

/* out starts zeroed.  Errors as of plugin_read(). */
int candidates_read(const struct strv *paths, const struct plugin_demand *demand,
	struct progress *p, struct candidates *out, struct err *e) MUST_CHECK;

/*
 * Of an image of which there is only the manifest: whether the plugin may fit.  -EINVAL, -ENOTUNIQ,
 * -EEXIST: it does not.
 */
int plugin_fits_manifest(
	const struct plugin_manifest *m, const struct manifest *image, struct err *e) MUST_CHECK;

struct candidates_place {
	const struct manifest *image;
	struct tree *tree; /* of the image */
	const struct plugin_records *records;
	const char *work;  /* folder for what libsolv reads */
	const char *where; /* how to say where records are; NULL: "in the image" */
};

/* Fills policy and install.  -EINVAL: a plugin does not fit.  -ENOTUNIQ, -EEXIST: a conflict.
 * -EACCES: a package writes what is not declared. */
int candidates_check(struct candidates *c, const struct candidates_place *place, struct err *e)
	MUST_CHECK;
/* The same without libsolv: all its packages that are not there; dpkg finds what they lack. */
int candidates_check_all(struct candidates *c, const struct candidates_place *place, struct err *e)
	MUST_CHECK;
