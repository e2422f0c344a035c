/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/netroot-options.h"
#include "cli/wrong.h"

struct options {
	const char *tree;
	bool json;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{0, "json", NULL, "print what was found as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static int run(const void *parsed, char *const args[] UNUSED, struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct wrong wrong = wrong_begin(o->json);
	const struct netroot_check_spec spec = {
		.tree = o->tree, .found = wrong.found, .ctx = wrong.ctx};
	int r = netroot_check(&spec, p, e);

	wrong_end(&wrong, o->json, r, e);
	return r;
}

const struct cli_command cmd_netroot_check = {
	.name = "netroot check",
	.args = "",
	.summary = "Check that a tree is whole",
	.details =
		"Reads every file and compares it with the database.  What is damaged, missing or\n"
		"not as the database says is named, one a line, and the exit status is 1.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.has_progress = true,
	.run = run,
};
