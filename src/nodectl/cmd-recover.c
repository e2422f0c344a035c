/* SPDX-License-Identifier: Apache-2.0 */
/* "recover" and "gc": a plan, carried out or only shown. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "nodectl/commands.h"
#include "upgrade/recover.h"
#include "upgrade/settings.h"

#define KEEP_MAX   1000
#define KEEP_UNSET UINT64_MAX

struct recover_options {
	bool list, json;
};

struct gc_options {
	uint64_t keep;
	bool dry_run, json;
};

static const struct gc_options gc_defaults = {.keep = KEEP_UNSET};

static const struct cli_opt recover_opts[] = {
	{0, "list", NULL, "say what would be done, and change nothing", OPT_FLAG,
		offsetof(struct recover_options, list)},
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct recover_options, json)},
};

static const struct cli_opt gc_opts[] = {
	{0, "keep", "N", "images that are kept, from 1 on (default: keep of upgrade.conf)",
		OPT_NUMBER, offsetof(struct gc_options, keep)},
	{0, "dry-run", NULL, "say what would be done, and change nothing", OPT_FLAG,
		offsetof(struct gc_options, dry_run)},
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct gc_options, json)},
};

static void print_plan(const struct mend_plan *plan, bool dry_run, const struct strv *done)
{
	json_t *actions = json_array();

	for (size_t i = 0; i < plan->count; i++) {
		const struct mend_action *a = &plan->items[i];
		autofree char *text = mend_action_text(a);

		json_array_append_new(actions,
			json_pack("{s:s, s:o, s:o, s:b}", "kind", mend_kind_name(a->kind), "what",
				json_text(a->what), "why", json_text(a->why), "done",
				(int)strv_has(done, text)));
	}
	json_print(json_pack(
		"{s:i, s:b, s:o}", "schema", 1, "dry_run", (int)dry_run, "actions", actions));
}

static void say_plan(const struct mend_plan *plan, bool dry_run, const struct strv *done)
{
	for (size_t i = 0; i < plan->count; i++) {
		autofree char *text = mend_action_text(&plan->items[i]);

		if (dry_run || strv_has(done, text))
			printf("%s\n", text);
	}
	if (plan->count == 0)
		printf("There is nothing to do.\n");
	else if (dry_run)
		printf("Nothing was changed.\n");
}

static int carry_out(
	struct site *s, const struct mend_plan *plan, bool dry_run, bool json, struct err *e)
{
	autostrv done = {0};
	int r = dry_run ? 0 : mend_carry_out(s, plan, &done, e);

	if (r == 0 && !dry_run && done.count < plan->count)
		r = err_set(e, EBUSY, "%zu of %zu actions could not be done yet",
			plan->count - done.count, plan->count);
	if (json)
		print_plan(plan, dry_run, &done);
	else
		say_plan(plan, dry_run, &done);
	return r;
}

static int run_recover(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct recover_options *o = parsed;
	automendplan plan = {0};
	autosite site = {0};
	/* With the lock also to look: what is being made looks like what was left behind. */
	int r = site_open(false, &site, e);

	if (r == 0)
		r = recover_decide(&site, &plan, e);
	return r == 0 ? carry_out(&site, &plan, o->list, o->json, e) : r;
}

static int find_keep(const struct gc_options *o, unsigned *keep, struct err *e)
{
	struct settings settings;

	if (o->keep != KEEP_UNSET) {
		*keep = (unsigned)o->keep;
		return 0;
	}
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_errno(e, "/");
	int r = settings_read(root_fd, &settings, e);
	if (r == 0)
		*keep = settings.keep;
	return r;
}

static int run_gc(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct gc_options *o = parsed;
	automendplan plan = {0};
	autosite site = {0};
	unsigned keep = 0;

	if (o->keep != KEEP_UNSET && (o->keep == 0 || o->keep > KEEP_MAX)) {
		err_set(e, EINVAL,
			"'--keep' is from 1 to %d; 1 keeps what runs or may boot next, and no more",
			KEEP_MAX);
		return CLI_WRONG_USE;
	}
	int r = find_keep(o, &keep, e);
	if (r == 0)
		r = site_open(false, &site, e);
	if (r == 0)
		r = gc_decide(&site, keep, &plan, e);
	return r == 0 ? carry_out(&site, &plan, o->dry_run, o->json, e) : r;
}

const struct cli_command cmd_recover = {
	.name = "recover",
	.args = "",
	.summary = "Put right what a cut-off operation left behind",
	.details = "It is also done at each boot and before each upgrade.  What runs, boots by\n"
		   "default, is tried or staged is never removed, nor what is not nodectl's.\n",
	.opts = recover_opts,
	.opt_count = ARRAY_LEN(recover_opts),
	.opts_size = sizeof(struct recover_options),
	.run = run_recover,
};

const struct cli_command cmd_gc = {
	.name = "gc",
	.args = "",
	.summary = "Remove images that are older than what is kept",
	.details =
		"With their layers, boot entries and snapshots.  Of each image that is kept, at\n"
		"most as many layers are.  What runs, boots by default, is tried or staged is\n"
		"never removed, and counts: --keep=1 leaves no image besides.\n",
	.opts = gc_opts,
	.opt_count = ARRAY_LEN(gc_opts),
	.defaults = &gc_defaults,
	.opts_size = sizeof(struct gc_options),
	.run = run_gc,
};
