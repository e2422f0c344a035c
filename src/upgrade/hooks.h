/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administrator's own steps: executables in /etc/bedplate/hooks.d/EVENT/, in order of their
 * names.  Environment: BEDPLATE_EVENT, BEDPLATE_FROM, BEDPLATE_TO.
 */
#pragma once

#include "base/err.h"

/* "pre-upgrade", "post-upgrade", "pre-rollback", "post-rollback", "on-boot", "on-new-image". */
struct hook_event {
	const char *name;
	const char *from, *to; /* layers; NULL: none */
};

/* The first that fails ends it: -EPERM, with its name and last line. */
int hooks_run(const struct hook_event *event, struct err *e) MUST_CHECK;
