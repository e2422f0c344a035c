/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/xalloc.h"
#include "cli/cache.h"
#include "cli/commands.h"
#include "image/build.h"

struct options {
	const char *output;
	const char *previous;
	const char *cache;
	bool explain;
	const char *rootfs_type;
	const char *compression;
	const char *sign_key;
	const char *sign_cert;
	const char *from;
	bool json;
};

static const struct options defaults = {
	.output = ".",
	.rootfs_type = "squashfs-ext4",
	.compression = "zstd",
};

static const struct cli_opt opts[] = {
	{'o', "output", "DIR", "folder for the image and what belongs to it (default: .)",
		OPT_STRING, offsetof(struct options, output)},
	{0, "previous", "OLD",
		"keep the layout of this image, so that an upgrade from it moves little",
		OPT_STRING, offsetof(struct options, previous)},
	{0, "cache", "DIR", "folder for downloads and stages (default: ~/.cache/bedplate)",
		OPT_STRING, offsetof(struct options, cache)},
	{0, "explain", NULL, "say of each stage whether it ran, and why", OPT_FLAG,
		offsetof(struct options, explain)},
	{0, "rootfs-type", "TYPE",
		"squashfs-ext4 (default) or squashfs: the tree without an ext4 image", OPT_STRING,
		offsetof(struct options, rootfs_type)},
	{0, "compression", "NAME", "zstd (default), xz or lz4; a level may follow: zstd:19",
		OPT_STRING, offsetof(struct options, compression)},
	{0, "sign-key", "FILE", "sign the manifest with this private key (PEM)", OPT_STRING,
		offsetof(struct options, sign_key)},
	{0, "sign-cert", "FILE", "certificate of the key (PEM)", OPT_STRING,
		offsetof(struct options, sign_cert)},
	{0, "from", "STAGE",
		"run this stage and those after it again: packages, configure, rootfs, liveimg",
		OPT_STRING, offsetof(struct options, from)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
};

/* What --explain and --json tell of the stages. */
struct report {
	bool print;
	json_t *stages;
};

static void note_stage(void *ctx, const struct build_stage_report *s)
{
	struct report *r = ctx;

	if (r->print)
		printf("%-10s %s: %s\n", s->name, s->cached ? "cached" : "runs", s->why);
	json_array_append_new(r->stages,
		json_pack("{s:s, s:b, s:s}", "name", s->name, "cached", s->cached, "why", s->why));
}

static int parse_compression(const char *text, struct build_spec *spec, struct err *e)
{
	const char *colon = strchr(text, ':');
	autofree char *name = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
	int r = squashfs_compressor_parse(name, &spec->compressor, e);

	if (r < 0 || !colon)
		return r;
	char *end = NULL;
	unsigned long level = strtoul(colon + 1, &end, 10);
	if (spec->compressor != SQUASHFS_ZSTD || end == colon + 1 || *end || level < 1 ||
		level > 22)
		return err_set(e, EINVAL,
			"bad compression '%s', expected zstd:1 to zstd:22, xz or lz4", text);
	spec->level = (int)level;
	return 0;
}

static int parse_rootfs_type(const char *text, struct build_spec *spec, struct err *e)
{
	spec->flat = str_eq(text, "squashfs");
	if (!spec->flat && !str_eq(text, "squashfs-ext4"))
		return err_set(e, EINVAL,
			"bad root file system type '%s', expected squashfs-ext4 or "
			"squashfs",
			text);
	return 0;
}

static int check_stage(const char *name, struct err *e)
{
	static const char *const stages[] = {"packages", "configure", "rootfs", "liveimg"};

	for (size_t i = 0; name && i < ARRAY_LEN(stages); i++)
		if (str_eq(name, stages[i]))
			return 0;
	return name ? err_set(e, EINVAL,
			      "no stage '%s', there are packages, configure, rootfs and "
			      "liveimg",
			      name)
		    : 0;
}

static void print_json(const struct build_result *b, const struct report *report)
{
	struct rusage used = {0};

	getrusage(RUSAGE_SELF, &used);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:O}", "name", b->name,
		"version", b->version, "image", b->image, "manifest", b->manifest, "image_bytes",
		(json_int_t)b->image_bytes, "rootfs_bytes", (json_int_t)b->rootfs_bytes,
		"kept_blocks", (json_int_t)b->kept_blocks, "new_blocks", (json_int_t)b->new_blocks,
		"peak_memory_bytes", (json_int_t)used.ru_maxrss * (json_int_t)KIB, "stages",
		report->stages);

	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autofree char *cache = o->cache ? xstrdup(o->cache) : cache_default();
	struct report report = {.print = o->explain && !o->json, .stages = json_array()};
	struct build_spec spec = {.recipe = args[0],
		.output = o->output,
		.cache = cache,
		.previous = o->previous,
		.sign_key = o->sign_key,
		.sign_cert = o->sign_cert,
		.from = o->from,
		.on_stage = note_stage,
		.ctx = &report};
	auto_with(build_result_fini) struct build_result result = {0};
	int r = parse_compression(o->compression, &spec, e);

	if (r == 0)
		r = parse_rootfs_type(o->rootfs_type, &spec, e);
	if (r == 0)
		r = check_stage(o->from, e);
	if (r < 0)
		r = CLI_WRONG_USE;
	if (r == 0)
		r = image_build(&spec, &result, p, e);
	if (r == 0 && o->json)
		print_json(&result, &report);
	else if (r == 0)
		printf("%s\n", result.image);
	json_decref(report.stages);
	return r;
}

const struct cli_command cmd_image_build = {
	.name = "image build",
	.args = "RECIPE.ks",
	.summary = "Build an image from a kickstart",
	.details =
		"Needs root.  In DIR appear NAME-VERSION.squashfs.img (the image), and the same\n"
		"with .manifest.json, .files, .spdx.json and, with a key, .manifest.json.sig.\n"
		"Name and version come from the recipe's 'image' command; without it they are the\n"
		"recipe's name and the date of the newest repository.  SOURCE_DATE_EPOCH in the\n"
		"environment overrides that date.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
