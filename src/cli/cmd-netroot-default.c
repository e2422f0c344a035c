/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/netroot-options.h"

struct options {
	const char *tree;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {NETROOT_TREE_OPTION(struct options)};

static int run(const void *parsed, char *const args[], struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;

	return netroot_set_default(o->tree, args[0], e);
}

const struct cli_command cmd_netroot_default = {
	.name = "netroot default",
	.args = "LABEL",
	.summary = "Choose what machines boot that are not told otherwise",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
