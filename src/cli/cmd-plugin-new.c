/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "plugin/pack.h"

static int run(
	const void *parsed UNUSED, char *const args[], struct progress *p UNUSED, struct err *e)
{
	return plugin_new(args[0], args[1] ? args[1] : args[0], e);
}

const struct cli_command cmd_plugin_new = {
	.name = "plugin new",
	.args = "NAME [DIR]",
	.summary = "Make a folder with the commented template of a plugin",
	.details = "DIR is NAME unless given, and must be new or empty.  'plugin pack' makes a\n"
		   "plugin of it: edit plugin.json and recipe.ks, and put the packages into\n"
		   "packages/.\n",
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
