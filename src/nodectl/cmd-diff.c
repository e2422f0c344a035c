/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "nodectl/commands.h"
#include "nodectl/gather.h"
#include "upgrade/layer-read.h"
#include "upgrade/node-diff.h"

struct options {
	bool content, packages, files, json;
};

static const struct cli_opt opts[] = {
	{0, "content", NULL, "show what differs in text files", OPT_FLAG,
		offsetof(struct options, content)},
	{0, "packages", NULL, "only packages", OPT_FLAG, offsetof(struct options, packages)},
	{0, "files", NULL, "only files", OPT_FLAG, offsetof(struct options, files)},
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
};

/* What is compared; NULL as a name is the base on the old side, the running layer on the new one. */
struct sides {
	const char *old_layer, *new_layer;
};

static int check_options(const struct options *o, struct err *e)
{
	const char *other = o->packages && o->files ? "--files" : o->content ? "--content" : NULL;

	if (!o->packages || !other)
		return 0;
	(void)err_set(e, EINVAL, "'--packages' and '%s' exclude each other", other);
	return CLI_WRONG_USE;
}

static int open_sides(struct layer_reader *reader, const struct sides *s, struct tree **old_tree,
	struct tree **new_tree, struct err *e)
{
	int r = s->old_layer ? layer_reader_root(reader, s->old_layer, old_tree, e)
			     : layer_reader_base(reader, NULL, old_tree, e);

	return r == 0 ? layer_reader_root(reader, s->new_layer, new_tree, e) : r;
}

static int print_json(const struct options *o, const struct sides *s,
	const struct node_state *state, const struct node_diff *d, unsigned what, struct err *e)
{
	const char *running = state->layer;
	json_t *out;
	int r = node_diff_json(d, what, o->content, &out, e);

	if (r < 0)
		return r;
	json_t *base = json_pack("s%", running, node_base_len(running));
	json_object_set_new(out, "schema", json_integer(1));
	json_object_set_new(out, "old", s->old_layer ? json_text(s->old_layer) : json_incref(base));
	json_object_set_new(out, "new", json_text(s->new_layer ? s->new_layer : running));
	json_decref(base);
	json_print(out);
	return 0;
}

static int print_text(const struct options *o, const struct node_diff *d, struct err *e)
{
	autostrbuf text = {0};
	int r = node_diff_text(d, o->content, &text, e);

	if (r == 0)
		fputs(text.data ? text.data : "", stdout);
	return r;
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct sides sides = {args[0], args[0] ? args[1] : NULL};
	unsigned what = o->packages ? NODE_DIFF_PACKAGES
		: o->files          ? NODE_DIFF_FILES
				    : NODE_DIFF_PACKAGES | NODE_DIFF_FILES;
	autonodestate state = {0};
	autoptr(layer_reader) reader = NULL;
	autonodediff d = {0};
	struct tree *old_tree, *new_tree;
	int r = check_options(o, e);

	if (r != 0)
		return r;
	r = nodectl_gather_installed(NODE_LOOK_STORAGE, &state, e);
	if (r == 0 && state.storage.error)
		r = err_set(e, EIO, "%s", state.storage.error);
	if (r == 0)
		r = layer_reader_new(&state, &reader, e);
	if (r == 0)
		r = open_sides(reader, &sides, &old_tree, &new_tree, e);
	if (r == 0)
		r = node_diff(old_tree, new_tree, what, &d, p, e);
	if (r < 0)
		return r;
	return o->json ? print_json(o, &sides, &state, &d, what, e) : print_text(o, &d, e);
}

const struct cli_command cmd_diff = {
	.name = "diff",
	.args = "[LAYER [LAYER]]",
	.summary = "Say what was changed on this node",
	.details =
		"Without a name: what the running layer has changed of its base. With one: what\n"
		"differs in the running layer from that one; with two: in the second from the\n"
		"first. A line begins with + added, - removed, ~ changed. Times do not count.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.max_args = 2,
	.has_progress = true,
	.run = run,
};
