/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/media-options.h"

struct options {
	struct media_options media;
	const char *url;
};

static const struct cli_opt opts[] = {
	{'k', "kickstart", "KS", "kickstart for the installer, checked first", OPT_STRING,
		offsetof(struct options, media.kickstart)},
	{'a', "append", "ARGS", "more kernel parameters for every menu entry", OPT_STRING,
		offsetof(struct options, media.append)},
	{'u', "url", "URL", "where FOLDER will be served from (default: the TFTP server, http)",
		OPT_STRING, offsetof(struct options, url)},
};

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct media_spec spec = media_spec_of(args[0], &o->media);
	int r = media_write_pxe(&spec, args[1], o->url, p, e);

	if (r == 0)
		puts(args[1]);
	return r;
}

const struct cli_command cmd_media_pxe = {
	.name = "media pxe",
	.args = "IMAGE FOLDER",
	.summary = "Write a folder for network boot",
	.details = "FOLDER is served by TFTP, as the root of the server, and by HTTP.  Machines\n"
		   "with UEFI start BOOTX64.EFI, those with iPXE the script boot.ipxe.  A folder\n"
		   "that this command has made is replaced in one step.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 2,
	.max_args = 2,
	.has_progress = true,
	.run = run,
};
