/* SPDX-License-Identifier: Apache-2.0 */
#include "image/nm-profile.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/xalloc.h"

void nm_profiles_fini(struct nm_profiles *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].name);
		free(p->items[i].text);
	}
	free(p->items);
}

static bool is_set(const char *s)
{
	return s && *s;
}

/* RFC 9562, section 5.8: an identifier whose bits are ours to choose. */
static void format_uuid(const char *seed, const char *name, char out[37])
{
	autoptr(sha256) h = sha256_new();
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];

	sha256_add_str(h, "bedplate network profile");
	sha256_add_str(h, seed);
	sha256_add_str(h, name);
	sha256_end(h, sum);
	sum[6] = (uint8_t)((sum[6] & 0x0f) | 0x80);
	sum[8] = (uint8_t)((sum[8] & 0x3f) | 0x80);
	hex_format(sum, sizeof(sum), hex);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static bool is_mac(const char *s)
{
	for (size_t i = 0; i < 17; i++)
		if (i % 3 == 2 ? s[i] != ':' : !isxdigit((unsigned char)s[i]))
			return false;
	return s[17] == '\0';
}

static int check_device(const char *name, struct err *e)
{
	size_t len = strcspn(name, "/ :;,=[]\\\t\n");

	if (len == 0 || len > 15 || name[len] != '\0')
		return err_set(e, EINVAL, "bad device name '%s'", name);
	return 0;
}

static int check_value(const char *value, struct err *e)
{
	return is_set(value) && strpbrk(value, "\n\r")
		? err_set(e, EINVAL, "'%s' has more than one line", value)
		: 0;
}

static int check_number(
	const char *what, const char *text, unsigned long least, unsigned long most, struct err *e)
{
	char *end = NULL;

	if (!is_set(text))
		return 0;
	unsigned long n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || n < least || n > most)
		return err_set(
			e, EINVAL, "bad %s '%s', expected %lu to %lu", what, text, least, most);
	return 0;
}

static int check_address(int family, const char *text, struct err *e)
{
	uint8_t bytes[16];

	if (inet_pton(family, text, bytes) != 1)
		return err_set(
			e, EINVAL, "bad IPv%c address '%s'", family == AF_INET ? '4' : '6', text);
	return 0;
}

/* "255.255.255.0" or "24"; -EINVAL when the ones are not all in front. */
static int prefix_length(const char *netmask, struct err *e)
{
	uint8_t b[4];
	char *end = NULL;
	unsigned long bits = strtoul(netmask, &end, 10);

	if (*netmask && *end == '\0' && bits <= 32)
		return (int)bits;
	if (inet_pton(AF_INET, netmask, b) != 1)
		return err_set(e, EINVAL, "bad netmask '%s'", netmask);
	uint32_t mask = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	if ((~mask & (~mask + 1)) != 0)
		return err_set(e, EINVAL, "bad netmask '%s'", netmask);
	return __builtin_popcount(mask);
}

/* Lists are given with ',' and kept with ';'. */
static void add_list(struct strbuf *b, const char *key, const char *list)
{
	if (!is_set(list))
		return;
	strbuf_printf(b, "%s=", key);
	for (; *list; list++)
		if (!isspace((unsigned char)*list))
			strbuf_putc(b, *list == ',' ? ';' : *list);
	strbuf_puts(b, ";\n");
}

/* Name servers of one family. */
static int add_dns(struct strbuf *b, const char *servers, int family, struct err *e)
{
	autofree char *copy = xstrdup(servers ? servers : "");
	autostrbuf list = {0};
	char *rest = copy;

	for (char *server; (server = str_next_word(&rest, ", "));) {
		int own = strchr(server, ':') ? AF_INET6 : AF_INET;
		int r = check_address(own, server, e);

		if (r < 0)
			return r;
		if (own == family)
			strbuf_printf(&list, "%s;", server);
	}
	if (list.len > 0)
		strbuf_printf(b, "dns=%s\n", list.data);
	return 0;
}

static int add_static4(struct strbuf *b, const struct nm_network *n, struct err *e)
{
	int prefix, r;

	if (!is_set(n->ip) || !is_set(n->netmask))
		return err_set(e, EINVAL, "a static address needs --ip and --netmask");
	r = check_address(AF_INET, n->ip, e);
	if (r == 0 && is_set(n->gateway))
		r = check_address(AF_INET, n->gateway, e);
	if (r < 0)
		return r;
	prefix = prefix_length(n->netmask, e);
	if (prefix < 0)
		return prefix;
	strbuf_printf(b, "method=manual\naddress1=%s/%d%s%s\n", n->ip, prefix,
		is_set(n->gateway) ? "," : "", is_set(n->gateway) ? n->gateway : "");
	return 0;
}

