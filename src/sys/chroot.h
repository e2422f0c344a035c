/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run programs inside a tree, or on it, so that nothing of them stays.
 *
 * Mounts live in a private mount namespace and end with it, whatever kills us; programs live in a
 * pid namespace of their own and end with its first process, daemons too.
 */
#pragma once

#include "base/cleanup.h"
#include "base/cmd.h"
#include "base/err.h"

/*
 * Move this process into a mount namespace of its own, from where no mount gets out, and set its
 * umask to 022.  Called once, before any thread is started; a second call does nothing.  -EPERM
 * without root.
 */
int chroot_enter_namespace(struct err *e) MUST_CHECK;

struct chroot; /* a tree made ready for programs */

/*
 * Mount a /dev of the harmless nodes only, a read-only /sys and an empty /run, give the tree the
 * host's resolv.conf and forbid services to start.  /proc is mounted for each command.  All of it
 * is gone after chroot_close(), which must come before the tree is read or copied.
 */
int chroot_open(const char *tree_path, struct chroot **out, struct err *e) MUST_CHECK;
/* The same for a tree that becomes this machine's: with all of its /dev and /sys. */
int chroot_open_with_devices(const char *tree_path, struct chroot **out, struct err *e) MUST_CHECK;
void chroot_close(struct chroot *c);
DEFINE_AUTOPTR(chroot, chroot_close)

/*
 * Begin a command that runs inside.  The caller adds the program and its arguments with cmd_add();
 * the environment is clean but for what a script may expect and what cmd_env() adds.
 */
void chroot_cmd_init(const struct chroot *c, struct cmd *cmd);

/*
 * The same for a copy of the system that runs: it has a network of its own, cannot change settings of the
 * kernel, load modules, set the clock or restart, and ends with us, however we end.
 */
void chroot_cmd_init_guarded(const struct chroot *c, struct cmd *cmd);

/* Begin a command that runs outside of any tree, but whose children end with it as above. */
void chroot_cmd_init_outside(struct cmd *cmd);
