/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "cli/cache.h"
#include "cli/commands.h"
#include "plugin/resolve.h"

struct options {
	const char *image, *download, *cache;
	struct strv repos;
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "image", "IMAGE", "the image that the plugin is for", OPT_STRING,
		offsetof(struct options, image)},
	{0, "repo", "REPO",
		"\"URL [OPTION...]\", with the options of kickstart's repo command; may be given "
		"several times",
		OPT_LIST, offsetof(struct options, repos)},
	{0, "download", "DIR", "fetch the packages into DIR/packages", OPT_STRING,
		offsetof(struct options, download)},
	{0, "cache", "DIR",
		"folder for what is fetched of repositories (default: ~/.cache/bedplate)",
		OPT_STRING, offsetof(struct options, cache)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_text(const struct plugin_needs *n)
{
	for (size_t i = 0; i < n->present.count; i++)
		log_info("'%s' is in the image", n->present.items[i]);
	for (size_t i = 0; i < n->count; i++)
		printf("%s %s %s\n", n->items[i].name, n->items[i].version, n->items[i].arch);
}

static json_t *json_need(const struct plugin_need *n)
{
	char hex[SHA256_HEX_BYTES];

	hex_format(n->sha256, SHA256_BYTES, hex);
	return json_pack("{s:o,s:o,s:o,s:o}", "name", json_text(n->name), "version",
		json_text(n->version), "arch", json_text(n->arch), "sha256",
		json_text(n->has_sha256 ? hex : NULL));
}

static void print_result(const struct plugin_needs *n)
{
	json_t *packages = json_array(), *present = json_array();

	for (size_t i = 0; i < n->count; i++)
		json_array_append_new(packages, json_need(&n->items[i]));
	for (size_t i = 0; i < n->present.count; i++)
		json_array_append_new(present, json_text(n->present.items[i]));
	json_print(json_pack("{s:o,s:o}", "packages", packages, "present", present));
}

static int run(const void *parsed, char *const args[], struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;
	autofree char *cache = o->cache ? xstrdup(o->cache) : cache_default();
	struct plugin_resolve_spec spec = {
		.image = o->image, .repos = o->repos, .cache = cache, .download = o->download};
	auto_plugin_needs needs = {0};
	autostrv names = {0};
	int r;

	if (!o->image || o->repos.count == 0) {
		err_set(e, EINVAL, "--image and --repo are needed");
		return CLI_WRONG_USE;
	}
	for (; *args; args++)
		strv_add(&names, *args);
	spec.names = names;
	r = plugin_resolve(&spec, &needs, e);
	if (r < 0)
		return r;
	if (o->json)
		print_result(&needs);
	else
		print_text(&needs);
	return 0;
}

const struct cli_command cmd_plugin_resolve = {
	.name = "plugin resolve",
	.args = "NAME...",
	.summary = "List the packages that an image lacks for others",
	.details =
		"Prints name, version and architecture of each package that has to be installed\n"
		"for the packages NAME and that the image does not have.  The packages of the\n"
		"image stay as they are; what does not fit them is an error that says why.\n"
		"Repositories are signed, or their REPO ends with --unsigned:\n"
		"  --repo=\"http://deb.debian.org/debian --suite=trixie\"\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1000,
	.run = run,
};
