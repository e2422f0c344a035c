/* SPDX-License-Identifier: Apache-2.0 */
/* What a console shows above its login prompt: the name and the addresses of the node. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

#define BANNER_PATH "/etc/issue.d/bedplate.issue"

struct banner {
	char *hostname;
	struct strv ipv4, ipv6;
	bool has_console; /* cockpit listens */
};

void banner_fini(struct banner *b);
#define autobanner auto_with(banner_fini) struct banner

/*
 * Of the running machine; out starts zeroed.  Loopback and link-local addresses are left out, and
 * interfaces that no network card is behind: the bridges of virtual machines, for one.
 */
int banner_gather(struct banner *out, struct err *e) MUST_CHECK;

/*
 * Whether a network card is behind an interface: itself, or by way of a bond, a bridge or a VLAN.
 * net_fd is /sys/class/net.
 */
bool banner_is_real(int net_fd, const char *name);
/* Whether an address is one to show. */
bool banner_wants(const struct sockaddr *a);

/* In the form of issue(5).  The caller frees it. */
char *banner_text(const struct banner *b) MUST_CHECK;
