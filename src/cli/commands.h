/* SPDX-License-Identifier: Apache-2.0 */
/* Every subcommand of bedplate; each lives in cmd-NOUN-VERB.c. */
#pragma once

#include "base/cli.h"

extern const struct cli_command cmd_image_build;
extern const struct cli_command cmd_image_diff;
extern const struct cli_command cmd_image_extract;
extern const struct cli_command cmd_image_inspect;
extern const struct cli_command cmd_image_verify;
extern const struct cli_command cmd_kickstart_check;
extern const struct cli_command cmd_kickstart_dump;
extern const struct cli_command cmd_vm_run;
