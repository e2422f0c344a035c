/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/netroot-options.h"

struct options {
	const char *tree, *image, *hostname, *append, *config;
	bool remove;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{'i', "image", "LABEL", "the entry it boots (needed for a new host)", OPT_STRING,
		offsetof(struct options, image)},
	{'n', "hostname", "NAME", "its host name", OPT_STRING, offsetof(struct options, hostname)},
	{'a', "append", "ARGS", "more kernel parameters for this host", OPT_STRING,
		offsetof(struct options, append)},
	{'c', "config", "DIR", "files of its own, kept for it", OPT_STRING,
		offsetof(struct options, config)},
	{0, "remove", NULL, "it boots the default again", OPT_FLAG,
		offsetof(struct options, remove)},
};

static int run(const void *parsed, char *const args[], struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;
	const struct netroot_host_spec spec = {.tree = o->tree,
		.host = args[0],
		.label = o->image,
		.hostname = o->hostname,
		.append = o->append,
		.config = o->config};

	if (o->remove && (o->image || o->hostname || o->append || o->config)) {
		err_set(e, EINVAL, "'--remove' goes with no other option but '--tree'");
		return CLI_WRONG_USE;
	}
	if (!o->remove && !o->image && !o->hostname && !o->append && !o->config) {
		err_set(e, EINVAL, "nothing to set: '--image=LABEL' or '--remove' is missing");
		return CLI_WRONG_USE;
	}
	return o->remove ? netroot_host_remove(o->tree, args[0], e) : netroot_host_set(&spec, e);
}

const struct cli_command cmd_netroot_host = {
	.name = "netroot host",
	.args = "MAC|UUID",
	.summary = "Choose what one machine boots",
	.details = "The machine is told by the MAC address that it boots with, or by the UUID of\n"
		   "its firmware.  What is not given stays as it is.  'netroot list' lists them.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
