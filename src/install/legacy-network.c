/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/xalloc.h"
#include "install/legacy-internal.h"
#include "liveimg/booted.h"

#define HOSTNAME_MAX   253
#define VLAN_MAX       4094
#define FIELDS_MAX     8
#define HOSTNAME_CHARS LEGACY_NAME_CHARS ".-"
#define DEVICE_CHARS   LEGACY_NAME_CHARS ".:-_"

struct address {
	char *ip, *netmask, *gateway, *hostname, *device;
	bool dhcp, off;
};

static void address_fini(struct address *a)
{
	free(a->ip);
	free(a->netmask);
	free(a->gateway);
	free(a->hostname);
	free(a->device);
}

static bool is_ipv4(const char *text)
{
	struct in_addr a;

	return inet_pton(AF_INET, text, &a) == 1;
}

/* "255.255.255.0" or "24"; the caller frees the first form.  NULL: neither. */
static char *parse_netmask(const char *text)
{
	char dotted[INET_ADDRSTRLEN];
	struct in_addr a;
	char *end = NULL;

	if (inet_pton(AF_INET, text, &a) == 1) {
		uint32_t host = ~ntohl(a.s_addr);

		return (host & (host + 1)) == 0 ? xstrdup(text) : NULL;
	}
	unsigned long bits = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || bits < 1 || bits > 32)
		return NULL;
	a.s_addr = htonl(~(uint32_t)0 << (32 - bits));
	return xstrdup(inet_ntop(AF_INET, &a, dotted, sizeof(dotted)));
}

static bool means_dhcp(const char *text)
{
	return str_eq(text, "dhcp") || str_eq(text, "on") || str_eq(text, "any");
}

static char *field(const char *text)
{
	return text && *text ? xstrdup(text) : NULL;
}

/*
 * "IP", "dhcp", "off", "DEVICE:dhcp", or the first four to seven of
 * IP:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:HOW, as pxelinux and dracut have them.
 */
static int parse_ip(const char *value, struct address *a, struct err *e)
{
	autofree char *copy = xstrdup(value);
	char *fields[FIELDS_MAX] = {0};
	size_t count = 0;

	for (char *p = copy; p && count < FIELDS_MAX; count++) {
		fields[count] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = '\0';
	}
	a->dhcp = count == 1 && means_dhcp(value);
	a->off = count == 1 && (str_eq(value, "off") || str_eq(value, "none"));
	if (a->dhcp || a->off)
		return 0;
	if (count == 2 && means_dhcp(fields[1])) {
		a->dhcp = true;
		a->device = field(fields[0]);
		return 0;
	}
	if (count > 7 || count == 2 || count == 3 || !is_ipv4(fields[0]))
		return legacy_bad(
			"ip", value, "dhcp, off, ADDRESS, or ADDRESS:SERVER:GATEWAY:NETMASK", e);
	a->ip = field(fields[0]);
	a->gateway = field(fields[2]);
	a->netmask = field(fields[3]);
	a->hostname = field(fields[4]);
	a->device = field(fields[5]);
	return 0;
}

static void override(char **field, const char *value)
{
	if (!value || !*value)
		return;
	free(*field);
	*field = xstrdup(value);
}

/* "01-52-54-00-..." as pxelinux writes it, a MAC address, a device, or "link". */
static int parse_bootif(const char *value, struct address *a, struct err *e)
{
	size_t len = strlen(value);

	if (!legacy_consists_of(value, DEVICE_CHARS, 32) || value[0] == '-')
		return legacy_bad("BOOTIF", value, "a MAC address, a device, or link", e);
	free(a->device);
	a->device = xstrdup(value);
	if (len != strlen("01-00-00-00-00-00-00") || value[2] != '-')
		return 0;
	memmove(a->device, a->device + 3, len - 2);
	for (char *p = a->device; *p; p++)
		*p = *p == '-' ? ':' : *p;
	return 0;
}

