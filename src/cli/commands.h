/* SPDX-License-Identifier: Apache-2.0 */
/* Every subcommand of bedplate; each lives in cmd-NOUN-VERB.c. */
#pragma once

#include "base/cli.h"

extern const struct cli_command cmd_kickstart_check;
extern const struct cli_command cmd_kickstart_dump;
