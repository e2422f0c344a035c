/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/netroot-options.h"

struct options {
	const char *tree;
	bool json;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{0, "json", NULL, "print what was found as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_wrong(void *ctx UNUSED, const char *path, const char *problem)
{
	autofree char *shown = str_printable(path);

	printf("%s: %s\n", shown, problem);
}

static void collect(void *ctx, const char *path, const char *problem)
{
	json_array_append_new(ctx,
		json_pack("{s:o,s:o}", "file", json_text(path), "problem", json_text(problem)));
}

static int run(const void *parsed, char *const args[] UNUSED, struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	json_t *wrong = json_array();
	const struct netroot_check_spec spec = {
		.tree = o->tree, .found = o->json ? collect : print_wrong, .ctx = wrong};
	int r = netroot_check(&spec, p, e);

	if (o->json)
		json_print(json_pack("{s:b,s:O,s:o}", "ok", r == 0, "wrong", wrong, "error",
			r == 0 ? json_null() : json_text(e->msg)));
	else if (r == 0)
		puts("good");
	json_decref(wrong);
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
