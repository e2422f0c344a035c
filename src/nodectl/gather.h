/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands about the running node share. */
#pragma once

#include "base/err.h"
#include "node/state.h"

/*
 * Gather everything about this machine.  Fails unless it is an installed node and we are root, in a
 * line that says so.
 */
int nodectl_gather_installed(unsigned look, struct node_state *out, struct err *e) MUST_CHECK;
