/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli.h"
#include "cli/commands.h"

static const struct cli_command *const commands[] = {
	&cmd_kickstart_check,
	&cmd_kickstart_dump,
};

static const struct cli_program program = {
	.name = "bedplate",
	.summary = "Build, inspect and run node images",
	.version = BEDPLATE_VERSION,
	.commands = commands,
	.command_count = ARRAY_LEN(commands),
};

int main(int argc, char *argv[])
{
	return cli_main(&program, argc, argv);
}
