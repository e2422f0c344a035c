/* SPDX-License-Identifier: Apache-2.0 */
/* What a factory reset keeps of a layer. */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "base/tree.h"

/*
 * keep has paths, and the names "network", "accounts" and "ssh"; out gets paths without a leading
 * '/', with those in it that are always kept.  -EINVAL: neither.
 */
int fresh_paths(const struct strv *keep, struct strv *out, struct err *e) MUST_CHECK;
/* Only these and what is below them stay in the upper half of a layer. */
void fresh_filter(struct tree *upper, const struct strv *paths);
