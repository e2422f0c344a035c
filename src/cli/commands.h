/* SPDX-License-Identifier: Apache-2.0 */
/* Every subcommand of bedplate; each lives in cmd-NOUN-VERB.c. */
#pragma once

#include "base/cli.h"

extern const struct cli_command cmd_image_build;
extern const struct cli_command cmd_image_diff;
extern const struct cli_command cmd_image_edit;
extern const struct cli_command cmd_image_extract;
extern const struct cli_command cmd_image_inspect;
extern const struct cli_command cmd_image_package;
extern const struct cli_command cmd_image_verify;
extern const struct cli_command cmd_kickstart_check;
extern const struct cli_command cmd_kickstart_dump;
extern const struct cli_command cmd_media_iso;
extern const struct cli_command cmd_media_pxe;
extern const struct cli_command cmd_media_usb;
extern const struct cli_command cmd_media_verify;
extern const struct cli_command cmd_netroot_add;
extern const struct cli_command cmd_netroot_check;
extern const struct cli_command cmd_netroot_default;
extern const struct cli_command cmd_netroot_gc;
extern const struct cli_command cmd_netroot_host;
extern const struct cli_command cmd_netroot_list;
extern const struct cli_command cmd_netroot_remove;
extern const struct cli_command cmd_netroot_serve;
extern const struct cli_command cmd_plugin_apply;
extern const struct cli_command cmd_plugin_check;
extern const struct cli_command cmd_plugin_info;
extern const struct cli_command cmd_plugin_new;
extern const struct cli_command cmd_plugin_pack;
extern const struct cli_command cmd_plugin_resolve;
extern const struct cli_command cmd_plugin_list;
extern const struct cli_command cmd_plugin_remove;
extern const struct cli_command cmd_plugin_verify;
extern const struct cli_command cmd_vm_define;
extern const struct cli_command cmd_vm_install;
extern const struct cli_command cmd_vm_netboot;
extern const struct cli_command cmd_vm_run;
