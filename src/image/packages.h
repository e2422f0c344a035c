/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First stage of a tree: packages installed, and what depends on packages alone.
 *
 * The result is cached by key and only ever copied: cp -a --reflink=auto.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "pkg/pkg.h"

/* Version of what this stage makes of packages; part of the cache key. */
#define PACKAGES_STAGE_VERSION 2

/*
 * Install, then: kernel modules decompressed and indexed, the package database moved to
 * /usr/lib/bedplate, and all that differs from one run to the next removed.  tree_path is an empty
 * folder.  A failure leaves it half filled; the caller removes it.
 */
int packages_tree(struct pkg_request *req, const char *cache_dir, const char *tree_path, int log_fd,
	struct progress *p, struct err *e) MUST_CHECK;
