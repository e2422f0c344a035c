/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/wrong.h"
#include "media/media.h"

struct options {
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print what was found as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct wrong wrong = wrong_begin(o->json);
	const struct media_verify_spec spec = {
		.path = args[0], .found = wrong.found, .ctx = wrong.ctx};
	int r = media_verify(&spec, p, e);

	wrong_end(&wrong, o->json, r, e);
	return r;
}

const struct cli_command cmd_media_verify = {
	.name = "media verify",
	.args = "FILE.iso|FOLDER",
	.summary = "Check a medium against its own checksums",
	.details =
		"Every file of an ISO, its EFI system partition, or every file of a folder (PXE,\n"
		"a mounted medium) is compared with the file SHA256SUMS on it.  What is damaged,\n"
		"missing or not listed is named, one a line, and the exit status is 1.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
