/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of configure_tree() share; one file for each group of kickstart commands. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"
#include "image/configure.h"
#include "ks/model.h"

struct configure {
	const struct ks_doc *doc;
	const struct configure_params *params;
	const char *tree_path;
	int root_fd;
	int log_fd;
};

/* "FILE:LINE: text" of the command, as an error and as a warning. */
int configure_error(const struct ks_cmd *c, struct err *e, const char *fmt, ...) PRINTF(3, 4);
void configure_warn(const struct configure *cf, const struct ks_cmd *c, const char *fmt, ...)
	PRINTF(3, 4);
/* Put "FILE:LINE: " in front of an error from below. */
int configure_wrap(const struct ks_cmd *c, int r, struct err *e);

/* Run a program in the tree; its arguments end with NULL. */
int configure_run(const struct configure *cf, const char *const argv[], struct err *e) MUST_CHECK;
/* systemctl VERB UNIT in the tree.  -EPROTO when it does not know the unit. */
int configure_systemctl(
	const struct configure *cf, const char *verb, const char *unit, struct err *e) MUST_CHECK;

int configure_lang(struct configure *cf, struct err *e) MUST_CHECK;
int configure_keyboard(struct configure *cf, struct err *e) MUST_CHECK;
int configure_timezone(struct configure *cf, struct err *e) MUST_CHECK;
int configure_timesource(struct configure *cf, struct err *e) MUST_CHECK;
int configure_users(struct configure *cf, struct err *e) MUST_CHECK;
int configure_sshkeys(struct configure *cf, struct err *e) MUST_CHECK;
int configure_selinux(struct configure *cf, struct err *e) MUST_CHECK;
int configure_network(struct configure *cf, struct err *e) MUST_CHECK;
int configure_firewall(struct configure *cf, struct err *e) MUST_CHECK;
int configure_services(struct configure *cf, struct err *e) MUST_CHECK;
int configure_bootloader(struct configure *cf, struct err *e) MUST_CHECK;
