/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Second stage of a tree: the kickstart's commands, then its %post scripts; and the same commands for
 * a node that is being installed.
 *
 * Each command changes files of the tree in place; the order is that of configure_commands()'s
 * table, not of the kickstart, and scripts run in the kickstart's order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"

struct ks_doc;
struct nm_profiles;

struct configure_params {
	/* Password salts and profile UUIDs are derived from it: an image's name, or random. */
	const char *seed;
	int64_t source_date; /* seconds since 1970; the scripts see it as SOURCE_DATE_EPOCH */
	/*
	 * The tree is that of a node, configured once already when its image was made: a command
	 * that is not in the kickstart changes nothing, one that is there replaces what the image's
	 * recipe said, and a user or group that is there already is changed.
	 */
	bool is_node;
	const char *boot_mac;    /* is_node: of the device that was booted from, or NULL */
	const char *link_device; /* is_node: the first wired device with a carrier, or NULL */
	/*
	 * Only what is wrong with the commands is wanted: no program is run, no warning said.  The tree
	 * is a copy of the files that they look at.
	 */
	bool dry_run;
};

/* The commands alone.  Errors as of configure_tree(). */
int configure_commands(const struct ks_doc *doc, const char *tree_path,
	const struct configure_params *params, int log_fd, struct progress *p, struct err *e)
	MUST_CHECK;

/*
 * -EINVAL: FILE:LINE: text, a command that can not be carried out.  Warnings go to log_warning() and
 * into the log.  Needs root and chroot_enter_namespace().
 */
int configure_tree(const struct ks_doc *doc, const char *tree_path,
	const struct configure_params *params, int log_fd, struct progress *p, struct err *e)
	MUST_CHECK;

/* The profiles of "network --activate": those that the installer itself is to use. */
int configure_activated(const struct ks_doc *doc, const struct configure_params *params,
	struct nm_profiles *out, struct err *e) MUST_CHECK;
