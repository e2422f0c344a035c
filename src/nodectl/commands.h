/* SPDX-License-Identifier: Apache-2.0 */
/* Every subcommand of nodectl; each lives in cmd-VERB.c. */
#pragma once

#include "base/cli.h"

extern const struct cli_command cmd_activate;
extern const struct cli_command cmd_banner;
extern const struct cli_command cmd_bless;
extern const struct cli_command cmd_boot_early;
extern const struct cli_command cmd_boot_health;
extern const struct cli_command cmd_boot_install;
extern const struct cli_command cmd_boot_volumes;
extern const struct cli_command cmd_check;
extern const struct cli_command cmd_factory_reset;
extern const struct cli_command cmd_health;
extern const struct cli_command cmd_diff;
extern const struct cli_command cmd_gc;
extern const struct cli_command cmd_history;
extern const struct cli_command cmd_info;
extern const struct cli_command cmd_install;
extern const struct cli_command cmd_layers;
extern const struct cli_command cmd_motd;
extern const struct cli_command cmd_plugin_add;
extern const struct cli_command cmd_plugin_info;
extern const struct cli_command cmd_plugin_list;
extern const struct cli_command cmd_plugin_recover;
extern const struct cli_command cmd_plugin_remove;
extern const struct cli_command cmd_plugin_verify;
extern const struct cli_command cmd_recover;
extern const struct cli_command cmd_reinstall;
extern const struct cli_command cmd_rollback;
extern const struct cli_command cmd_unbless;
extern const struct cli_command cmd_uninstall;
extern const struct cli_command cmd_upgrade;
extern const struct cli_command cmd_verify;
