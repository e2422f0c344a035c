/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "cli/cache.h"
#include "cli/commands.h"
#include "cli/derived.h"
#include "plugin/edit.h"

struct options {
	struct derived_options derived;
	struct strv steps, repos;
	bool shell;
	const char *cache, *version;
};

static const struct cli_opt opts[] = {
	{0, "packages", "NAME,...",
		"install packages: names, or paths of .deb files; may be given several times",
		OPT_STEPS, offsetof(struct options, steps)},
	{0, "copy", "SRC:DST",
		"copy a file or folder of this machine to a path in the image; may be given several "
		"times",
		OPT_STEPS, offsetof(struct options, steps)},
	{0, "run", "SCRIPT",
		"run a script of this machine in the image; may be given several times", OPT_STEPS,
		offsetof(struct options, steps)},
	{0, "shell", NULL,
		"open a shell in the image, after all else; a status other than 0 ends the command",
		OPT_FLAG, offsetof(struct options, shell)},
	{0, "repo", "REPO",
		"repository for --packages, as of 'plugin resolve' (default: those of the image)",
		OPT_LIST, offsetof(struct options, repos)},
	{0, "cache", "DIR",
		"folder for what is fetched of repositories (default: ~/.cache/bedplate)",
		OPT_STRING, offsetof(struct options, cache)},
	{0, "version", "VERSION", "of the new image (default: the image's and '+edit')", OPT_STRING,
		offsetof(struct options, version)},
	DERIVED_OPTIONS(struct options, derived),
};

static int edit(const struct derive_spec *derive, void *ctx, struct derive_result *out,
	struct progress *p, struct err *e)
{
	struct image_edit_spec *spec = ctx;

	spec->derive = *derive;
	return image_edit(spec, out, p, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autofree char *cache = o->cache ? xstrdup(o->cache) : cache_default();
	struct image_edit_spec spec = {.steps = o->steps,
		.shell = o->shell,
		.repos = o->repos,
		.cache = cache,
		.version = o->version};

	if (o->steps.count == 0 && !o->shell) {
		err_set(e, EINVAL, "nothing to do: give --packages, --copy, --run or --shell");
		return CLI_WRONG_USE;
	}
	return derived_run(&o->derived, args[0], edit, &spec, p, e);
}

const struct cli_command cmd_image_edit = {
	.name = "image edit",
	.args = "IMAGE",
	.summary = "Change an image by hand into another one",
	.details =
		"Needs root.  The steps are done in the order in which they are given; when all\n"
		"went well, the new image and what belongs to it appear in OUT, an ISO for an\n"
		"ISO.  It is marked as edited: in its manifest, in 'nodectl info' and at login on\n"
		"its nodes.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
