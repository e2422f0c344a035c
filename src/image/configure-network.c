/* SPDX-License-Identifier: Apache-2.0 */
/* network: the hostname, and profiles for NetworkManager. */
#include <stdio.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/configure-step.h"
#include "image/intree.h"
#include "image/nm-profile.h"

#define PROFILE_FOLDER    "/etc/NetworkManager/system-connections"
#define PROFILE_MAX_BYTES (64 * KIB)

/* hostname(5): labels of letters, digits and '-'. */
static int set_hostname(struct configure *cf, const struct ks_cmd *c, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-";
	const char *name = ks_str(c, "hostname");
	size_t len = strspn(name, chars);

	if (len == 0 || len > 64 || name[len] != '\0' || strchr(".-", name[0]))
		return configure_error(c, e, "bad hostname '%s'", name);
	autofree char *text = xasprintf("%s\n", name);
	return intree_write(cf->root_fd, "/etc/hostname", text, 0644, e);
}

/* A line with nothing but a hostname is no device. */
static bool names_device(const struct ks_cmd *c)
{
	return !ks_given(c, "hostname") || !ks_given_only(c, "hostname");
}

/* As image/nm-profile.h knows them: a word and its value. */
static void warn_of_ethtool(const struct configure *cf, const struct ks_cmd *c)
{
	const char *options = ks_str(c, "ethtool");
	autofree char *copy = xstrdup(options ? options : "");
	char *rest = copy;

	for (char *word; (word = str_next_word(&rest, " "));)
		if (!str_next_word(&rest, " ") ||
			(!str_eq(word, "autoneg") && !str_eq(word, "speed") &&
				!str_eq(word, "duplex")))
			configure_warn(cf, c,
				"network: --ethtool: '%s' is ignored, known are autoneg, speed and "
				"duplex, each with a value",
				word);
}

/* Options that mean something only beside another one. */
static void warn_of_useless(const struct configure *cf, const struct ks_cmd *c)
{
	static const struct {
		const char *option, *needs;
	} pairs[] = {
		{"bondopts", "bondslaves"},
		{"bridgeopts", "bridgeslaves"},
		{"interfacename", "vlanid"},
		{"ipv6gateway", "ipv6"},
	};
	static const char *const fixed[] = {"ip", "netmask", "gateway"};
	/* An image build says so when it parses the kickstart. */
	static const char *const unknown[] = {"wepkey", "wpakey", "bindto", "notksdevice"};
	const char *proto = ks_str(c, "bootproto");

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (ks_given(c, pairs[i].option) && !ks_given(c, pairs[i].needs))
			configure_warn(cf, c, "network: --%s does nothing without --%s",
				pairs[i].option, pairs[i].needs);
	for (size_t i = 0; cf->params->is_node && i < ARRAY_LEN(unknown); i++)
		if (ks_given(c, unknown[i]))
			configure_warn(cf, c, "network: --%s does nothing here", unknown[i]);
	if (proto && (str_eq(proto, "query") || str_eq(proto, "ibft")))
		configure_warn(
			cf, c, "network: --bootproto=%s is not known here, it will be dhcp", proto);
	warn_of_ethtool(cf, c);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (ks_given(c, fixed[i]) && !str_eq(proto ? proto : "", "static"))
			configure_warn(cf, c,
				"network: --%s does nothing without --bootproto=static", fixed[i]);
}

/* On a node "bootif" and "link" are known by now; an image leaves them to each node. */
static const char *device_of(const struct configure *cf, const struct ks_cmd *c)
{
	const char *device = ks_str(c, "device");
	const char *found = NULL;

	if (!cf->params->is_node || !device ||
		(!str_eq(device, "bootif") && !str_eq(device, "link")))
		return device;
	found = str_eq(device, "bootif") ? cf->params->boot_mac : cf->params->link_device;
	if (!found)
		configure_warn(
			cf, c, "network: there is no device '%s', the profile is for any", device);
	return found ? found : device;
}

