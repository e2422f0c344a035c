/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "image/carrier.h"

struct options {
	const char *output, *version;
	bool allow_unsigned, json;
};

static const struct options defaults = {.output = "."};

static const struct cli_opt opts[] = {
	{'o', "output", "DIR", "folder for the package (default: the current one)", OPT_STRING,
		offsetof(struct options, output)},
	{0, "version", "V", "version of the package (default: that of the image)", OPT_STRING,
		offsetof(struct options, version)},
	{0, "allow-unsigned", NULL, "nodes take the image without a signature", OPT_FLAG,
		offsetof(struct options, allow_unsigned)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct carrier_spec spec = {.image = args[0],
		.folder = o->output,
		.version = o->version,
		.allow_unsigned = o->allow_unsigned};
	autofree char *path = NULL;
	int r = carrier_write(&spec, &path, p, e);

	if (r < 0)
		return r;
	if (o->json)
		json_print(json_pack("{s:o}", "package", json_text(path)));
	else
		puts(path);
	return 0;
}

const struct cli_command cmd_image_package = {
	.name = "image package",
	.args = "IMAGE",
	.summary = "Put an image into a Debian package that upgrades nodes",
	.details = "Makes NAME-image-update_VERSION_ARCH.deb.  A node offers it as an upgrade of\n"
		   "the package of this name that came with its image; installing it upgrades the\n"
		   "node into a new layer, which is tried at the next boot.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
