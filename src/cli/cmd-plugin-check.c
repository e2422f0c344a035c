/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "certify/certify.h"
#include "cli/commands.h"
#include "cli/derived.h"
#include "cli/vm-options.h"

#define BOOT_SECONDS 1800

struct options {
	const char *image, *output, *keep;
	struct strv trust;
	uint64_t timeout_seconds, memory_bytes;
	bool json;
};

static const struct options defaults = {
	.timeout_seconds = BOOT_SECONDS,
	.memory_bytes = 2 * GIB,
};

static const struct cli_opt opts[] = {
	{0, "image", "IMAGE", "the image, or an ISO of it", OPT_STRING,
		offsetof(struct options, image)},
	{'o', "output", "REPORT", "write the report to this file", OPT_STRING,
		offsetof(struct options, output)},
	{0, "trust", "CERT|DIR",
		"certificate (PEM), or folder of certificates, that the signatures of image and "
		"plugin must lead to; may be given several times",
		OPT_LIST, offsetof(struct options, trust)},
	{0, "keep", "DIR", "leave the new image and the console of the machine in DIR", OPT_STRING,
		offsetof(struct options, keep)},
	{'m', "memory", "SIZE", "memory of the machine (default: 2G)", OPT_SIZE,
		offsetof(struct options, memory_bytes)},
	{0, "timeout", "S", "end the machine after S seconds (default: 1800)", OPT_NUMBER,
		offsetof(struct options, timeout_seconds)},
	{0, "json", NULL, "make the report JSON", OPT_FLAG, offsetof(struct options, json)},
};

/* All of it in advance: the machine starts after minutes. */
static int check(const struct options *o, struct certify_spec *spec, struct err *e)
{
	int r;

	if (!o->image) {
		err_set(e, EINVAL, "'--image' is missing");
		return CLI_WRONG_USE;
	}
	if (o->timeout_seconds == 0) {
		err_set(e, EINVAL, "'--timeout' is 0");
		return CLI_WRONG_USE;
	}
	r = vm_option_timeout(o->timeout_seconds, e);
	if (r == 0)
		r = vm_check_size(o->memory_bytes, 1, e);
	if (r == 0)
		r = vm_option_accel("auto", &spec->machine.accel, e);
	spec->machine.memory_bytes = o->memory_bytes;
	spec->machine.cpus = 2;
	spec->machine.network = true;
	spec->timeout_seconds = (unsigned)o->timeout_seconds;
	spec->trust = o->trust;
	spec->keep = o->keep;
	return r;
}

static int deliver(const struct options *o, const struct report *report, struct err *e)
{
	json_t *json = o->json ? report_json(report) : NULL;
	autofree char *text = json ? json_format(json) : report_text(report);

	json_decref(json);
	if (o->output)
		return file_replace(o->output, text, strlen(text), 0644, e);
	fputs(text, stdout);
	return 0;
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct certify_spec spec = {.plugin = args[0]};
	auto_derived_input in = {0};
	auto_report report = {0};
	const struct report_check *bad;
	int r = check(o, &spec, e);

	if (r == 0)
		r = derived_input_open(o->image, &in, p, e);
	spec.image = in.image;
	if (r == 0)
		r = certify(&spec, p, &report, e);
	if (r == 0)
		r = deliver(o, &report, e);
	if (r != 0)
		return r;
	bad = report_failure(&report);
	if (!bad)
		return 0;
	return err_set(e, EPROTO, "check '%s' failed: %s", bad->name, bad->message);
}

const struct cli_command cmd_plugin_check = {
	.name = "plugin check",
	.args = "FILE",
	.summary = "Boot an image with a plugin and run its smoke tests",
	.details = "Puts the plugin into a copy of IMAGE, checks that nothing changed but what it\n"
		   "declares, boots the result in a virtual machine, looks for units that have\n"
		   "failed and runs the smoke tests in tests/ of the plugin.  Prints a report to\n"
		   "hand on; the status is 1 when any of it failed.  Needs root.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
