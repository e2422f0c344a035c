/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "nodectl/commands.h"
#include "nodectl/restart.h"
#include "upgrade/upgrade.h"

struct options {
	struct strv keep;
	bool dry_run, yes, json, reboot, allow_running_vms;
};

static const struct cli_opt opts[] = {
	{0, "keep", "LIST", "paths, network, accounts, ssh; with commas, or several times",
		OPT_LIST, offsetof(struct options, keep)},
	{0, "dry-run", NULL, "say which layer it would be, and change nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
	{0, "yes", NULL, "do it", OPT_FLAG, offsetof(struct options, yes)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "reboot", NULL, "restart into the new layer", OPT_FLAG,
		offsetof(struct options, reboot)},
	{0, "allow-running-vms", NULL, "restart also with virtual machines running", OPT_FLAG,
		offsetof(struct options, allow_running_vms)},
};

static void split(const struct strv *lists, struct strv *out)
{
	for (size_t i = 0; i < lists->count; i++) {
		char *rest = lists->items[i];

		for (char *item; (item = str_next_word(&rest, ","));)
			strv_add(out, item);
	}
}

static int run(const void *parsed, UNUSED char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const bool look = o->dry_run || !o->yes;
	autofree char *layer = NULL;
	autostrv keep = {0};

	split(&o->keep, &keep);
	int r = o->reboot && !o->allow_running_vms ? upgrade_check_restart(e) : 0;

	if (r == 0)
		r = factory_reset_run(&keep, look, &layer, p, e);
	if (r == 0 && !o->dry_run && !o->yes)
		r = err_set(e, ECANCELED, "nothing was changed; add --yes to make %s", layer);
	if (o->json)
		restart_print_json(look ? "planned" : "trial", layer, r, e);
	else if (r == 0 && look)
		printf("%s would boot next, on trial.\nNothing was changed.\n", layer);
	else if (r == 0)
		printf("bedplate: %s boots next, on trial%s\n", layer,
			o->reboot ? "" : "; restart the node when it suits");
	return r == 0 && o->reboot && !look ? restart_node(e) : r;
}

const struct cli_command cmd_factory_reset = {
	.name = "factory-reset",
	.args = "",
	.summary = "Begin anew with the image that runs",
	.details =
		"A new layer without what was changed on this node, but for what is kept; it is\n"
		"tried at the next boot.  /var and other volumes stay as they are.  Without\n"
		"--keep=accounts the users and passwords are those of the image.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.has_progress = true,
	.run = run,
};
