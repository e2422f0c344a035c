/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TFTP folder of a tree as one machine in a test gets it: its own choice of an image, its own server and
 * parameters, and kernels and boot loaders as links into the tree, which is not changed.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "netroot/db.h"

struct netroot_stage_spec {
	const char *tree;
	const char *label;  /* what is booted; NULL: the default, or what is the host's */
	const char *host;   /* the machine is this host of the tree; NULL: none of them */
	const char *append; /* more kernel parameters of all entries, or NULL */
	const char *server; /* of NBD, for all entries */
	const char *folder; /* made; NULL: only what can be checked is checked */
};

struct netroot_staged {
	char *images;                     /* the folder that the NBD server offers */
	char host[NETROOT_HOST_ID_BYTES]; /* MAC address or UUID, or "" */
	bool own;  /* what is booted takes any server, see netroot_server_is_plain() */
	bool http; /* it fetches the whole image */
	bool has_pxelinux;
	bool has_grub;
};

void netroot_staged_fini(struct netroot_staged *s);

/* What of it does not depend on the server, which may still be looked for. */
int netroot_stage_look(const char *tree, const char *label, const char *host,
	struct netroot_staged *out, struct err *e) MUST_CHECK;
int netroot_stage(const struct netroot_stage_spec *spec, struct err *e) MUST_CHECK;
