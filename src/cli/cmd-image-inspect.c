/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "image/inspect.h"

struct options {
	bool json, packages;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print everything as JSON, the list of packages included", OPT_FLAG,
		offsetof(struct options, json)},
	{0, "packages", NULL, "list the packages: name, version and architecture", OPT_FLAG,
		offsetof(struct options, packages)},
};

static void print_field(const char *name, const char *value)
{
	autofree char *safe = value ? str_printable(value) : NULL;

	if (safe)
		printf("%-13s %s\n", name, safe);
}

static void print_bytes(const char *name, uint64_t bytes)
{
	autofree char *text = str_bytes(bytes);

	printf("%-13s %s (%" PRIu64 " bytes)\n", name, text, bytes);
}

static void print_date(int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;
	char text[64];

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) > 0)
		print_field("Date:", text);
}

static void print_kernels(const struct inspect_result *r)
{
	for (size_t i = 0; i < r->kernel_count; i++) {
		const struct manifest_kernel *k = &r->kernels[i];
		autofree char *release = str_printable(k->release);
		autofree char *kernel = str_bytes(k->kernel_bytes);
		autofree char *initramfs = str_bytes(k->initramfs_bytes);

		printf("%-13s %s (", i == 0 ? "Kernel:" : "", release);
		printf("%s, ", k->kernel_bytes > 0 ? kernel : "no image");
		printf("%s%s)\n", k->initramfs_bytes > 0 ? "initramfs " : "no initramfs",
			k->initramfs_bytes > 0 ? initramfs : "");
	}
}

static void print_range(const struct manifest *m)
{
	autofree char *text = xasprintf("version %s %s%s", m->upgrades_from_min,
		m->upgrades_from_max ? "to " : "and newer",
		m->upgrades_from_max ? m->upgrades_from_max : "");

	print_field("Upgrades:", text);
}

static void print_trust(const struct inspect_result *r)
{
	char hex[SHA256_HEX_BYTES];

	if (!r->has_manifest) {
		print_field("Manifest:", "none");
		return;
	}
	if (r->manifest.verity.present) {
		hex_format(r->manifest.verity.root_hash, SHA256_BYTES, hex);
		print_field("dm-verity:", hex);
	}
	print_field("Signature:", r->has_signature ? "there (image verify checks it)" : "none");
	if (r->manifest.tool)
		print_field("Built by:", r->manifest.tool);
}

static void print_text(const struct inspect_result *r)
{
	print_field("Image:", r->path);
	print_field("Name:", r->name);
	print_field("Version:", r->version);
	print_field("Architecture:", r->arch);
	print_field("System:", r->title);
	print_date(r->has_manifest ? r->manifest.source_date : r->time);
	if (r->compressor) {
		autofree char *block = str_bytes(r->block_bytes);

		printf("%-13s %s (%s, blocks of %s)\n", "Kind:", image_kind_name(r->kind),
			r->compressor, block);
	} else {
		print_field("Kind:", image_kind_name(r->kind));
	}
	print_bytes("Size:", r->file_bytes);
	if (r->rootfs_bytes > 0)
		print_bytes("File system:", r->rootfs_bytes);
	print_bytes("Content:", r->content_bytes);
	printf("%-13s %" PRIu64 "\n", "Files:", r->files);
	print_kernels(r);
	printf("%-13s %zu\n", "Packages:", r->package_count);
	if (r->manifest.upgrades_from_min)
		print_range(&r->manifest);
	print_trust(r);
}

static void print_packages(const struct inspect_result *r)
{
	for (size_t i = 0; i < r->package_count; i++) {
		const struct manifest_package *p = &r->packages[i];
		autofree char *name = str_printable(p->name);
		autofree char *version = str_printable(p->version);
		autofree char *arch = str_printable(p->arch);

		printf("%s %s %s\n", name, version, arch);
	}
}

static json_t *json_packages(const struct inspect_result *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->package_count; i++) {
		const struct manifest_package *p = &r->packages[i];

		json_array_append_new(a,
			json_pack("{s:o,s:o,s:o,s:o}", "name", json_text(p->name), "version",
				json_text(p->version), "arch", json_text(p->arch), "source",
				json_text(p->source)));
	}
	return a;
}

static json_t *json_kernels(const struct inspect_result *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->kernel_count; i++) {
		const struct manifest_kernel *k = &r->kernels[i];

		json_array_append_new(a,
			json_pack("{s:o,s:I,s:I}", "release", json_text(k->release), "kernel_size",
				(json_int_t)k->kernel_bytes, "initramfs_size",
				(json_int_t)k->initramfs_bytes));
	}
	return a;
}

static void print_json(const struct inspect_result *r)
{
	char hex[SHA256_HEX_BYTES];
	json_t *o = json_pack("{s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:b,s:b}", "file",
		json_text(r->path), "kind", image_kind_name(r->kind), "name", json_text(r->name),
		"version", json_text(r->version), "arch", json_text(r->arch), "title",
		json_text(r->title), "compression", json_text(r->compressor), "block_size",
		(json_int_t)r->block_bytes, "size", (json_int_t)r->file_bytes, "rootfs_size",
		(json_int_t)r->rootfs_bytes, "content_size", (json_int_t)r->content_bytes, "files",
		(json_int_t)r->files, "manifest", r->has_manifest, "signature", r->has_signature);

	json_object_set_new(
		o, "date", json_integer(r->has_manifest ? r->manifest.source_date : r->time));
	json_object_set_new(o, "kernels", json_kernels(r));
	json_object_set_new(o, "packages", json_packages(r));
	hex_format(r->manifest.verity.root_hash, SHA256_BYTES, hex);
	json_object_set_new(o, "upgrades_from",
		r->manifest.upgrades_from_min
			? json_pack("{s:o,s:o}", "min", json_text(r->manifest.upgrades_from_min),
				  "max", json_text(r->manifest.upgrades_from_max))
			: json_null());
	json_object_set_new(
		o, "verity_root_hash", r->manifest.verity.present ? json_string(hex) : json_null());
	json_print(o);
}

static int run(const void *parsed, char *const args[], struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;
	autoptr(image) img = NULL;
	autoinspect result = {0};
	int r = image_open(args[0], &img, e);

	if (r == 0)
		r = image_inspect(img, &result, e);
	if (r < 0)
		return r;
	if (o->json)
		print_json(&result);
	else if (o->packages)
		print_packages(&result);
	else
		print_text(&result);
	return 0;
}

const struct cli_command cmd_image_inspect = {
	.name = "image inspect",
	.args = "FILE",
	.summary = "Say what an image is and what is in it",
	.details =
		"FILE is a live image, a flat squashfs, an ext4 image, or the folder of a build.\n"
		"Nothing is checked against the manifest: that is what 'image verify' does.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
