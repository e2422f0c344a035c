/* SPDX-License-Identifier: Apache-2.0 */
#include "install/boot-install.h"
#include "nodectl/commands.h"

static int run(UNUSED const void *parsed, UNUSED char *const args[], UNUSED struct progress *p,
	struct err *e)
{
	/* The consoles have seen the error; the journal gets it from there. */
	return boot_install(e) < 0 ? CLI_FAILED : 0;
}

const struct cli_command cmd_boot_install = {
	.name = "boot-install",
	.args = "",
	.summary = "Do what the kernel command line asks for",
	.details = "Started by bedplate-install.service on a live system.  Without inst.ks=,\n"
		   "install, reinstall or uninstall on the kernel command line it does nothing.\n",
	.run = run,
};
