/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run programs inside a tree, or on it, so that nothing of them stays.
 *
 * Mounts live in a private mount namespace and end with it, whatever kills us; programs live in a
 * pid namespace of their own and end with its first process, daemons too.
 */
#pragma once

#include <stdbool.h>

#include "base/cmd.h"
#include "base/err.h"

/*
 * Move this process into a mount namespace of its own, from where no mount gets out.  Called once,
 * before any thread is started; a second call does nothing.  -EPERM without root.
 */
int chroot_enter_namespace(struct err *e) MUST_CHECK;

/*
 * Begin a command that runs inside the tree, with /proc, a read-only /sys, a /dev of the harmless
 * nodes only, fresh /run and /tmp, the host's network and its /etc/resolv.conf.  The caller adds
 * the program and its arguments with cmd_add() and runs it; the environment is clean but for PATH,
 * HOME, TERM and what cmd_env() adds.
 */
int chroot_cmd_init(struct cmd *c, const char *tree_path, struct err *e) MUST_CHECK;

/* Begin a command that runs outside the tree, but whose children end with it as above. */
int chroot_cmd_init_outside(struct cmd *c, struct err *e) MUST_CHECK;
