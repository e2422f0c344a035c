/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "image/diff.h"

struct options {
	bool json, summary, status;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "summary", NULL, "print the numbers only, no packages and no files", OPT_FLAG,
		offsetof(struct options, summary)},
	{0, "exit-status", NULL, "end with status 1 when packages or files differ", OPT_FLAG,
		offsetof(struct options, status)},
};

static const char *const changes[] = {
	[DIFF_ADDED] = "added",
	[DIFF_REMOVED] = "removed",
	[DIFF_CHANGED] = "changed",
	[DIFF_MOVED] = "moved",
};

static const char marks[] = {
	[DIFF_ADDED] = '+',
	[DIFF_REMOVED] = '-',
	[DIFF_CHANGED] = '~',
	[DIFF_MOVED] = '>',
};

static void print_package(const struct diff_package *p)
{
	autofree char *name = str_printable(p->name);
	autofree char *old_version = str_printable(p->old_version ? p->old_version : "");
	autofree char *new_version = str_printable(p->new_version ? p->new_version : "");

	printf("%c %s %s%s%s\n", marks[p->change], name, old_version,
		p->change == DIFF_CHANGED ? " -> " : "", new_version);
}

static void print_file(const struct diff_file *f)
{
	autofree char *path = str_printable(f->path);
	autofree char *from = str_printable(f->old_path ? f->old_path : "");

	printf("%c /%s", marks[f->change], path);
	if (f->change == DIFF_MOVED)
		printf(" (was /%s)", from);
	if (f->change == DIFF_CHANGED && f->content)
		printf(" (%" PRIu64 " -> %" PRIu64 " bytes%s)", f->old_bytes, f->new_bytes,
			f->metadata ? ", mode, owner or attributes" : "");
	else if (f->change == DIFF_CHANGED)
		printf(" (mode, owner or attributes)");
	putchar('\n');
}

static void print_sizes(const char *name, uint64_t a, uint64_t b)
{
	autofree char *x = str_bytes(a);
	autofree char *y = str_bytes(b);

	printf("%-19s %s -> %s\n", name, x, y);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 100 : 100 * (double)part / (double)whole;
}

static void print_counts(const char *name, const uint64_t count[4])
{
	printf("%-19s %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed", name,
		count[DIFF_ADDED], count[DIFF_REMOVED], count[DIFF_CHANGED]);
	if (count[DIFF_MOVED] > 0)
		printf(", %" PRIu64 " moved", count[DIFF_MOVED]);
	putchar('\n');
}

static void print_summary(const struct diff_result *d)
{
	uint64_t packages[4] = {0}, files[4] = {0};

	for (size_t i = 0; i < d->package_count; i++)
		packages[d->packages[i].change]++;
	for (size_t i = 0; i < d->file_count; i++)
		files[d->files[i].change]++;
	print_counts("Packages:", packages);
	print_counts("Files:", files);
	print_sizes("Image:", d->old_file_bytes, d->new_file_bytes);
	print_sizes("Content:", d->old_content_bytes, d->new_content_bytes);
	if (!d->has_blocks)
		return;
	printf("%-19s %" PRIu64 " of %" PRIu64 " (%.1f %%), %" PRIu64 " moved, %" PRIu64 " new\n",
		"Blocks in place:", d->same_place_blocks, d->new_blocks,
		percent(d->same_place_blocks, d->new_blocks), d->moved_blocks,
		d->new_blocks - d->same_place_blocks - d->moved_blocks);
	printf("%-19s %" PRIu64 " of %" PRIu64 " blocks in place (%.1f %%), %zu of %" PRIu64
	       " files moved\n",
		"Unchanged files:", d->kept_blocks, d->unchanged_blocks,
		percent(d->kept_blocks, d->unchanged_blocks), d->relocated.count,
		d->unchanged_files);
}

