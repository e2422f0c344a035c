/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/derived.h"
#include "plugin/apply.h"

struct options {
	struct derived_options derived;
};

static const struct cli_opt opts[] = {
	DERIVED_OPTIONS(struct options, derived),
};

static int apply_to(const struct derive_spec *derive, void *ctx, struct derive_result *out,
	struct progress *p, struct err *e)
{
	struct plugin_apply_spec *spec = ctx;

	spec->derive = *derive;
	return plugin_apply(spec, out, p, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct plugin_apply_spec spec = {0};
	autostrv plugins = {0};

	for (size_t i = 1; args[i]; i++)
		strv_add(&plugins, args[i]);
	spec.plugins = plugins;
	return derived_run(&o->derived, args[0], apply_to, &spec, p, e);
}

const struct cli_command cmd_plugin_apply = {
	.name = "plugin apply",
	.args = "IMAGE PLUGIN...",
	.summary = "Make an image with plugins in it",
	.details = "Needs root and no network.  IMAGE stays as it is; in the folder OUT appear\n"
		   "NAME-VERSION+PLUGIN1.PLUGIN2.squashfs.img and what belongs to it, among that\n"
		   ".undo, with which 'plugin remove' gives IMAGE back.  Of an ISO comes an ISO.\n"
		   "Everything is checked before anything appears: that the plugins fit the image\n"
		   "and each other, and that they write nothing that they do not declare.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 2,
	.max_args = 100,
	.has_progress = true,
	.run = run,
};
