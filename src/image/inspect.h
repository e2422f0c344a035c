/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say about an image, with or without a manifest beside it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "image/image.h"
#include "image/manifest.h"

struct inspect_result {
	char *path;
	enum image_kind kind;
	/* From the manifest, else from the image itself; NULL when neither says. */
	char *name, *version, *arch, *title;
	bool has_manifest, has_signature;
	uint64_t file_bytes;
	uint64_t rootfs_bytes;  /* 0: flat */
	uint64_t content_bytes; /* of all regular files, each once */
	uint64_t files;
	char *compressor; /* NULL: not compressed */
	uint32_t block_bytes;
	int64_t time;
	struct manifest_kernel *kernels; /* newest first */
	size_t kernel_count;
	struct manifest_package *packages; /* as the package database in the image says */
	size_t package_count;
	struct manifest manifest; /* zeroed without one */
};

void inspect_fini(struct inspect_result *r);
#define autoinspect auto_with(inspect_fini) struct inspect_result

/* out starts zeroed. */
int image_inspect(struct image *img, struct inspect_result *out, struct err *e) MUST_CHECK;
