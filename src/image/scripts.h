/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scripts of a kickstart.
 *
 * A script that fails is a warning that names its line and status, or an error when its header has
 * --erroronfail.  Output goes to log_fd, and to the file of --log as well: a path inside the tree,
 * or of the host for whatever runs outside.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "ks/model.h"

/* How many %pre there are. */
int scripts_count_pre(const struct ks_doc *doc);

/* Run the %pre scripts, on this machine.  The caller parses the kickstart again afterwards. */
int scripts_run_pre(const struct ks_doc *doc, int log_fd, struct err *e) MUST_CHECK;

struct scripts_env {
	const char *tree_path; /* NULL: there is no tree */
	int64_t source_date;   /* seconds since 1970; 0: the scripts get none */
	int log_fd;
	bool guarded; /* the tree is a copy of the system that runs: chroot_cmd_init_guarded() */
	bool on_node; /* inside the tree, with the devices of this machine */
	/* Of a plugin: %pre runs inside the tree too, and a script that fails is always an error. */
	bool is_plugin;
};

/*
 * Run the scripts of one kind in the kickstart's order: %post inside the tree unless it has
 * --nochroot, the others outside, with INSTALL_ROOT and ANA_INSTALL_PATH where there is a tree.
 * p, if any, advances by one for each.
 */
int scripts_run(const struct ks_doc *doc, enum ks_script_kind kind, const struct scripts_env *env,
	struct progress *p, struct err *e) MUST_CHECK;
