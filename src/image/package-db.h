/* SPDX-License-Identifier: Apache-2.0 */
/* The package database inside a tree: dpkg's status file, or the pieces in status.d. */
#pragma once

#include "base/err.h"
#include "base/tree.h"
#include "image/manifest.h"

#define DPKG_STATUS_MAX_BYTES (64 * MIB)

/*
 * Append installed packages to m->packages and sort them.  Links in the tree are followed inside
 * it.  A tree without a dpkg database has none.
 */
int packages_read(struct tree *t, struct manifest *m, struct err *e) MUST_CHECK;
/* The same from the text of a status file. */
int packages_parse(const char *text, struct manifest *m, struct err *e) MUST_CHECK;
