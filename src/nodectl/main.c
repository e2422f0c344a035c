/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli.h"
#include "nodectl/commands.h"

static const struct cli_command *const commands[] = {
	&cmd_info,
};

static const struct cli_program program = {
	.name = "nodectl",
	.summary = "Show and check this node",
	.version = BEDPLATE_VERSION,
	.commands = commands,
	.command_count = ARRAY_LEN(commands),
};

int main(int argc, char *argv[])
{
	return cli_main(&program, argc, argv);
}
