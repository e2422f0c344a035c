/* SPDX-License-Identifier: Apache-2.0 */
/* What changed from one image to the next: packages, files, and blocks of the file system. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "image/image.h"
#include "image/manifest.h"

enum diff_change { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED, DIFF_MOVED };

struct diff_package {
	enum diff_change change;
	char *name, *arch;
	char *old_version, *new_version; /* NULL for added, removed */
};

struct diff_file {
	enum diff_change change;
	char *path;     /* in the new image; in the old one when removed */
	char *old_path; /* of a moved file */
	uint64_t old_bytes, new_bytes;
	bool content, metadata; /* what changed in DIFF_CHANGED */
};

struct diff_result {
	struct diff_package *packages;
	size_t package_count;
	struct diff_file *files;
	size_t file_count;
	uint64_t old_file_bytes, new_file_bytes;       /* of the image files */
	uint64_t old_content_bytes, new_content_bytes; /* of the regular files in them */
	bool has_blocks;                               /* both hold a file system image, and so: */
	uint64_t old_blocks, new_blocks;               /* of 4096 bytes and not zero */
	uint64_t same_place_blocks;                    /* equal and at the same offset */
	uint64_t moved_blocks;                         /* of new_blocks, elsewhere in the old one */
	/* Regular files with equal content in both, in blocks and how many of these did not move. */
	uint64_t unchanged_files, unchanged_blocks, kept_blocks;
	struct strv relocated; /* unchanged files of which some block moved */
};

void diff_fini(struct diff_result *r);
#define autodiff auto_with(diff_fini) struct diff_result

/* The packages of two trees: only these of *out are filled. */
int diff_packages(struct tree *old_tree, struct tree *new_tree, struct diff_result *out,
	struct err *e) MUST_CHECK;

/* out starts zeroed. */
int image_diff(struct image *old_image, struct image *new_image, struct diff_result *out,
	struct progress *p, struct err *e) MUST_CHECK;
