/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/netroot-options.h"

struct options {
	const char *tree;
	bool dry_run, all;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{0, "all", NULL, "also the image that each label had before", OPT_FLAG,
		offsetof(struct options, all)},
	{0, "dry-run", NULL, "print what would go, delete nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
};

static void print_found(void *ctx UNUSED, const char *path, uint64_t bytes)
{
	autofree char *size = str_bytes(bytes);
	autofree char *shown = str_printable(path);

	printf("%s  %s\n", shown, size);
	fflush(stdout);
}

static int run(
	const void *parsed, char *const args[] UNUSED, struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;
	const struct netroot_gc_spec spec = {
		.tree = o->tree, .dry_run = o->dry_run, .all = o->all, .found = print_found};

	return netroot_gc(&spec, e);
}

const struct cli_command cmd_netroot_gc = {
	.name = "netroot gc",
	.args = "",
	.summary = "Delete images that nothing offers any more",
	.details =
		"The image that a label had before stays, for the clients that still run from\n"
		"it: they would lose their root.  Look with --dry-run first.  Also deletes what\n"
		"commands that were cut off have left.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.run = run,
};
