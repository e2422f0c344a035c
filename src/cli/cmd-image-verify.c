/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "image/verify.h"

struct options {
	struct strv trust;
	bool unsigned_ok, json;
};

static const struct cli_opt opts[] = {
	{0, "trust", "CERT|DIR",
		"certificate (PEM), or folder of certificates, that the signature must lead to; may "
		"be given several times",
		OPT_LIST, offsetof(struct options, trust)},
	{0, "unsigned", NULL, "accept an image whose manifest nobody signed", OPT_FLAG,
		offsetof(struct options, unsigned_ok)},
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
	json_t *checks = json_array();
	const struct image_verify_spec spec = {
		.path = args[0],
		.trust = o->trust,
		.unsigned_ok = o->unsigned_ok,
		.passed = o->json ? collect : print_passed,
		.ctx = checks,
	};
	int r = image_verify(&spec, p, e);

	if (o->json)
		json_print(json_pack("{s:b,s:O,s:o}", "ok", r == 0, "passed", checks, "error",
			r == 0 ? json_null() : json_text(e->msg)));
	json_decref(checks);
	return r;
}

const struct cli_command cmd_image_verify = {
	.name = "image verify",
	.args = "FILE",
	.summary = "Check an image against its signed manifest",
	.details = "Every byte is read: the image, the file system in it, its dm-verity tree, the\n"
		   "list of files and the bill of materials.  The first thing that is wrong ends\n"
		   "the command with status 1.  Without --trust a signature proves nothing and\n"
		   "--unsigned is needed.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
