/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "nodectl/commands.h"
#include "nodectl/gather.h"
#include "upgrade/health.h"
#include "upgrade/settings.h"

#define WAIT_MAX_SECONDS 86400

struct options {
	bool json;
	uint64_t wait;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "wait", "SECONDS", "run required checks that fail again, for that long", OPT_NUMBER,
		offsetof(struct options, wait)},
};

static int check(const struct options *o, struct health_result *out, struct err *e)
{
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct settings settings;

	if (root_fd < 0)
		return err_errno(e, "/");
	int r = settings_read(root_fd, &settings, e);
	if (r < 0)
		return r;
	const struct health_spec spec = {
		.deadline = health_now() + (o->wait ? o->wait : settings.health_deadline_seconds),
		.again = o->wait > 0,
	};
	return health_run(&spec, out, e);
}

static int run(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autohealthresult result = {0};
	autonodestate state = {0};

	if (o->wait > WAIT_MAX_SECONDS) {
		err_set(e, EINVAL, "'--wait' is at most %d seconds", WAIT_MAX_SECONDS);
		return CLI_WRONG_USE;
	}
	int r = nodectl_gather_installed(NODE_LOOK_FILES, &state, e);
	if (r == 0)
		r = check(o, &result, e);
	if (r < 0)
		return r;
	if (o->json) {
		json_print(health_json(&result));
	} else {
		autofree char *text = health_text(&result);
		fputs(text, stdout);
	}
	return health_is_good(&result) ? 0 : CLI_FAILED;
}

const struct cli_command cmd_health = {
	.name = "health",
	.args = "",
	.summary = "Run the health checks that decide about a new image",
	.details = "Those of " HEALTH_VENDOR " and\n" HEALTH_ADMIN ", see nodectl(1).\n"
		   "Exit status: 0 all required checks are well, 1 one is not, 2 wrong use.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.run = run,
};
