/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The servers that a tree is served by, as commands: which programs, with which arguments.
 */
#pragma once

#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"

#define NBD_PORT 10809

/* Who has no rights. */
#define SERVERS_USER  "nobody"
#define SERVERS_GROUP "nogroup"

/*
 * nbdkit: every file of the folder is a read-only export of its name.  It ends with us.  listen: an
 * address, or NULL for all.  user: who it becomes, or NULL.
 */
void servers_nbdkit(
	struct cmd *c, const char *images, const char *listen, uint16_t port, const char *user);

/* Whether this port can be taken: -EADDRINUSE names it.  port 0: *out is one that is free. */
int servers_check_port(const char *listen, uint16_t port, int type, uint16_t *out, struct err *e)
	MUST_CHECK;

/* Until something listens there.  -EPROTO: c has ended before. */
int servers_await(const struct cmd *c, const char *listen, uint16_t port, struct err *e) MUST_CHECK;
