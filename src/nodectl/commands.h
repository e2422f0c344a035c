/* SPDX-License-Identifier: Apache-2.0 */
/* Every subcommand of nodectl; each lives in cmd-VERB.c. */
#pragma once

#include "base/cli.h"

extern const struct cli_command cmd_info;
