/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "nodectl/commands.h"
#include "nodectl/gather.h"
#include "upgrade/upgrade.h"

struct options {
	const char *reason;
};

static const struct options defaults = {.reason = "an administrator said so"};

static const struct cli_opt opts[] = {
	{0, "reason", "TEXT", "why, for the history and the message of the day", OPT_STRING,
		offsetof(struct options, reason)},
};

static int run_bless(UNUSED const void *parsed, UNUSED char *const args[],
	UNUSED struct progress *p, struct err *e)
{
	autonodestate state = {0};
	int r = nodectl_gather_installed(NODE_LOOK_FILES, &state, e);

	if (r == 0)
		r = upgrade_bless(0, e);
	if (r < 0)
		return r;
	printf(r == 1 ? "Layer %s is the default already.\n" : "Layer %s is the default now.\n",
		state.layer);
	return 0;
}

static int run_unbless(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autonodestate state = {0};
	int r = nodectl_gather_installed(NODE_LOOK_FILES, &state, e);

	if (r == 0)
		r = upgrade_unbless(0, o->reason, e);
	if (r < 0)
		return r;
	printf("Layer %s is not good: the one before it boots next.\n", state.layer);
	return 0;
}

const struct cli_command cmd_bless = {
	.name = "bless",
	.args = "",
	.summary = "Keep the layer that is on trial",
	.details = "It becomes the default at once, whatever the health checks say.\n",
	.run = run_bless,
};

const struct cli_command cmd_unbless = {
	.name = "unbless",
	.args = "",
	.summary = "Give up the layer that is on trial",
	.details = "The layer before it boots next; nothing is restarted now.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.run = run_unbless,
};
