/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/io.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "liveimg/fetch.h"
#include "liveimg/get.h"
#include "nodectl/commands.h"
#include "nodectl/plugin-site.h"

#define DOWNLOAD_MAX_BYTES (1 * GIB)

struct options {
	struct strv trust;
	const char *root, *sha256, *proxy;
	bool dry_run, json, allow_unsigned, insecure;
};

static const struct options defaults = {.root = "/"};

static const struct cli_opt opts[] = {
	{0, "dry-run", NULL, "try it on a copy, and leave the node as it is", OPT_FLAG,
		offsetof(struct options, dry_run)},
	{0, "json", NULL, "print plan and result as JSON", OPT_FLAG,
		offsetof(struct options, json)},
	{0, "trust", "CERT|DIR",
		"certificate (PEM), or folder of certificates, that the signature must lead to; may "
		"be given several times (default: /etc/bedplate/trust.d)",
		OPT_LIST, offsetof(struct options, trust)},
	{0, "sha256", "HEX", "digest that the file must have, instead of a signature", OPT_STRING,
		offsetof(struct options, sha256)},
	{0, "allow-unsigned", NULL, "take a plugin that nobody has signed", OPT_FLAG,
		offsetof(struct options, allow_unsigned)},
	{0, "proxy", "URL", "proxy for the download", OPT_STRING, offsetof(struct options, proxy)},
	{0, "noverifyssl", NULL, "do not check certificates of https", OPT_FLAG,
		offsetof(struct options, insecure)},
	{0, "root", "DIR", "the node in this folder; nothing is started (default: /)", OPT_STRING,
		offsetof(struct options, root)},
};

struct source_file {
	char *path, *name;
	int fd; /* of a download, which is in memory */
};

static void source_file_fini(struct source_file *f)
{
	free(f->path);
	free(f->name);
	if (f->fd >= 0)
		close(f->fd);
}

static int download(
	const struct options *o, const char *url, struct source_file *out, struct err *e)
{
	const struct fetch_options fetch = {.proxy = o->proxy, .insecure = o->insecure};

	out->fd = memfd_create("plugin", MFD_CLOEXEC);
	if (out->fd < 0)
		return err_errno(e, "memory for the download");
	out->path = xasprintf("/proc/self/fd/%d", out->fd);
	out->name = fetch_public_name(url);
	return fetch_stream(url, &fetch, DOWNLOAD_MAX_BYTES, out->fd, e);
}

static int get_file(
	const struct options *o, const char *where, struct source_file *out, struct err *e)
{
	if (fetch_is_remote(where))
		return download(o, where, out, e);
	if (str_starts(where, "file:"))
		return fetch_file_path(where, &out->path, e);
	out->path = xstrdup(where);
	return 0;
}

/* Who may have made it: somebody who is trusted, or whoever made the file with this digest. */
static int set_demand(const struct options *o, struct plugin_demand *d, struct strv *trust,
	uint8_t sum[SHA256_BYTES], struct err *e)
{
	if (o->sha256 && hex_parse(o->sha256, sum, SHA256_BYTES, NULL) < 0) {
		err_set(e, EINVAL, "--sha256 takes 64 hexadecimal digits");
		return CLI_WRONG_USE;
	}
	d->sha256 = o->sha256 ? sum : NULL;
	strv_add_all(trust, &o->trust);
	if (trust->count == 0 && !o->sha256 && !o->allow_unsigned) {
		autofree char *folder = xasprintf(
			"%s" LIVEIMG_TRUST_FOLDER, str_eq(o->root, "/") ? "" : o->root);

		if (!file_exists(folder))
			return err_set(e, EKEYREJECTED,
				"nobody is trusted to sign plugins: put a certificate into " LIVEIMG_TRUST_FOLDER
				", or --trust, --sha256 or --allow-unsigned");
		strv_take(trust, take_ptr(folder));
	}
	d->trust = *trust;
	return 0;
}

static void show_plan(void *ctx, const struct hotadd_plan *plan)
{
	const struct options *o = ctx;
	autofree char *text = hotadd_plan_text(plan);

	if (!o->json)
		fputs(text, stdout);
	fflush(stdout);
}

static void say_json(
	const struct options *o, const struct hotadd_plan *plan, int r, const struct err *e)
{
	json_print(json_pack("{s:o,s:b,s:s,s:o}", "plan",
		plan->name ? hotadd_plan_json(plan) : json_null(), "ok", r == 0, "result",
		r < 0                   ? "failed"
			: o->dry_run    ? "planned"
			: plan->removes ? "removed"
					: "added",
		"error", json_text(r < 0 ? e->msg : NULL)));
}

/* Of all that was noted, what show_plan() has not said yet. */
static void say_done(const struct options *o, const struct hotadd_plan *plan, size_t said)
{
	for (size_t i = said; i < plan->notes.count; i++) {
		autofree char *safe = str_printable(plan->notes.items[i]);

		printf("Note: %s\n", safe);
	}
	if (o->dry_run)
		puts("Nothing was changed.");
	else
		printf("bedplate: plugin %s %s %s\n", plan->name, plan->version,
			plan->removes ? "was removed" : "is there");
}

