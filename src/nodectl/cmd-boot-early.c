/* SPDX-License-Identifier: Apache-2.0 */
#include "nodectl/commands.h"
#include "upgrade/upgrade.h"

static int run(UNUSED const void *parsed, UNUSED char *const args[], UNUSED struct progress *p,
	struct err *e)
{
	return upgrade_boot(e);
}

const struct cli_command cmd_boot_early = {
	.name = "boot-early",
	.args = "",
	.summary = "Finish what was begun before this boot",
	.details = "Started by bedplate-boot.service, before anything is mounted.\n",
	.run = run,
};
