/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/derived.h"
#include "image/image.h"
#include "plugin/show.h"

struct options {
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print everything as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_json(const struct plugin_records *records)
{
	json_t *a = json_array();

	for (size_t i = 0; i < records->count; i++)
		json_array_append_new(a, plugin_record_json(&records->items[i]));
	json_print(json_pack("{s:o}", "plugins", a));
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	auto_derived_input in = {0};
	autoptr(image) img = NULL;
	auto_plugin_records records = {0};
	int r = derived_input_open(args[0], &in, p, e);

	if (r == 0)
		r = image_open(in.image, &img, e);
	if (r == 0)
		r = plugin_records_read(image_tree(img), &records, e);
	if (r < 0)
		return r;
	if (o->json)
		print_json(&records);
	for (size_t i = 0; !o->json && i < records.count; i++) {
		const struct plugin_manifest *m = &records.items[i].manifest;
		autofree char *description = str_printable(m->description);

		printf("%s %s %s\n", m->name, m->version, description);
	}
	return 0;
}

const struct cli_command cmd_plugin_list = {
	.name = "plugin list",
	.args = "IMAGE",
	.summary = "List the plugins in an image",
	.details = "Prints name, version and description of each, as the image itself says.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
