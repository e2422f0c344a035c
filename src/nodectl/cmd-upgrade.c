/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "nodectl/commands.h"
#include "nodectl/plugin-site.h"
#include "nodectl/restart.h"
#include "upgrade/upgrade.h"

struct options {
	bool plan, stage, yes, json;
	bool reboot, no_reboot;
	bool allow_unsigned, allow_downgrade, allow_other_name, allow_incompatible;
	bool allow_running_vms, retry_failed;
	bool insecure;
	const char *proxy, *manifest;
	struct strv drop_plugins;
};

static const struct cli_opt opts[] = {
	{0, "plan", NULL, "print what would be done, and change nothing", OPT_FLAG,
		offsetof(struct options, plan)},
	{0, "stage", NULL, "make the layer, and leave it to 'activate' to boot it", OPT_FLAG,
		offsetof(struct options, stage)},
	{0, "yes", NULL, "do it; without it the plan is printed and nothing changes", OPT_FLAG,
		offsetof(struct options, yes)},
	{0, "json", NULL, "print plan or result as JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "reboot", NULL, "restart into the new layer at the end", OPT_FLAG,
		offsetof(struct options, reboot)},
	{0, "no-reboot", NULL, "leave the restart to whoever asks for it (default)", OPT_FLAG,
		offsetof(struct options, no_reboot)},
	{0, "allow-unsigned", NULL, "take an image that nobody has signed", OPT_FLAG,
		offsetof(struct options, allow_unsigned)},
	{0, "allow-downgrade", NULL, "take an older version", OPT_FLAG,
		offsetof(struct options, allow_downgrade)},
	{0, "allow-other-name", NULL, "take an image of another product", OPT_FLAG,
		offsetof(struct options, allow_other_name)},
	{0, "allow-incompatible", NULL, "take an image that is not made for the version that runs",
		OPT_FLAG, offsetof(struct options, allow_incompatible)},
	{0, "allow-running-vms", NULL, "go on with virtual machines running", OPT_FLAG,
		offsetof(struct options, allow_running_vms)},
	{0, "retry-failed", NULL, "take an image that has failed here before", OPT_FLAG,
		offsetof(struct options, retry_failed)},
	{0, "drop-plugin", "NAME",
		"leave a plugin that was added on this node out of the new layer; may be given "
		"several times",
		OPT_LIST, offsetof(struct options, drop_plugins)},
	{0, "proxy", "URL", "proxy for downloads", OPT_STRING, offsetof(struct options, proxy)},
	{0, "noverifyssl", NULL, "do not check certificates of https", OPT_FLAG,
		offsetof(struct options, insecure)},
	{0, "manifest", "FILE", "manifest of an image from standard input ('-')", OPT_STRING,
		offsetof(struct options, manifest)},
};

static int check_options(const struct options *o, struct err *e)
{
	if (o->reboot && o->no_reboot)
		err_set(e, EINVAL, "options '--reboot' and '--no-reboot' exclude each other");
	else if (o->reboot && (o->stage || o->plan))
		err_set(e, EINVAL, "options '--reboot' and '--%s' exclude each other",
			o->stage ? "stage" : "plan");
	else
		return 0;
	return CLI_WRONG_USE;
}

static void say_next(const char *layer, bool reboots)
{
	printf("bedplate: %s boots next, on trial%s\n", layer,
		reboots ? "" : "; restart the node when it suits");
	if (!reboots)
		printf("bedplate: changes of /etc from now on are not in %s\n", layer);
}

static void say_text(const struct options *o, const struct upgrade_plan *u, int r)
{
	autofree char *text = upgrade_plan_text(u);

	if (r < 0 && r != -ECANCELED)
		return;
	fputs(text, stdout);
	if (r < 0 || u->already)
		return;
	if (o->plan)
		puts("Nothing was changed.");
	else if (o->stage)
		printf("bedplate: staged %s; 'nodectl activate' makes it boot\n", u->to);
	else
		say_next(u->to, o->reboot);
}

static const char *result_of(const struct options *o, const struct upgrade_plan *u, int r)
{
	if (r < 0)
		return r == -EPERM ? "refused" : r == -ECANCELED ? "planned" : "failed";
	if (u->already)
		return "already";
	return o->plan ? "planned" : o->stage ? "staged" : "trial";
}

