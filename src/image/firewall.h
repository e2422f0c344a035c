/* SPDX-License-Identifier: Apache-2.0 */
/* The firewall command as a ruleset for nft(8). */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct firewall {
	struct strv ports;    /* "22:tcp" */
	struct strv services; /* names of the table, or of services(5) */
	struct strv trusted;  /* network devices */
};

/*
 * services_text is the tree's /etc/services, or "".  -EINVAL: unknown service, bad port or device.
 * The caller frees *out.
 */
int firewall_ruleset(const struct firewall *f, const char *services_text, char **out, struct err *e)
	MUST_CHECK;

/*
 * More ports for a ruleset that firewall_ruleset() made.  -EINVAL: it is another one.  The caller frees
 * *out.
 */
int firewall_open_ports(const char *ruleset, const struct strv *ports, char **out, struct err *e)
	MUST_CHECK;