static int add_ipv4(struct strbuf *b, const struct nm_network *n, struct err *e)
{
	int r = 0;

	strbuf_puts(b, "\n[ipv4]\n");
	if (n->noipv4) {
		strbuf_puts(b, "method=disabled\n");
		return 0;
	}
	if (is_set(n->bootproto) && str_eq(n->bootproto, "static"))
		r = add_static4(b, n, e);
	else
		strbuf_puts(b, "method=auto\n");
	if (r < 0)
		return r;
	if (is_set(n->dhcpclass))
		strbuf_printf(b, "dhcp-vendor-class-identifier=%s\n", n->dhcpclass);
	if (n->nodefroute)
		strbuf_puts(b, "never-default=true\n");
	if (n->nodns || n->ipv4_ignore_auto_dns)
		strbuf_puts(b, "ignore-auto-dns=true\n");
	add_list(b, "dns-search", n->ipv4_dns_search);
	return add_dns(b, n->nameserver, AF_INET, e);
}

/* --ipv6=auto, dhcp, or address/prefix. */
static int add_address6(struct strbuf *b, const struct nm_network *n, struct err *e)
{
	size_t len = strcspn(n->ipv6, "/");
	autofree char *address = xstrndup(n->ipv6, len);
	char *end = NULL;
	unsigned long prefix = n->ipv6[len] ? strtoul(n->ipv6 + len + 1, &end, 10) : 64;
	int r = check_address(AF_INET6, address, e);

	if (r == 0 && ((end && *end != '\0') || prefix < 1 || prefix > 128))
		r = err_set(e, EINVAL, "bad IPv6 address '%s'", n->ipv6);
	if (r == 0 && is_set(n->ipv6gateway))
		r = check_address(AF_INET6, n->ipv6gateway, e);
	if (r < 0)
		return r;
	strbuf_printf(b, "method=manual\naddress1=%s/%lu%s%s\n", address, prefix,
		is_set(n->ipv6gateway) ? "," : "", is_set(n->ipv6gateway) ? n->ipv6gateway : "");
	return 0;
}

static int add_ipv6(struct strbuf *b, const struct nm_network *n, struct err *e)
{
	int r = 0;

	strbuf_puts(b, "\n[ipv6]\n");
	if (n->noipv6) {
		strbuf_puts(b, "method=disabled\n");
		return 0;
	}
	if (!is_set(n->ipv6) || str_eq(n->ipv6, "auto"))
		strbuf_puts(b, "method=auto\n");
	else if (str_eq(n->ipv6, "dhcp"))
		strbuf_puts(b, "method=dhcp\n");
	else
		r = add_address6(b, n, e);
	if (r < 0)
		return r;
	if (n->nodefroute)
		strbuf_puts(b, "never-default=true\n");
	if (n->nodns || n->ipv6_ignore_auto_dns)
		strbuf_puts(b, "ignore-auto-dns=true\n");
	add_list(b, "dns-search", n->ipv6_dns_search);
	return add_dns(b, n->nameserver, AF_INET6, e);
}

static void add_connection(struct strbuf *b, const struct nm_network *n, const char *name,
	const char *type, const char *interface)
{
	char uuid[37];

	format_uuid(n->seed, name, uuid);
	strbuf_printf(
		b, NM_PROFILE_MARK "[connection]\nid=%s\nuuid=%s\ntype=%s\n", name, uuid, type);
	if (is_set(interface))
		strbuf_printf(b, "interface-name=%s\n", interface);
	if (n->no_autoconnect)
		strbuf_puts(b, "autoconnect=false\n");
}

/* "autoneg off speed 1000 duplex full", as for ethtool -s. */
static void add_ethtool(struct strbuf *b, const char *options)
{
	static const char *const names[][2] = {
		{"autoneg", "auto-negotiate"}, {"speed", "speed"}, {"duplex", "duplex"}};
	autofree char *copy = xstrdup(options ? options : "");
	char *rest = copy;

	for (char *name; (name = str_next_word(&rest, " "));) {
		char *value = str_next_word(&rest, " ");

		for (size_t i = 0; value && i < ARRAY_LEN(names); i++)
			if (str_eq(names[i][0], name))
				strbuf_printf(b, "%s=%s\n", names[i][1],
					str_eq(value, "on")            ? "true"
						: str_eq(value, "off") ? "false"
								       : value);
	}
}

static void add_ethernet(struct strbuf *b, const struct nm_network *n, const char *mac)
{
	strbuf_puts(b, "\n[ethernet]\n");
	if (mac)
		strbuf_printf(b, "mac-address=%s\n", mac);
	if (is_set(n->mtu))
		strbuf_printf(b, "mtu=%s\n", n->mtu);
	add_ethtool(b, n->ethtool);
}

static int finish(struct nm_profiles *out, const struct nm_network *n, const char *name,
	struct strbuf *b, struct err *e)
{
	int r = add_ipv4(b, n, e);

	if (r == 0)
		r = add_ipv6(b, n, e);
	if (r < 0)
		return r;
	out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
	out->items[out->count++] = (struct nm_profile){
		.name = xstrdup(name), .text = strbuf_take(b)};
	return 0;
}

