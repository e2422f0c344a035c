/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rootfs.img to all that a build delivers: the liveimg, its file list, bill of materials and
 * manifest, as NAME-VERSION.* in one folder.
 *
 * The folder also gets an index of the compressed blocks, from which the next build of the recipe
 * copies those that did not change.
 */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "fmt/squashfs.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/recipe.h"

#define LIVEIMG_SUFFIX ".squashfs.img"
#define LIVEIMG_INDEX  "blocks.index" /* not delivered */
#define SBOM_SUFFIX    ".spdx.json"

struct liveimg_spec {
	const char *tree;          /* folder */
	struct tree *scanned;      /* as of rootfs_make() */
	const char *rootfs_folder; /* of rootfs_make(); NULL: a flat image of the tree */
	const struct recipe *recipe;
	const struct manifest
		*base; /* of the image this one is made from: in the place of a recipe */
	const char *version;
	const char *arch;
	int64_t source_date;
	enum squashfs_compressor compressor;
	int level;
	const char *earlier_folder;       /* what an earlier call made, or NULL */
	struct image *previous;           /* an earlier image, or NULL */
	const struct squashfs_keep *keep; /* blocks of it to copy, or NULL */
	const char *folder;               /* where the files go */
};

int liveimg_make(const struct liveimg_spec *spec, struct progress *p, struct err *e) MUST_CHECK;
