/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/media-options.h"

struct options {
	struct media_options media;
	uint64_t size_bytes;
	bool force, dry_run, yes;
};

static const struct cli_opt opts[] = {
	{'k', "kickstart", "KS", "kickstart for the installer, checked first", OPT_STRING,
		offsetof(struct options, media.kickstart)},
	{'l', "label", "LABEL",
		"label of a new stick, at most 11 of A-Z 0-9 _ - (default: BEDPLATE)", OPT_STRING,
		offsetof(struct options, media.label)},
	{'a', "append", "ARGS", "more kernel parameters for every menu entry", OPT_STRING,
		offsetof(struct options, media.append)},
	{'s', "size", "SIZE", "of a new file (default: as large as it needs)", OPT_SIZE,
		offsetof(struct options, size_bytes)},
	{0, "force", NULL, "accept a disk that is not removable", OPT_FLAG,
		offsetof(struct options, force)},
	{0, "dry-run", NULL, "print the plan, write nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
	{'y', "yes", NULL, "erase what is on TARGET", OPT_FLAG, offsetof(struct options, yes)},
};

static void print_plan(void *ctx UNUSED, const char *line)
{
	puts(line);
	fflush(stdout);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct media_usb_spec spec = {
		.media = media_spec_of(args[0], &o->media),
		.target = args[1],
		.size_bytes = o->size_bytes,
		.force = o->force,
		.dry_run = o->dry_run,
		.yes = o->yes,
		.plan = print_plan,
	};

	return media_write_usb(&spec, p, e);
}

const struct cli_command cmd_media_usb = {
	.name = "media usb",
	.args = "IMAGE TARGET",
	.summary = "Write a stick with one or several images",
	.details = "TARGET is a disk, or a file that is made or updated.  On a stick that this\n"
		   "command has made, the image is added beside those that are there and becomes\n"
		   "the default in the last step; anything else on TARGET is erased, which needs\n"
		   "--yes.  The stick boots by BIOS, UEFI and UEFI with Secure Boot.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 2,
	.max_args = 2,
	.has_progress = true,
	.run = run,
};
