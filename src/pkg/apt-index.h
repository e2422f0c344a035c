/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names in the Packages files that apt has fetched, and what the wishes of a request come to.
 *
 * Which version is installed, and what it needs, is left to apt.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "pkg/pkg.h"

struct apt_index;

struct apt_index *apt_index_new(void) MUST_CHECK;
void apt_index_free(struct apt_index *x);
DEFINE_AUTOPTR(apt_index, apt_index_free)

/* Add a Packages file, uncompressed. */
int apt_index_add(struct apt_index *x, const char *path, struct err *e) MUST_CHECK;
/* The same from memory that outlives the index. */
void apt_index_add_text(struct apt_index *x, const char *text, size_t len);
/* After the last one is added, before the first question. */
void apt_index_sort(struct apt_index *x);

/*
 * Expand the wishes into req->install and req->exclude.  -ENOENT: FILE:LINE: no package matches
 * 'x'; with ignoremissing that is a warning.  -EINVAL: an essential package is excluded.
 */
int apt_index_expand(const struct apt_index *x, struct pkg_request *req, struct err *e) MUST_CHECK;
