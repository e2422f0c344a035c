/* SPDX-License-Identifier: Apache-2.0 */
/* Carry out a plugin's recipe in the tree of an image. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "plugin/candidate.h"

struct plugin_place {
	const char *tree_path;
	int root_fd; /* of it */
	int64_t source_date;
	int log_fd;
	bool on_node; /* a node that runs, or a copy of it: only what the plugin itself does */
};

/*
 * %pre, packages, services, ports, kernel arguments, %post; then what belongs to the moment is removed.
 * On a node neither arguments nor that.
 * Needs root and chroot_enter_namespace().
 */
int plugin_install(const struct candidate *x, const struct plugin_place *place, struct err *e)
	MUST_CHECK;

/* Remove packages with all that they have configured. */
int plugin_remove_debs(const struct plugin_place *place, const struct strv *names, struct err *e)
	MUST_CHECK;

/* Install packages that lie in folder, a path inside the tree; files in the order for dpkg. */
int plugin_install_debs(const struct plugin_place *place, const char *folder,
	const struct strv *files, struct err *e) MUST_CHECK;
