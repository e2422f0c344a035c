/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administrator's own steps: executables in /etc/bedplate/hooks.d/EVENT/, in order of their
 * names.  Environment: BEDPLATE_EVENT, BEDPLATE_FROM, BEDPLATE_TO (the last two may be empty).
 *
 * Names are [A-Za-z0-9._-]+ without a leading '.' and ".dpkg-"; folders and files are root's and nobody
 * else may write to them.  Each has ten minutes; what it says goes to stderr.
 */
#pragma once

#include "base/err.h"

/* "pre-upgrade", "post-upgrade", "pre-rollback", "post-rollback", "on-boot", "on-new-image". */
struct hook_event {
	const char *name;
	const char *from, *to; /* layers; NULL: none */
};

/* The first that fails ends it: -EPERM, with its name and last line.  No folder: nothing to do. */
int hooks_run(const struct hook_event *event, struct err *e) MUST_CHECK;
/* The same from another folder, which has one for each event; for tests. */
int hooks_run_in(const char *folder, unsigned seconds, const struct hook_event *event,
	struct err *e) MUST_CHECK;
