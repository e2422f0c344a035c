/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>

#include "base/json.h"
#include "liveimg/get.h"
#include "nodectl/commands.h"
#include "nodectl/gather.h"
#include "upgrade/verify.h"

struct options {
	bool base, layer, all, strict, json;
};

static const struct cli_opt opts[] = {
	{0, "base", NULL, "the base of the running layer", OPT_FLAG,
		offsetof(struct options, base)},
	{0, "layer", NULL, "files of the base that the running layer overrides", OPT_FLAG,
		offsetof(struct options, layer)},
	{0, "all", NULL, "every base on this node, and the layer (default)", OPT_FLAG,
		offsetof(struct options, all)},
	{0, "strict", NULL, "warnings fail, too", OPT_FLAG, offsetof(struct options, strict)},
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
};

static unsigned what_to_verify(const struct options *o)
{
	if (o->all || (!o->base && !o->layer))
		return VERIFY_ALL_BASES | VERIFY_LAYER;
	return (o->base ? VERIFY_RUNNING_BASE : 0) | (o->layer ? VERIFY_LAYER : 0);
}

static void show(const struct options *o, const struct verify_result *result)
{
	autostrbuf text = {0};

	if (o->json) {
		json_print(verify_json(result));
		return;
	}
	verify_text(result, &text);
	fputs(text.data, stdout);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autonodestate state = {0};
	autoverifyresult result = {0};
	autostrv anchors = {0};
	int r = nodectl_gather_installed(NODE_LOOK_STORAGE, &state, e);

	(void)args;
	if (r < 0)
		return r;
	if (state.storage.error)
		return err_set(e, EIO, "%s", state.storage.error);
	autofd int boot_fd = open("/boot", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct verify_spec spec = {
		.state = &state,
		.anchors = &anchors,
		.boot_fd = boot_fd,
		.what = what_to_verify(o),
		.strict = o->strict,
	};
	liveimg_anchors(&anchors);
	r = node_verify(&spec, &result, p, e);
	if (r < 0)
		return r;
	show(o, &result);
	return result.status == VERIFY_FAILED ? CLI_FAILED : 0;
}

const struct cli_command cmd_verify = {
	.name = "verify",
	.args = "",
	.summary = "Verify that this node is what was installed",
	.details = "Reads whole bases through dm-verity and checks the signature of their images.\n"
		   "Exit status: 0 fine, also with warnings; 1 a base is damaged or its signature\n"
		   "is wrong; 2 wrong use.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.has_progress = true,
	.run = run,
};
