/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/media-options.h"

struct options {
	struct media_options media;
	const char *output;
};

static const struct cli_opt opts[] = {
	{'o', "output", "FILE", "the ISO to write (needed)", OPT_STRING,
		offsetof(struct options, output)},
	{'k', "kickstart", "KS", "kickstart for the installer, checked first", OPT_STRING,
		offsetof(struct options, media.kickstart)},
	{'l', "label", "LABEL",
		"volume label, at most 32 of A-Z 0-9 _ - (default: from name and version)",
		OPT_STRING, offsetof(struct options, media.label)},
	{'a', "append", "ARGS", "more kernel parameters for every menu entry", OPT_STRING,
		offsetof(struct options, media.append)},
};

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct media_spec spec = media_spec_of(args[0], &o->media);

	if (!o->output) {
		err_set(e, EINVAL, "'--output' is missing");
		return CLI_WRONG_USE;
	}
	int r = media_write_iso(&spec, o->output, p, e);
	if (r == 0)
		puts(o->output);
	return r;
}

const struct cli_command cmd_media_iso = {
	.name = "media iso",
	.args = "IMAGE",
	.summary = "Write an ISO that boots live and installs",
	.details =
		"The ISO boots by BIOS, UEFI and UEFI with Secure Boot, from an optical drive or\n"
		"written as it is to a stick.  With a kickstart the menu starts the installation\n"
		"by itself after ten seconds, otherwise the live system.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