static const char *lasting(const struct node_state *s)
{
	if (s->stateless)
		return "this node runs stateless: the plugin is gone at the next restart";
	if (s->running == NODE_LIVE)
		return "this is a live system: the plugin is gone at the next restart";
	return NULL;
}

struct shown {
	const struct options *o;
	const char *lasting;
	size_t notes;
};

static void show_once(void *ctx, const struct hotadd_plan *plan)
{
	struct shown *s = ctx;

	show_plan((void *)(uintptr_t)s->o, plan);
	s->notes = plan->notes.count;
}

static int add(const struct options *o, const char *where, struct hotadd_plan *plan,
	struct shown *shown, struct progress *p, struct err *e)
{
	auto_with(source_file_fini) struct source_file file = {.fd = -1};
	autopluginsite s = PLUGIN_SITE_NONE;
	autostrv trust = {0};
	uint8_t sum[SHA256_BYTES];
	struct hotadd_spec spec = {.dry_run = o->dry_run, .show = show_once, .show_ctx = shown};
	int r = set_demand(o, &spec.demand, &trust, sum, e);

	/* Downloads take their time: before the lock is taken. */
	if (r == 0)
		r = get_file(o, where, &file, e);
	if (r == 0)
		r = plugin_site_open(o->root, false, &s, e);
	if (r == 0)
		r = plugin_site_check_quiet(&s.state, e);
	if (r != 0)
		return r;
	const struct hotadd_image image = {
		.name = s.state.image.name,
		.version = s.state.image.version,
		.arch = s.state.image.arch,
		.kernel = s.state.kernel,
		.plugins = &s.state.image.plugins,
		.edited = s.state.image.edited,
	};
	spec.file = file.path;
	if (lasting(&s.state))
		strv_add(&plan->notes, lasting(&s.state));
	r = hotadd_add(&s.site, &image, &spec, plan, p, e);
	return r < 0 && file.name ? err_wrap(e, r, "'%s'", file.name) : r;
}

static int run_add(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autohotaddplan plan = {0};
	struct shown shown = {.o = o};
	int r = add(o, args[0], &plan, &shown, p, e);

	if (r == CLI_WRONG_USE)
		return r;
	if (o->json)
		say_json(o, &plan, r, e);
	else if (r == 0)
		say_done(o, &plan, shown.notes);
	return r;
}

const struct cli_command cmd_plugin_add = {
	.name = "plugin add",
	.args = "FILE|URL",
	.summary = "Add a plugin to the running node",
	.details =
		"It is installed into a copy of the node first, without network.  When that went\n"
		"well and nothing changed but what the plugin declares, the changes are made on\n"
		"the node, and its services are started.  When something fails, the node is as it\n"
		"was before.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run_add,
};

static const struct cli_opt remove_opts[] = {
	{0, "dry-run", NULL, "try it on a copy, and leave the node as it is", OPT_FLAG,
		offsetof(struct options, dry_run)},
	{0, "json", NULL, "print plan and result as JSON", OPT_FLAG,
		offsetof(struct options, json)},
	{0, "root", "DIR", "the node in this folder; nothing is stopped (default: /)", OPT_STRING,
		offsetof(struct options, root)},
};

static int run_remove(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autohotaddplan plan = {0};
	autopluginsite s = PLUGIN_SITE_NONE;
	int r = plugin_site_open(o->root, false, &s, e);

	if (r == 0)
		r = plugin_site_check_quiet(&s.state, e);
	if (r == 0)
		r = hotadd_remove(&s.site, args[0], o->dry_run, &plan, p, e);
	if (o->json) {
		say_json(o, &plan, r, e);
	} else if (r == 0) {
		show_plan((void *)(uintptr_t)o, &plan);
		say_done(o, &plan, plan.notes.count);
	}
	return r;
}

const struct cli_command cmd_plugin_remove = {
	.name = "plugin remove",
	.args = "NAME",
	.summary = "Remove a plugin that was added to this node",
	.details = "Its packages and files go, with what it keeps below /var, and what was there\n"
		   "before it comes back.  A plugin that is part of the image cannot be removed.\n",
	.opts = remove_opts,
	.opt_count = ARRAY_LEN(remove_opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run_remove,
};

static int run_recover(UNUSED const void *parsed, UNUSED char *const args[],
	UNUSED struct progress *p, struct err *e)
{
	return plugin_site_recover(e);
}

const struct cli_command cmd_plugin_recover = {
	.name = "plugin recover",
	.args = "",
	.summary = "Take back a change of plugins that was cut off",
	.details =
		"Waits until whoever adds or removes a plugin has come to an end; when there is\n"
		"something to take back then, it was killed.  Run by systemd.\n",
	.run = run_recover,
};
