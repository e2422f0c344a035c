/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/bedplate/upgrade.conf: "NAME = VALUE" lines, see nodectl-upgrade(1). */
#pragma once

#include "base/err.h"

#define SETTINGS_PATH "/etc/bedplate/upgrade.conf"

struct settings {
	unsigned keep;                    /* images: 2 */
	unsigned tries;                   /* of a trial: 3 */
	unsigned health_deadline_seconds; /* of a trial boot, from its start: 600 */
};

/* Defaults when there is no file.  -EINVAL: FILE:LINE and what was expected. */
int settings_read(int root_fd, struct settings *out, struct err *e) MUST_CHECK;
