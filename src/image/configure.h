/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Second stage of a tree: the kickstart's commands, then its %post scripts.
 *
 * Each command changes files of the tree in place; the order is that of configure_tree()'s table,
 * not of the kickstart, and scripts run in the kickstart's order.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"

struct ks_doc;

struct configure_params {
	const char *image_name; /* password salts and profile UUIDs are derived from it */
	int64_t source_date;    /* seconds since 1970; the scripts see it as SOURCE_DATE_EPOCH */
};

/*
 * -EINVAL: FILE:LINE: text, a command that can not be carried out.  Warnings go to log_warning() and
 * into the log.  Needs root and chroot_enter_namespace().
 */
int configure_tree(const struct ks_doc *doc, const char *tree_path,
	const struct configure_params *params, int log_fd, struct progress *p, struct err *e)
	MUST_CHECK;
