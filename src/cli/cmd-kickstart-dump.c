/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"
#include "cli/commands.h"
#include "ks/ks.h"

struct options {
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print the model as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static int print_errors(const struct ks_doc *doc)
{
	for (size_t i = 0; i < ks_problem_count(doc); i++) {
		const struct ks_problem *p = ks_problem_at(doc, i);

		if (!p->is_warning) {
			autofree char *file = str_printable(p->file);
			autofree char *text = str_printable(p->text);

			fprintf(stderr, "%s:%u: %s\n", file, p->line, text);
		}
	}
	return CLI_FAILED;
}

static int run(const void *parsed, char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autoptr(ks_doc) doc = NULL;
	autofree char *text = NULL;
	int r = ks_parse_file(args[0], NULL, &doc, e);

	if (r < 0)
		return r;
	if (ks_error_count(doc) > 0)
		return print_errors(doc);
	text = o->json ? ks_json(doc) : ks_canonical(doc);
	printf("%s%s", text, o->json ? "\n" : "");
	return 0;
}

const struct cli_command cmd_kickstart_dump = {
	.name = "kickstart dump",
	.args = "FILE",
	.summary = "Print a kickstart file in canonical form",
	.details = "FILE may be '-' for standard input.  A file with errors is not printed: the\n"
		   "errors are listed on standard error and the exit status is 1.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
