/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/derived.h"
#include "plugin/applied.h"

struct options {
	struct strv trust;
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "trust", "CERT|DIR",
		"certificate (PEM), or folder of certificates, that the signature must lead to; may "
		"be given several times",
		OPT_LIST, offsetof(struct options, trust)},
	{0, "json", NULL, "print the checks as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_passed(void *ctx UNUSED, const char *what)
{
	autofree char *safe = str_printable(what);

	printf("ok  %s\n", safe);
	fflush(stdout);
}

static void collect(void *ctx, const char *what)
{
	json_array_append_new(ctx, json_text(what));
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	auto_derived_input in = {0};
	json_t *checks = json_array();
	struct plugin_verify_spec spec = {
		.trust = o->trust,
		.passed = o->json ? collect : print_passed,
		.ctx = checks,
	};
	int r = derived_input_open(args[0], &in, p, e);

	spec.image = in.image;
	if (r == 0)
		r = plugin_verify(&spec, p, e);
	if (o->json)
		json_print(json_pack("{s:b,s:O,s:o}", "ok", r == 0, "passed", checks, "error",
			r == 0 ? json_null() : json_text(e->msg)));
	json_decref(checks);
	return r;
}

const struct cli_command cmd_plugin_verify = {
	.name = "plugin verify",
	.args = "IMAGE",
	.summary = "Check the plugins in an image",
	.details =
		"Every file that was in the image before the plugins is as it was, but for those\n"
		"that they declare; every file of a plugin is as the plugin wrote it; the package\n"
		"database is consistent.  The first thing that is wrong ends the command with\n"
		"status 1.  The .undo and .files files beside IMAGE are needed.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
