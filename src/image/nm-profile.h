/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network command as NetworkManager connection profiles (nm-settings-keyfile(5)).
 *
 * Text in, text out; nothing is looked up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NM_PROFILE_MARK "# From the kickstart.\n" /* the first line of each */

struct nm_profile {
	char *name; /* of the file, without folder and suffix */
	char *text;
};

struct nm_profiles {
	struct nm_profile *items;
	size_t count;
};

void nm_profiles_fini(struct nm_profiles *p);
#define auto_nm_profiles auto_with(nm_profiles_fini) struct nm_profiles

/* Options of the command; NULL or "" when not given. */
struct nm_network {
	const char *device; /* name or MAC address; NULL, "link" and "bootif": any wired one */
	const char *bootproto;
	const char *ip, *netmask, *gateway, *nameserver;
	const char *ipv6, *ipv6gateway;
	const char *mtu, *dhcpclass, *ethtool;
	const char *ipv4_dns_search, *ipv6_dns_search;
	const char *vlanid, *interfacename;
	const char *bondslaves, *bondopts;
	const char *bridgeslaves, *bridgeopts;
	const char *seed; /* the profiles' UUIDs are derived from it */
	bool nodns, ipv4_ignore_auto_dns, ipv6_ignore_auto_dns;
	bool nodefroute, noipv4, noipv6, no_autoconnect;
};

/* Append the profiles of one command.  -EINVAL: an address or name that can not be right. */
int nm_profiles_add(struct nm_profiles *out, const struct nm_network *n, struct err *e) MUST_CHECK;