static int add_profiles(
	struct configure *cf, const struct ks_cmd *c, struct nm_profiles *out, struct err *e)
{
	const struct nm_network n = {
		.device = device_of(cf, c),
		.bootproto = ks_str(c, "bootproto"),
		.ip = ks_str(c, "ip"),
		.netmask = ks_str(c, "netmask"),
		.gateway = ks_str(c, "gateway"),
		.nameserver = ks_str(c, "nameserver"),
		.ipv6 = ks_str(c, "ipv6"),
		.ipv6gateway = ks_str(c, "ipv6gateway"),
		.mtu = ks_str(c, "mtu"),
		.dhcpclass = ks_str(c, "dhcpclass"),
		.ethtool = ks_str(c, "ethtool"),
		.ipv4_dns_search = ks_str(c, "ipv4-dns-search"),
		.ipv6_dns_search = ks_str(c, "ipv6-dns-search"),
		.vlanid = ks_str(c, "vlanid"),
		.interfacename = ks_str(c, "interfacename"),
		.bondslaves = ks_str(c, "bondslaves"),
		.bondopts = ks_str(c, "bondopts"),
		.bridgeslaves = ks_str(c, "bridgeslaves"),
		.bridgeopts = ks_str(c, "bridgeopts"),
		.seed = cf->params->seed,
		.nodns = ks_flag(c, "nodns"),
		.ipv4_ignore_auto_dns = ks_flag(c, "ipv4-ignore-auto-dns"),
		.ipv6_ignore_auto_dns = ks_flag(c, "ipv6-ignore-auto-dns"),
		.nodefroute = ks_flag(c, "nodefroute"),
		.noipv4 = ks_flag(c, "noipv4"),
		.noipv6 = ks_flag(c, "noipv6"),
		.no_autoconnect = !ks_flag(c, "onboot"),
	};

	if (ks_given(c, "essid"))
		configure_warn(cf, c, "wireless networks are not supported, line ignored");
	else if (ks_given(c, "teamslaves"))
		configure_warn(cf, c, "teams are gone from NetworkManager, line ignored");
	else {
		warn_of_useless(cf, c);
		return configure_wrap(c, nm_profiles_add(out, &n, e), e);
	}
	return 0;
}

/* What the image's recipe said; profiles from elsewhere stay. */
static int remove_profiles(struct configure *cf, struct err *e)
{
	autostrv names = {0};
	int r = intree_list(cf->root_fd, PROFILE_FOLDER, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *path = xasprintf(PROFILE_FOLDER "/%s", names.items[i]);
		autofree char *text = NULL;

		if (file_read_in_root(cf->root_fd, path, PROFILE_MAX_BYTES, &text, NULL) == 0 &&
			str_starts(text, NM_PROFILE_MARK))
			r = intree_remove(cf->root_fd, path, e);
	}
	return r;
}

static int write_profiles(struct configure *cf, const struct nm_profiles *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		autofree char *path = xasprintf(
			PROFILE_FOLDER "/%s.nmconnection", p->items[i].name);

		r = intree_write(cf->root_fd, path, p->items[i].text, 0600, e);
	}
	return r;
}

int configure_network(struct configure *cf, struct err *e)
{
	bool has_manager = intree_has(cf->root_fd, "/usr/sbin/NetworkManager");
	auto_nm_profiles p = {0};
	bool any = false;
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(cf->doc, "network", c));) {
		if (ks_str(c, "hostname"))
			r = set_hostname(cf, c, e);
		if (r < 0 || !names_device(c))
			continue;
		any = true;
		if (!has_manager)
			configure_warn(cf, c,
				"no package 'network-manager' in this image, no profile for it");
		else
			r = add_profiles(cf, c, &p, e);
	}
	if (r == 0 && any && cf->params->is_node)
		r = remove_profiles(cf, e);
	return r == 0 ? write_profiles(cf, &p, e) : r;
}

int configure_activated(const struct ks_doc *doc, const struct configure_params *params,
	struct nm_profiles *out, struct err *e)
{
	struct configure cf = {.doc = doc, .params = params, .root_fd = -1};
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(doc, "network", c));)
		if (ks_flag(c, "activate") && names_device(c))
			r = add_profiles(&cf, c, out, e);
	return r;
}
