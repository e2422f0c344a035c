/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "node/check.h"
#include "node/motd.h"
#include "nodectl/commands.h"
#include "nodectl/gather.h"

struct options {
	bool json;
	bool oneline;
	struct strv only;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "oneline", NULL, "only the status", OPT_FLAG, offsetof(struct options, oneline)},
	{0, "only", "ID", "only this group or check, as --json names it; several times: these",
		OPT_LIST, offsetof(struct options, only)},
};

static bool wants_colour(void)
{
	const char *term = getenv("TERM");
	const char *off = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (!off || !*off) && term && !str_eq(term, "dumb");
}

static void show(const struct options *o, const struct check_result *result)
{
	if (o->json) {
		json_print(check_json(result));
		return;
	}
	autofree char *text = o->oneline ? check_line(result, wants_colour())
					 : check_text(result, wants_colour());
	fputs(text, stdout);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autonodestate state = {0};
	autocheckresult result = {0};
	autostrv notices = {0};
	struct err save = {0};

	(void)args;
	(void)p;
	if (o->json && o->oneline) {
		(void)err_set(e, EINVAL, "'--json' and '--oneline' exclude each other");
		return CLI_WRONG_USE;
	}
	int r = nodectl_gather_installed(NODE_LOOK_STORAGE | NODE_LOOK_SYSTEM, &state, e);
	if (r < 0)
		return r;
	node_check(&state, &result);
	if (o->only.count > 0 && check_select(&result, &o->only, e) < 0)
		return CLI_WRONG_USE;
	show(o, &result);
	node_notices(&state, &notices);
	if (o->only.count == 0 && node_result_save(&result, &notices, &save) < 0)
		log_warning("the result is not kept for 'nodectl motd': %s", save.msg);
	return result.status == CHECK_FAILED ? CLI_FAILED : 0;
}

const struct cli_command cmd_check = {
	.name = "check",
	.args = "",
	.summary = "Check whether this node is healthy",
	.details = "Exit status: 0 healthy, also with warnings; 1 something failed; 2 wrong use.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.run = run,
};
