/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scripts of a kickstart.
 *
 * A script that fails is a warning that names its line and status, or an error when its header has
 * --erroronfail.  Output goes to log_fd, and to the file of --log as well: a path inside the tree,
 * or on the build host for %pre and --nochroot.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"

struct ks_doc;

/* Whether there is anything for scripts_run_pre() to do. */
int scripts_count_pre(const struct ks_doc *doc);

/* Run the %pre scripts on the build host.  The caller parses the kickstart again afterwards. */
int scripts_run_pre(const struct ks_doc *doc, int log_fd, struct err *e) MUST_CHECK;

/* Run the %post scripts in the kickstart's order.  source_date: seconds since 1970. */
int scripts_run_post(const struct ks_doc *doc, const char *tree_path, int64_t source_date,
	int log_fd, struct progress *p, struct err *e) MUST_CHECK;
