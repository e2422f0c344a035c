/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/file.h"
#include "node/banner.h"
#include "nodectl/commands.h"

struct options {
	bool update;
};

static const struct cli_opt opts[] = {
	{0, "update", NULL, "write " BANNER_PATH " instead", OPT_FLAG,
		offsetof(struct options, update)},
};

static int update(const char *text, struct err *e)
{
	int r = file_make_folder("/etc/issue.d", 0755, e);

	return r < 0 ? r : file_replace(BANNER_PATH, text, strlen(text), 0644, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autobanner banner = {0};
	int r = banner_gather(&banner, e);

	(void)args;
	(void)p;
	if (r < 0)
		return r;
	autofree char *text = banner_text(&banner);
	if (o->update)
		return update(text, e);
	fputs(text, stdout);
	return 0;
}

const struct cli_command cmd_banner = {
	.name = "banner",
	.args = "",
	.summary = "Show the name and the addresses of this node",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.run = run,
};