static int check_address(const struct address *a, struct err *e)
{
	if (a->hostname && !legacy_consists_of(a->hostname, HOSTNAME_CHARS, HOSTNAME_MAX))
		return legacy_bad("hostname", a->hostname, "letters, digits, '.' and '-'", e);
	if (a->device && !legacy_consists_of(a->device, DEVICE_CHARS, 32))
		return legacy_bad("ip", a->device, "the name of a device", e);
	if (a->gateway && !is_ipv4(a->gateway))
		return legacy_bad("gateway", a->gateway, "an IPv4 address", e);
	if (a->ip && !a->netmask)
		return err_set(e, EINVAL, "kernel argument ip=%s: netmask= is missing", a->ip);
	return 0;
}

static int parse_address(const struct strv *words, struct address *a, struct err *e)
{
	const char *ip = cmd_line_value(words, "ip"), *bootif = cmd_line_value(words, "BOOTIF");
	int r = ip ? parse_ip(ip, a, e) : 0;

	if (r == 0 && bootif)
		r = parse_bootif(bootif, a, e);
	if (r < 0)
		return r;
	a->dhcp = a->dhcp || (bootif && !ip);
	override(&a->netmask, cmd_line_value(words, "netmask"));
	override(&a->gateway, cmd_line_value(words, "gateway"));
	override(&a->hostname, cmd_line_value(words, "hostname"));
	r = check_address(a, e);
	if (r < 0 || !a->netmask)
		return r;
	char *mask = parse_netmask(a->netmask);
	if (!mask)
		return legacy_bad("netmask", a->netmask, "255.255.255.0 or 24", e);
	free(a->netmask);
	a->netmask = mask;
	return 0;
}

static int write_dns(struct strbuf *ks, const struct strv *words, struct err *e)
{
	const char *value = cmd_line_value(words, "dns");
	autofree char *copy = xstrdup(value ? value : "");
	char *rest = copy;
	bool first = true;

	for (const char *server; (server = str_next_word(&rest, ",")); first = false) {
		if (!is_ipv4(server))
			return legacy_bad("dns", server, "IPv4 addresses between commas", e);
		strbuf_printf(ks, "%s%s", first ? " --nameserver=" : ",", server);
	}
	return 0;
}

/* "ID" or "ID:DEVICE" */
static int parse_vlan(const char *value, struct address *a, unsigned long *id, struct err *e)
{
	char *end = NULL;

	*id = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *id < 1 || *id > VLAN_MAX || (*end && *end != ':'))
		return legacy_bad("vlan", value, "a number from 1 to 4094, and :DEVICE", e);
	if (*end == ':' && !legacy_consists_of(end + 1, DEVICE_CHARS, 32))
		return legacy_bad("vlan", value, "a number from 1 to 4094, and :DEVICE", e);
	if (*end == ':' && !a->device)
		a->device = xstrdup(end + 1);
	return 0;
}

int legacy_write_network(
	struct strbuf *ks, const struct strv *words, char **hostname, struct err *e)
{
	const char *vlan = cmd_line_value(words, "vlan");
	auto_with(address_fini) struct address a = {0};
	unsigned long id = 0;
	int r = parse_address(words, &a, e);

	if (r == 0 && vlan)
		r = parse_vlan(vlan, &a, &id, e);
	if (r < 0)
		return r;
	*hostname = a.hostname ? xstrdup(a.hostname) : NULL;
	if (!a.ip && !a.dhcp) {
		/* Off is the profile of all devices, in place of the image's own. */
		if (a.off || a.hostname)
			strbuf_printf(ks, "network%s%s%s\n",
				a.off ? " --onboot=no --bootproto=dhcp" : "",
				a.hostname ? " --hostname=" : "", a.hostname ? a.hostname : "");
		return 0;
	}
	strbuf_printf(ks, "network --device=%s --activate --onboot=yes --bootproto=%s",
		a.device ? a.device : "link", a.ip ? "static" : "dhcp");
	if (a.ip)
		strbuf_printf(ks, " --ip=%s --netmask=%s", a.ip, a.netmask);
	if (a.ip && a.gateway)
		strbuf_printf(ks, " --gateway=%s", a.gateway);
	r = write_dns(ks, words, e);
	if (vlan)
		strbuf_printf(ks, " --vlanid=%lu", id);
	if (a.hostname)
		strbuf_printf(ks, " --hostname=%s", a.hostname);
	strbuf_putc(ks, '\n');
	return r;
}
