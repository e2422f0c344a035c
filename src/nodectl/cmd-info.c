/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "hotadd/hotadd.h"
#include "node/info.h"
#include "nodectl/commands.h"

struct options {
	const char *root;
	bool json;
};

static const struct options defaults = {.root = "/"};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "root", "DIR", "look at the node in this folder (default: /)", OPT_STRING,
		offsetof(struct options, root)},
};

/* A record that is damaged is no reason to say nothing of the rest. */
static void find_added(int root_fd, struct node_state *s)
{
	auto_plugin_records records = {0};
	autoview view = {0};
	struct err e = {0};

	if (hotadd_records(root_fd, &view, &records, &e) < 0)
		s->added.error = xstrdup(e.msg);
	for (size_t i = 0; i < records.count; i++) {
		const struct plugin_manifest *m = &records.items[i].manifest;

		if (hotadd_is_added(root_fd, m->name))
			node_add_plugin(s, m->name, m->version);
	}
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autofd int root_fd = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autonodestate state = {0};

	(void)args;
	(void)p;
	if (root_fd < 0)
		return err_errno(e, "%s", o->root);

	/* The volumes are those of the running machine. */
	unsigned look = str_eq(o->root, "/") ? NODE_LOOK_STORAGE : NODE_LOOK_FILES;
	int r = node_state_gather(root_fd, look, &state, e);
	if (r < 0)
		return r;
	find_added(root_fd, &state);
	if (o->json) {
		json_print(node_info_json(&state));
		return 0;
	}
	autofree char *text = node_info_text(&state);
	fputs(text, stdout);
	return 0;
}

const struct cli_command cmd_info = {
	.name = "info",
	.args = "",
	.summary = "Show which image this node runs, and how",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.run = run,
};
