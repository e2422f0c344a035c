/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "media/media.h"

struct options {
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print what was found as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_wrong(void *ctx UNUSED, const char *file, const char *problem)
{
	printf("%s: %s\n", file, problem);
}

static void collect(void *ctx, const char *file, const char *problem)
{
	json_array_append_new(
		ctx, json_pack("{s:o,s:s}", "file", json_text(file), "problem", problem));
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	json_t *wrong = json_array();
	const struct media_verify_spec spec = {
		.path = args[0],
		.found = o->json ? collect : print_wrong,
		.ctx = wrong,
	};
	int r = media_verify(&spec, p, e);

	if (o->json)
		json_print(json_pack("{s:b,s:O,s:o}", "ok", r == 0, "wrong", wrong, "error",
			r == 0 ? json_null() : json_text(e->msg)));
	else if (r == 0)
		puts("good");
	json_decref(wrong);
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