static void print_text(const struct diff_result *d, bool summary)
{
	if (!summary) {
		for (size_t i = 0; i < d->package_count; i++)
			print_package(&d->packages[i]);
		if (d->package_count > 0)
			putchar('\n');
		for (size_t i = 0; i < d->file_count; i++)
			print_file(&d->files[i]);
		for (size_t i = 0; i < d->relocated.count; i++) {
			autofree char *path = str_printable(d->relocated.items[i]);

			printf("@ /%s (same content, other blocks)\n", path);
		}
		if (d->file_count > 0 || d->relocated.count > 0)
			putchar('\n');
	}
	print_summary(d);
}

static json_t *json_files(const struct diff_result *d)
{
	json_t *a = json_array();

	for (size_t i = 0; i < d->file_count; i++) {
		const struct diff_file *f = &d->files[i];

		json_array_append_new(a,
			json_pack("{s:s,s:o,s:o,s:I,s:I,s:b,s:b}", "change", changes[f->change],
				"path", json_text(f->path), "old_path", json_text(f->old_path),
				"old_size", (json_int_t)f->old_bytes, "new_size",
				(json_int_t)f->new_bytes, "content", f->content, "metadata",
				f->metadata));
	}
	return a;
}

static json_t *json_packages(const struct diff_result *d)
{
	json_t *a = json_array();

	for (size_t i = 0; i < d->package_count; i++) {
		const struct diff_package *p = &d->packages[i];

		json_array_append_new(a,
			json_pack("{s:s,s:o,s:o,s:o,s:o}", "change", changes[p->change], "name",
				json_text(p->name), "arch", json_text(p->arch), "old_version",
				json_text(p->old_version), "new_version",
				json_text(p->new_version)));
	}
	return a;
}

static json_t *json_blocks(const struct diff_result *d)
{
	json_t *relocated = json_array();

	for (size_t i = 0; i < d->relocated.count; i++)
		json_array_append_new(relocated, json_text(d->relocated.items[i]));
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "old", (json_int_t)d->old_blocks,
		"new", (json_int_t)d->new_blocks, "same_place", (json_int_t)d->same_place_blocks,
		"moved", (json_int_t)d->moved_blocks, "unchanged_files",
		(json_int_t)d->unchanged_files, "unchanged_file_blocks",
		(json_int_t)d->unchanged_blocks, "kept_file_blocks", (json_int_t)d->kept_blocks,
		"relocated", relocated);
}

static void print_json(const struct diff_result *d)
{
	json_print(json_pack("{s:o,s:o,s:I,s:I,s:I,s:I,s:o}", "packages", json_packages(d), "files",
		json_files(d), "old_size", (json_int_t)d->old_file_bytes, "new_size",
		(json_int_t)d->new_file_bytes, "old_content_size", (json_int_t)d->old_content_bytes,
		"new_content_size", (json_int_t)d->new_content_bytes, "blocks",
		d->has_blocks ? json_blocks(d) : json_null()));
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autoptr(image) old_image = NULL;
	autoptr(image) new_image = NULL;
	autodiff d = {0};
	int r = image_open(args[0], &old_image, e);

	if (r == 0)
		r = image_open(args[1], &new_image, e);
	if (r == 0)
		r = image_diff(old_image, new_image, &d, p, e);
	if (r < 0)
		return r;
	if (o->json)
		print_json(&d);
	else
		print_text(&d, o->summary);
	return o->status && (d.package_count > 0 || d.file_count > 0) ? CLI_FAILED : 0;
}

const struct cli_command cmd_image_diff = {
	.name = "image diff",
	.args = "OLD NEW",
	.summary = "Say what changed from one image to the next",
	.details = "A line begins with + added, - removed, ~ changed, > moved to another path, or\n"
		   "@ the same file in other blocks of the file system.  Times do not count as a\n"
		   "change.  Blocks are 4096 bytes of the file system image; those of zeros are\n"
		   "not counted.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 2,
	.max_args = 2,
	.has_progress = true,
	.run = run,
};
