/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "plugin/pack.h"

struct options {
	const char *output, *sign_key, *sign_cert;
	bool json;
};

static const struct cli_opt opts[] = {
	{'o', "output", "FILE", "the plugin, or a folder for it (default: NAME-VERSION.plugin)",
		OPT_STRING, offsetof(struct options, output)},
	{0, "sign-key", "FILE", "sign it with this private key (PEM)", OPT_STRING,
		offsetof(struct options, sign_key)},
	{0, "sign-cert", "FILE", "the key's certificate (PEM)", OPT_STRING,
		offsetof(struct options, sign_cert)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct plugin_pack_spec spec = {
		.folder = args[0],
		.output = o->output,
		.sign_key = o->sign_key,
		.sign_cert = o->sign_cert,
	};
	autofree char *path = NULL;
	int r;

	if (!o->sign_key != !o->sign_cert) {
		err_set(e, EINVAL, "--sign-key and --sign-cert go together");
		return CLI_WRONG_USE;
	}
	r = plugin_pack(&spec, p, &path, e);
	if (r < 0)
		return r;
	if (o->json)
		json_print(json_pack("{s:o}", "plugin", json_text(path)));
	else
		printf("%s\n", path);
	return 0;
}

const struct cli_command cmd_plugin_pack = {
	.name = "plugin pack",
	.args = "DIR",
	.summary = "Make a plugin out of a folder",
	.details =
		"DIR holds plugin.json, recipe.ks, packages/*.deb and, if there are any, tests/.\n"
		"Hidden files are left out.  The same folder gives the same bytes.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
