/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "nodectl/commands.h"
#include "nodectl/plugin-site.h"
#include "plugin/show.h"

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

struct all {
	struct plugin_site s;
	struct view view;
	struct plugin_records records;
};

static void all_fini(struct all *a)
{
	plugin_records_fini(&a->records);
	view_fini(&a->view);
	plugin_site_fini(&a->s);
}
#define autoall auto_with(all_fini) struct all

static int open_all(const struct options *o, struct all *a, struct err *e)
{
	int r = plugin_site_open(o->root, true, &a->s, e);

	return r < 0 ? r : hotadd_records(a->s.site.root_fd, &a->view, &a->records, e);
}

static int find(
	const struct all *a, const char *name, const struct plugin_record **out, struct err *e)
{
	*out = plugin_records_find(&a->records, name);
	return *out ? 0 : err_set(e, ENOENT, "there is no plugin '%s' on this node", name);
}

static const char *origin(const struct all *a, const struct plugin_record *r)
{
	return hotadd_is_added(a->s.site.root_fd, r->manifest.name) ? "node" : "image";
}

static json_t *record_json(const struct all *a, const struct plugin_record *r)
{
	json_t *o = plugin_record_json(r);

	json_object_set_new(o, "origin", json_text(origin(a, r)));
	return o;
}

static int run_list(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autoall a = {.s = PLUGIN_SITE_NONE};
	json_t *list = NULL;
	int r = open_all(o, &a, e);

	if (r < 0)
		return r;
	if (o->json)
		list = json_array();
	for (size_t i = 0; i < a.records.count; i++) {
		const struct plugin_record *rec = &a.records.items[i];
		autofree char *description = str_printable(rec->manifest.description);

		if (list)
			json_array_append_new(list, record_json(&a, rec));
		else
			printf("%s %s %s %s\n", rec->manifest.name, rec->manifest.version,
				origin(&a, rec), description);
	}
	if (list)
		json_print(json_pack("{s:o}", "plugins", list));
	return 0;
}

const struct cli_command cmd_plugin_list = {
	.name = "plugin list",
	.args = "",
	.summary = "List the plugins on this node",
	.details =
		"Prints name, version, where it is from, \"image\" or \"node\", and description.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.run = run_list,
};

static int run_info(
	const void *parsed, char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autoall a = {.s = PLUGIN_SITE_NONE};
	const struct plugin_record *rec = NULL;
	int r = open_all(o, &a, e);

	if (r == 0)
		r = find(&a, args[0], &rec, e);
	if (r < 0)
		return r;
	if (o->json) {
		json_print(record_json(&a, rec));
		return 0;
	}
	autofree char *text = plugin_manifest_text(&rec->manifest);
	printf("%s%-13s %s\n%-13s %zu\n", text, "Origin:", origin(&a, rec),
		"Files:", rec->files->count);
	return 0;
}

const struct cli_command cmd_plugin_info = {
	.name = "plugin info",
	.args = "NAME",
	.summary = "Say what a plugin on this node may change",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.run = run_info,
};

/* 1: something is wrong. */
static int verify_one(const struct all *a, const struct plugin_record *rec, bool json, json_t *list,
	struct err *e)
{
	const struct plugin_manifest *m = &rec->manifest;
	autostrv wrong = {0};
	int r = hotadd_verify(a->s.site.root_fd, rec, &wrong, e);

	if (r < 0)
		return err_wrap(e, r, "plugin '%s'", m->name);
	json_array_append_new(list,
		json_pack("{s:s,s:s,s:o}", "name", m->name, "version", m->version, "wrong",
			json_texts(&wrong)));
	if (!json && wrong.count == 0)
		printf("ok  %s %s: %zu files\n", m->name, m->version, rec->files->count);
	for (size_t i = 0; !json && i < wrong.count; i++)
		printf("bad %s %s: %s\n", m->name, m->version, wrong.items[i]);
	return wrong.count > 0;
}

static int run_verify(
	const void *parsed, char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autoall a = {.s = PLUGIN_SITE_NONE};
	const struct plugin_record *only = NULL;
	bool bad = false;
	int r = open_all(o, &a, e);

	if (r == 0 && args[0])
		r = find(&a, args[0], &only, e);
	if (r < 0)
		return r;
	json_t *list = json_array();
	for (size_t i = 0; r >= 0 && i < a.records.count; i++) {
		if (only && only != &a.records.items[i])
			continue;
		r = verify_one(&a, &a.records.items[i], o->json, list, e);
		bad |= r > 0;
	}
	if (r >= 0 && o->json)
		json_print(json_pack("{s:b,s:O}", "ok", !bad, "plugins", list));
	json_decref(list);
	return r < 0 ? r : bad ? CLI_FAILED : 0;
}

const struct cli_command cmd_plugin_verify = {
	.name = "plugin verify",
	.args = "[NAME]",
	.summary = "Check the plugins on this node",
	.details = "Every file of a plugin is as the plugin wrote it, and its packages are\n"
		   "installed.  What it keeps as its state may change, and what several write\n"
		   "to.  Status 1 when something is wrong.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.max_args = 1,
	.run = run_verify,
};
