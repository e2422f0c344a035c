/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "node/layers.h"
#include "nodectl/commands.h"
#include "nodectl/gather.h"

struct options {
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_json(const struct node_state *s, const struct node_layers *layers)
{
	json_t *out = node_layers_json(layers);

	json_object_set_new(out, "schema", json_integer(1));
	json_object_set_new(out, "current", json_text(s->layer));
	json_object_set_new(out, "default", json_text(s->boot.default_layer));
	json_print(out);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autonodestate state = {0};
	autonodelayers layers = {0};
	autostrbuf text = {0};
	int r = nodectl_gather_installed(NODE_LOOK_STORAGE, &state, e);

	(void)args;
	(void)p;
	if (r < 0)
		return r;
	if (state.storage.error)
		return err_set(e, EIO, "%s", state.storage.error);
	node_layers_find(&state, &layers);
	if (o->json) {
		print_json(&state, &layers);
		return 0;
	}
	node_layers_text(&layers, &text);
	fputs(text.data ? text.data : "", stdout);
	return 0;
}

const struct cli_command cmd_layers = {
	.name = "layers",
	.args = "",
	.summary = "List the bases and layers on this node",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.run = run,
};
