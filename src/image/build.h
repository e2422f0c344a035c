/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a recipe to an image: packages, configuration, file system, liveimg, manifest.
 *
 * Each stage is cached (image/stage.h) and runs only when something it is made from has changed.
 * What is written to the output folder appears file by file when all of it is complete.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "fmt/squashfs.h"

struct build_stage_report {
	const char *name;
	bool cached;
	const char *why;
};

struct build_spec {
	const char *recipe;   /* path of the kickstart, or "-" */
	const char *output;   /* folder, made when missing */
	const char *cache;    /* folder, made when missing */
	const char *previous; /* image whose layout is kept, or NULL */
	bool flat;            /* the tree directly in the squashfs, no ext4 image */
	enum squashfs_compressor compressor;
	int level;            /* 0: the compressor's default */
	const char *sign_key; /* PEM files; both or neither */
	const char *sign_cert;
	const char *from; /* stage to run even though it is cached, and all after it; or NULL */
	/* Called before each stage, and told whether and why it runs. */
	void (*on_stage)(void *ctx, const struct build_stage_report *report);
	void *ctx;
};

struct build_result {
	char *name, *version;
	char *image; /* path of the liveimg in the output folder */
	char *manifest;
	uint64_t image_bytes, rootfs_bytes;
	uint64_t kept_blocks, new_blocks; /* of files, against the previous layout; 0 when cached */
};

void build_result_fini(struct build_result *r);

/*
 * Needs root.  Enters a mount namespace of its own, so a process builds once.  out starts zeroed.
 * -EPERM: not root.  -EINVAL: wrong recipe or options.  -EINTR: stopped by a signal; what was
 * complete stays in the cache.
 */
int image_build(const struct build_spec *spec, struct build_result *out, struct progress *p,
	struct err *e) MUST_CHECK;
