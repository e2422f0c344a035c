/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cli/checks.h"
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

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct checks checks = checks_begin(o->json);
	const struct image_verify_spec spec = {
		.path = args[0],
		.trust = o->trust,
		.unsigned_ok = o->unsigned_ok,
		.passed = checks.passed,
		.ctx = checks.ctx,
	};
	int r = image_verify(&spec, p, e);

	checks_end(&checks, o->json, r, e);
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
