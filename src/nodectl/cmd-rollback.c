/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "nodectl/commands.h"
#include "nodectl/plugin-site.h"
#include "nodectl/restart.h"
#include "upgrade/upgrade.h"

struct options {
	const char *to;
	bool with_var, dry_run, json, reboot, allow_running_vms;
};

static const struct cli_opt opts[] = {
	{0, "to", "LAYER", "not the one that ran before, but this one", OPT_STRING,
		offsetof(struct options, to)},
	{0, "with-var", NULL, "also bring /var back as it was when that layer was left", OPT_FLAG,
		offsetof(struct options, with_var)},
	{0, "dry-run", NULL, "say which layer it would be, and change nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "reboot", NULL, "restart into that layer", OPT_FLAG, offsetof(struct options, reboot)},
	{0, "allow-running-vms", NULL, "restart also with virtual machines running", OPT_FLAG,
		offsetof(struct options, allow_running_vms)},
};

/* Whoever goes back may have to because of that: only what is in progress is in the way. */
static int take_back_plugins(struct err *e)
{
	struct err own = {0};
	int r = plugin_site_mend(&own);

	if (r == -EBUSY)
		return err_set(e, EBUSY, "%s", own.msg);
	if (r < 0)
		log_warning("%s", own.msg);
	return 0;
}

static int run(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct rollback_spec spec = {
		.to = o->to,
		.with_var = o->with_var,
		.dry_run = o->dry_run,
	};
	autofree char *layer = NULL;
	int r = o->reboot && !o->allow_running_vms ? upgrade_check_restart(e) : 0;

	/* Of this layer's notes, which the other one does not have: /var is that of both. */
	if (r == 0 && !o->dry_run)
		r = take_back_plugins(e);
	if (r == 0)
		r = rollback_run(&spec, &layer, e);
	if (o->json)
		restart_print_json(o->dry_run ? "planned" : "done", layer, r, e);
	else if (r == 0 && o->dry_run)
		printf("%s would boot next.\nNothing was changed.\n", layer);
	else if (r == 0)
		printf("bedplate: %s boots next\n", layer);
	return r == 0 && o->reboot && !o->dry_run ? restart_node(e) : r;
}

const struct cli_command cmd_rollback = {
	.name = "rollback",
	.args = "",
	.summary = "Go back to the layer that ran before",
	.details = "It boots next, and by default from then on.  While an upgrade waits for its\n"
		   "trial, that is called off.  Forward again is --to with the newer layer.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.run = run,
};
