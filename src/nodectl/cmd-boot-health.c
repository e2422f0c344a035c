/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "nodectl/commands.h"
#include "upgrade/boot-health.h"

static int run(UNUSED const void *parsed, UNUSED char *const args[], UNUSED struct progress *p,
	struct err *e)
{
	return upgrade_boot_health(e);
}

const struct cli_command cmd_boot_health = {
	.name = "boot-health",
	.args = "",
	.summary = "Decide whether the layer on trial is good",
	.details = "Started by bedplate-health.service at the end of each boot.  A layer that is\n"
		   "not good is given up, and the machine restarts.\n",
	.run = run,
};
