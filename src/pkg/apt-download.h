/* SPDX-License-Identifier: Apache-2.0 */
/* Package files out of the repositories of a request. */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "pkg/pkg.h"

/* The Packages files that the last refresh() of this request has fetched into cache_dir. */
int apt_indexes(const struct pkg_request *req, const char *cache_dir, struct strv *out,
	struct err *e) MUST_CHECK;

/* Fetch packages, each "NAME=VERSION", into a folder.  apt checks their digests. */
int apt_download(const struct pkg_request *req, const char *cache_dir, const struct strv *packages,
	const char *folder, struct err *e) MUST_CHECK;