static void say_json(
	const struct options *o, const struct upgrade_plan *u, int r, const struct err *e)
{
	json_t *out = upgrade_plan_json(u);

	json_object_set_new(out, "ok", json_boolean(r == 0));
	json_object_set_new(out, "result", json_text(result_of(o, u, r)));
	json_object_set_new(out, "error", json_text(r < 0 ? e->msg : NULL));
	json_print(out);
}

static int run_upgrade(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	int r = check_options(o, e);

	if (r == 0)
		r = plugin_site_mend(e);
	if (r != 0)
		return r;
	const struct upgrade_spec spec = {
		.from =
			{
				.where = args[0],
				.manifest = o->manifest,
				.unsigned_ok = o->allow_unsigned,
				.fetch = {.proxy = o->proxy, .insecure = o->insecure},
			},
		.plan_only = o->plan,
		.stage = o->stage,
		.yes = o->yes,
		.allow_downgrade = o->allow_downgrade,
		.allow_other_name = o->allow_other_name,
		.allow_incompatible = o->allow_incompatible,
		.allow_running_vms = o->allow_running_vms,
		.retry_failed = o->retry_failed,
		.drop_plugins = o->drop_plugins,
	};
	autoupgradeplan plan = {0};

	r = upgrade_run(&spec, &plan, p, e);
	if (o->json)
		say_json(o, &plan, r, e);
	else
		say_text(o, &plan, r);
	return r == 0 && o->reboot && !plan.already ? restart_node(e) : r;
}

const struct cli_command cmd_upgrade = {
	.name = "upgrade",
	.args = "[SOURCE]",
	.summary = "Upgrade the node to another image",
	.details =
		"SOURCE is an image, a folder or medium with one, an ISO, a stick, a URL, or '-'\n"
		"for standard input; without it, the image that this live system was started\n"
		"from.\n\n"
		"Everything is checked before anything is changed.  The running system stays as\n"
		"it is; the new layer is tried at the next boot, and the old one comes back when\n"
		"it is not found good.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.max_args = 1,
	.has_progress = true,
	.run = run_upgrade,
};

struct activate_options {
	bool reboot, json, allow_running_vms;
	struct strv drop_plugins;
};

static const struct cli_opt activate_opts[] = {
	{0, "reboot", NULL, "restart into the new layer", OPT_FLAG,
		offsetof(struct activate_options, reboot)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG,
		offsetof(struct activate_options, json)},
	{0, "allow-running-vms", NULL, "go on with virtual machines running", OPT_FLAG,
		offsetof(struct activate_options, allow_running_vms)},
	{0, "drop-plugin", "NAME",
		"leave a plugin that was added on this node out of the new layer; may be given "
		"several times",
		OPT_LIST, offsetof(struct activate_options, drop_plugins)},
};

static void say_activated(
	const struct merge_report *report, const char *layer, const struct activate_options *o)
{
	autofree char *changes = merge_report_text(report);

	if (*changes)
		printf("Changes of this node:\n%s", changes);
	say_next(layer, o->reboot);
}

static int run_activate(
	const void *parsed, UNUSED char *const args[], struct progress *p, struct err *e)
{
	const struct activate_options *o = parsed;
	automergereport report = {0};
	autofree char *layer = NULL;
	const struct activate_spec spec = {
		.allow_running_vms = o->allow_running_vms,
		.drop_plugins = o->drop_plugins,
	};
	int r = plugin_site_mend(e);

	if (r == 0)
		r = upgrade_activate(&spec, &report, &layer, p, e);

	if (o->json) {
		json_t *out = restart_json("trial", layer, r, e);

		json_object_set_new(out, "changes", merge_report_json(&report));
		json_print(out);
	} else if (r == 0) {
		say_activated(&report, layer, o);
	}
	return r == 0 && o->reboot ? restart_node(e) : r;
}

const struct cli_command cmd_activate = {
	.name = "activate",
	.args = "",
	.summary = "Boot next what 'upgrade --stage' has made",
	.details = "What was changed on the node is merged into it once more, as it is by now.\n",
	.opts = activate_opts,
	.opt_count = ARRAY_LEN(activate_opts),
	.opts_size = sizeof(struct activate_options),
	.has_progress = true,
	.run = run_activate,
};
