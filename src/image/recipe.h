/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kickstart an image is built from, parsed and checked for building.
 *
 * Its %pre scripts have run: they may write files that it includes.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "ks/model.h"

struct recipe {
	char *path;
	char *file; /* its last component: all of the path that an image may know */
	struct ks_doc *doc;
	char *name;    /* "node": the image command's, or the file's name */
	char *version; /* NULL: to be made from the date of the repositories */
	char *upgrades_from_min, *upgrades_from_max; /* versions, both included; NULL: no limit */
	uint64_t fs_size_bytes; /* of part /, 0: as large as the content needs */
	bool fs_discard;        /* its --fsoptions=discard */
	char *canonical;        /* the whole, in canonical form */
	char *commands;         /* its commands alone */
	char *scripts;          /* its %post scripts alone */
};

void recipe_free(struct recipe *r);
DEFINE_AUTOPTR(recipe, recipe_free)

/*
 * Wrong kickstart is -EINVAL with the first problem as "FILE:LINE: text"; warnings are logged.
 * Output of %pre goes to log_fd.
 */
int recipe_load(const char *path, int log_fd, struct recipe **out, struct err *e) MUST_CHECK;