/* A device that belongs to a bond or bridge and has no addresses of its own. */
static int add_ports(struct nm_profiles *out, const struct nm_network *n, const char *master,
	const char *kind, const char *list, struct err *e)
{
	autofree char *copy = xstrdup(list);
	char *rest = copy;

	for (char *port; (port = str_next_word(&rest, ", "));) {
		autofree char *name = xasprintf("%s-%s", master, port);
		autostrbuf b = {0};
		int r = check_device(port, e);

		if (r < 0)
			return r;
		add_connection(&b, n, name, "ethernet", port);
		strbuf_printf(&b, "master=%s\nslave-type=%s\n", master, kind);
		add_ethernet(&b, n, NULL);
		out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
		out->items[out->count++] = (struct nm_profile){
			.name = take_ptr(name), .text = strbuf_take(&b)};
	}
	return 0;
}

/* "mode=active-backup,miimon=100": one key a line. */
static void add_options(struct strbuf *b, const char *options, const char *separators)
{
	autofree char *copy = xstrdup(options ? options : "");
	char *rest = copy;

	for (char *option; (option = str_next_word(&rest, separators));)
		strbuf_printf(b, "%s\n", option);
}

static int add_bond(struct nm_profiles *out, const struct nm_network *n, struct err *e)
{
	autostrbuf b = {0};
	int r;

	add_connection(&b, n, n->device, "bond", n->device);
	strbuf_puts(&b, "\n[bond]\n");
	/* Values may hold ',' themselves, then ';' is between options. */
	add_options(&b, n->bondopts, is_set(n->bondopts) && strchr(n->bondopts, ';') ? ";" : ",");
	add_ethernet(&b, n, NULL);
	r = finish(out, n, n->device, &b, e);
	return r == 0 ? add_ports(out, n, n->device, "bond", n->bondslaves, e) : r;
}

static int add_bridge(struct nm_profiles *out, const struct nm_network *n, struct err *e)
{
	autostrbuf b = {0};
	int r;

	add_connection(&b, n, n->device, "bridge", n->device);
	strbuf_puts(&b, "\n[bridge]\n");
	add_options(&b, n->bridgeopts, ",");
	add_ethernet(&b, n, NULL);
	r = finish(out, n, n->device, &b, e);
	return r == 0 ? add_ports(out, n, n->device, "bridge", n->bridgeslaves, e) : r;
}

static int add_vlan(struct nm_profiles *out, const struct nm_network *n, struct err *e)
{
	autofree char *usual = xasprintf("%s.%s", n->device, n->vlanid);
	const char *name = is_set(n->interfacename) ? n->interfacename : usual;
	autostrbuf b = {0};
	int r = check_device(name, e);

	if (r < 0)
		return r;
	add_connection(&b, n, name, "vlan", name);
	strbuf_printf(&b, "\n[vlan]\nid=%s\nparent=%s\n", n->vlanid, n->device);
	add_ethernet(&b, n, NULL);
	return finish(out, n, name, &b, e);
}

static int add_wired(struct nm_profiles *out, const struct nm_network *n, struct err *e)
{
	bool any = !is_set(n->device) || str_eq(n->device, "link") || str_eq(n->device, "bootif");
	bool by_mac = !any && is_mac(n->device);
	autofree char *name = any ? xstrdup("wired") : xstrdup(n->device);
	autostrbuf b = {0};
	int r = any || by_mac ? 0 : check_device(n->device, e);

	if (r < 0)
		return r;
	for (char *p = name; *p; p++)
		*p = *p == ':' ? '-' : *p;
	add_connection(&b, n, name, "ethernet", any || by_mac ? NULL : n->device);
	if (any)
		strbuf_puts(&b, "multi-connect=3\n");
	add_ethernet(&b, n, by_mac ? n->device : NULL);
	return finish(out, n, name, &b, e);
}

int nm_profiles_add(struct nm_profiles *out, const struct nm_network *n, struct err *e)
{
	const char *const values[] = {n->dhcpclass, n->ethtool, n->bondopts, n->bridgeopts,
		n->ipv4_dns_search, n->ipv6_dns_search};
	bool is_virtual = is_set(n->bondslaves) || is_set(n->bridgeslaves) || is_set(n->vlanid);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(values); i++)
		r = check_value(values[i], e);
	if (r == 0)
		r = check_number("MTU", n->mtu, 68, 65535, e);
	if (r == 0)
		r = check_number("VLAN id", n->vlanid, 0, 4094, e);
	if (r == 0 && is_virtual)
		r = is_set(n->device) ? check_device(n->device, e)
				      : err_set(e, EINVAL, "this needs --device");
	if (r < 0)
		return r;
	if (is_set(n->bondslaves))
		return add_bond(out, n, e);
	if (is_set(n->bridgeslaves))
		return add_bridge(out, n, e);
	return is_set(n->vlanid) ? add_vlan(out, n, e) : add_wired(out, n, e);
}
