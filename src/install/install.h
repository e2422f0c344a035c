/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Install, reinstall, uninstall: every check first, then the steps in order.  See
 * nodectl-install(1).
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

/* Of the running install, on the system that installs. */
#define INSTALL_LOG_PATH "/run/bedplate/install/install.log"

enum install_mode { INSTALL_NEW, INSTALL_AGAIN, INSTALL_REMOVE };

struct install_spec {
	enum install_mode mode;
	const char *kickstart; /* as for source_kickstart(); may be NULL for INSTALL_REMOVE */
	bool dry_run;          /* print the plan, write nothing */
	bool yes;              /* otherwise the plan is printed and nothing is done */
	bool json;             /* plan and result as JSON on out */
	FILE *out;             /* for plan and result; NULL: standard output */
	const char *log_path;  /* everything that is said goes here as well; NULL: nowhere */
};

enum install_end { INSTALL_STAY, INSTALL_REBOOT, INSTALL_POWEROFF, INSTALL_HALT };

/*
 * *end: what the kickstart wants afterwards.  -ECANCELED: the plan was printed, and neither dry_run
 * nor yes is set; other errors as of the steps.  The disks are as they were unless the stage
 * "partitions" of p came before.
 */
int install_run(const struct install_spec *spec, struct progress *p, enum install_end *end,
	struct err *e) MUST_CHECK;
