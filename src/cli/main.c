/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli.h"
#include "cli/commands.h"

static const struct cli_command *const commands[] = {
	&cmd_image_build,
	&cmd_image_diff,
	&cmd_image_edit,
	&cmd_image_extract,
	&cmd_image_inspect,
	&cmd_image_package,
	&cmd_image_verify,
	&cmd_kickstart_check,
	&cmd_kickstart_dump,
	&cmd_media_iso,
	&cmd_media_pxe,
	&cmd_media_usb,
	&cmd_media_verify,
	&cmd_netroot_add,
	&cmd_netroot_check,
	&cmd_netroot_default,
	&cmd_netroot_gc,
	&cmd_netroot_host,
	&cmd_netroot_list,
	&cmd_netroot_remove,
	&cmd_netroot_serve,
	&cmd_plugin_apply,
	&cmd_plugin_check,
	&cmd_plugin_info,
	&cmd_plugin_new,
	&cmd_plugin_pack,
	&cmd_plugin_resolve,
	&cmd_plugin_list,
	&cmd_plugin_remove,
	&cmd_plugin_verify,
	&cmd_vm_define,
	&cmd_vm_install,
	&cmd_vm_netboot,
	&cmd_vm_run,
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
