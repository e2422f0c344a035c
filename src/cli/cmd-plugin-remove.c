/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/derived.h"
#include "plugin/remove.h"

struct options {
	struct derived_options derived;
	struct strv plugins;
};

static const struct cli_opt opts[] = {
	DERIVED_OPTIONS(struct options, derived),
	{0, "plugin", "FILE",
		"another plugin of the image that came with this one or after it; may be given several "
		"times",
		OPT_LIST, offsetof(struct options, plugins)},
};

static int remove_from(const struct derive_spec *derive, void *ctx, struct derive_result *out,
	struct progress *p, struct err *e)
{
	struct plugin_remove_spec *spec = ctx;

	spec->derive = *derive;
	return plugin_remove(spec, out, p, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct plugin_remove_spec spec = {.name = args[1], .plugins = o->plugins};

	return derived_run(&o->derived, args[0], remove_from, &spec, p, e);
}

const struct cli_command cmd_plugin_remove = {
	.name = "plugin remove",
	.args = "IMAGE NAME",
	.summary = "Take a plugin out of an image",
	.details =
		"The image from before the plugin was applied comes back, byte for byte and with\n"
		"its signature; the .undo file beside IMAGE is all that is needed for that.\n"
		"Plugins that were applied in the same run or later are applied again: that needs\n"
		"root and each of their files, with --plugin.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 2,
	.max_args = 2,
	.has_progress = true,
	.run = run,
};
