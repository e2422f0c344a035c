/* SPDX-License-Identifier: Apache-2.0 */
/* install and reinstall differ in what they keep only. */
#include <errno.h>

#include "install/install.h"
#include "nodectl/commands.h"

struct options {
	const char *kickstart;
	bool dry_run, yes, json;
};

static const struct cli_opt opts[] = {
	{'k', "kickstart", "WHERE",
		"a file, or a URL: http, https, ftp, file, hd:LABEL=NAME:/PATH, cdrom:/PATH",
		OPT_STRING, offsetof(struct options, kickstart)},
	{0, "dry-run", NULL, "print what would be erased and made, and write nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
	{0, "yes", NULL, "do it; without it the plan is printed and nothing is written", OPT_FLAG,
		offsetof(struct options, yes)},
	{0, "json", NULL, "print plan and result as JSON, one object a line", OPT_FLAG,
		offsetof(struct options, json)},
};

static int run_mode(
	enum install_mode mode, const struct options *o, struct progress *p, struct err *e)
{
	const struct install_spec spec = {
		.mode = mode,
		.kickstart = o->kickstart,
		.dry_run = o->dry_run,
		.yes = o->yes,
		.json = o->json,
		.log_path = INSTALL_LOG_PATH,
	};
	enum install_end end;

	if (mode != INSTALL_REMOVE && !o->kickstart) {
		err_set(e, EINVAL, "option '--kickstart' is missing");
		return CLI_WRONG_USE;
	}
	/* Whoever typed the command restarts the machine as well. */
	return install_run(&spec, p, &end, e);
}

static int run_install(
	const void *parsed, UNUSED char *const args[], struct progress *p, struct err *e)
{
	return run_mode(INSTALL_NEW, parsed, p, e);
}

static int run_reinstall(
	const void *parsed, UNUSED char *const args[], struct progress *p, struct err *e)
{
	return run_mode(INSTALL_AGAIN, parsed, p, e);
}

static int run_uninstall(
	const void *parsed, UNUSED char *const args[], struct progress *p, struct err *e)
{
	return run_mode(INSTALL_REMOVE, parsed, p, e);
}

const struct cli_command cmd_install = {
	.name = "install",
	.args = "",
	.summary = "Install a node as a kickstart says",
	.details =
		"Everything is checked before anything is written: kickstart, image, signature,\n"
		"disks, memory.  The disks that the kickstart names are erased.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.has_progress = true,
	.run = run_install,
};

const struct cli_command cmd_reinstall = {
	.name = "reinstall",
	.args = "",
	.summary = "Install anew over the node that is here",
	.details =
		"Partitions stay; the node's images, layers and volumes are made anew.  Foreign\n"
		"partitions and volumes stay.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.has_progress = true,
	.run = run_reinstall,
};

const struct cli_command cmd_uninstall = {
	.name = "uninstall",
	.args = "",
	.summary = "Remove the node that is here",
	.details = "Its images, layers, volumes, partitions and boot entries go.  Foreign disks,\n"
		   "volumes and boot entries stay.\n",
	.opts = opts + 1,
	.opt_count = ARRAY_LEN(opts) - 1,
	.opts_size = sizeof(struct options),
	.has_progress = true,
	.run = run_uninstall,
};
