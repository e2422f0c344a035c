/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Last stage of a tree: nothing of one node, of one build or of one moment stays in it.
 *
 * docs/image-tree.md says what is where afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct finish_params {
	const char *image_name;
	const char *image_version;
	const char *recipe;         /* its file name, without folders */
	const char *built_with;     /* "bedplate 0.1.0" */
	int64_t source_date;        /* seconds since 1970 */
	const struct strv *plugins; /* names; NULL: none */
	bool edited;
};

/* Removes what scripts left of logs, caches and identities too; writes /usr/lib/bedplate/image.json. */
int finish_tree(const char *tree_path, const struct finish_params *params, struct err *e)
	MUST_CHECK;
