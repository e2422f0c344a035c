/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cli/checks.h"
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

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	auto_derived_input in = {0};
	struct checks checks = checks_begin(o->json);
	struct plugin_verify_spec spec = {
		.trust = o->trust,
		.passed = checks.passed,
		.ctx = checks.ctx,
	};
	int r = derived_input_open(args[0], &in, p, e);

	spec.image = in.image;
	if (r == 0)
		r = plugin_verify(&spec, p, e);
	checks_end(&checks, o->json, r, e);
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
