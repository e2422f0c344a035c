/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli.h"
#include "nodectl/commands.h"

static const struct cli_command *const commands[] = {
	&cmd_info,
	&cmd_layers,
	&cmd_check,
	&cmd_health,
	&cmd_bless,
	&cmd_unbless,
	&cmd_upgrade,
	&cmd_activate,
	&cmd_rollback,
	&cmd_factory_reset,
	&cmd_plugin_add,
	&cmd_plugin_remove,
	&cmd_plugin_list,
	&cmd_plugin_info,
	&cmd_plugin_verify,
	&cmd_plugin_recover,
	&cmd_diff,
	&cmd_verify,
	&cmd_recover,
	&cmd_gc,
	&cmd_history,
	&cmd_motd,
	&cmd_banner,
	&cmd_install,
	&cmd_reinstall,
	&cmd_uninstall,
	&cmd_boot_install,
	&cmd_boot_early,
	&cmd_boot_health,
	&cmd_boot_volumes,
};

static const struct cli_program program = {
	.name = "nodectl",
	.summary = "Install, show and check a node",
	.version = BEDPLATE_VERSION,
	.commands = commands,
	.command_count = ARRAY_LEN(commands),
};

int main(int argc, char *argv[])
{
	return cli_main(&program, argc, argv);
}
