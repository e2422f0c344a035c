/* SPDX-License-Identifier: Apache-2.0 */
#include "image/firewall.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

#define FIREWALL_MARK "# From the kickstart's firewall command."
#define FIREWALL_END  "\t}\n}\n"

/* Services that have no name, another one, or more than one port in /etc/services. */
static const struct {
	const char *name, *ports;
} known[] = {
	{"cockpit", "9090:tcp"},
	{"dhcpv6-client", "546:udp"},
	{"dns", "53:tcp 53:udp"},
	{"ftp", "21:tcp"},
	{"high-availability", "2224:tcp 3121:tcp 5403:tcp 5404:udp 5405-5412:udp 9929:tcp"},
	{"http", "80:tcp"},
	{"https", "443:tcp"},
	{"iscsi-target", "3260:tcp"},
	{"libvirt", "16509:tcp"},
	{"libvirt-tls", "16514:tcp"},
	{"mdns", "5353:udp"},
	{"nfs", "2049:tcp"},
	{"nbd", "10809:tcp"},
	{"ntp", "123:udp"},
	{"smtp", "25:tcp"},
	{"snmp", "161:udp"},
	{"ssh", "22:tcp"},
	{"vnc-server", "5900-5903:tcp"},
	{"libvirt-migration", "49152-49215:tcp"},
};

/* "80:tcp", "5900-5903" (tcp): appended to the list of its protocol. */
static int add_port(const char *item, struct strv *tcp, struct strv *udp, struct err *e)
{
	size_t len = strcspn(item, ":");
	const char *protocol = item[len] == ':' ? item + len + 1 : "tcp";
	autofree char *range = xstrndup(item, len);
	char *end = NULL;
	unsigned long first = strtoul(range, &end, 10), last = first;

	if (isdigit((unsigned char)range[0]) && *end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	if (!isdigit((unsigned char)range[0]) || *end != '\0' || first < 1 || last > 65535 ||
		last < first)
		return err_set(e, EINVAL, "bad port '%s'", item);

	autofree char *text = first == last ? xasprintf("%lu", first)
					    : xasprintf("%lu-%lu", first, last);
	if (!str_eq(protocol, "tcp") && !str_eq(protocol, "udp"))
		return err_set(e, EINVAL, "bad protocol of port '%s'", item);
	struct strv *list = str_eq(protocol, "tcp") ? tcp : udp;
	if (!strv_has(list, text))
		strv_take(list, take_ptr(text));
	return 0;
}

/* "name   22/tcp  aliases", services(5).  Returns how many lines matched. */
static int add_from_services(
	const char *text, const char *name, struct strv *tcp, struct strv *udp, struct err *e)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;
	int found = 0;

	for (char *line; (line = str_next_word(&rest, "\n"));) {
		char *words = line;
		char *service = str_next_word(&words, " \t");
		char *port = service ? str_next_word(&words, " \t") : NULL;
		char *slash = port ? strchr(port, '/') : NULL;

		if (!slash || !str_eq(service, name))
			continue;
		*slash = ':';
		int r = add_port(port, tcp, udp, e);
		if (r < 0)
			return r;
		found++;
	}
	return found;
}

static int add_service(const char *services_text, const char *name, struct strv *tcp,
	struct strv *udp, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_eq(known[i].name, name))
			continue;
		autofree char *copy = xstrdup(known[i].ports);
		char *rest = copy;
		int r = 0;
		for (char *port; r == 0 && (port = str_next_word(&rest, " "));)
			r = add_port(port, tcp, udp, e);
		return r;
	}
	int r = add_from_services(services_text, name, tcp, udp, e);
	return r == 0 ? err_set(e, EINVAL, "unknown service '%s'", name) : MIN(r, 0);
}

static int check_device(const char *name, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._@*-";
	size_t len = strspn(name, chars);

	if (len == 0 || len > 15 || name[len] != '\0')
		return err_set(e, EINVAL, "bad device '%s'", name);
	return 0;
}

static void print_ports(struct strbuf *b, const char *protocol, const struct strv *ports)
{
	if (ports->count == 0)
		return;
	strbuf_printf(b, "\t\t%s dport { ", protocol);
	for (size_t i = 0; i < ports->count; i++)
		strbuf_printf(b, "%s%s", i > 0 ? ", " : "", ports->items[i]);
	strbuf_puts(b, " } accept\n");
}

int firewall_ruleset(const struct firewall *f, const char *services_text, char **out, struct err *e)
{
	autostrv tcp = {0}, udp = {0};
	autostrbuf b = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->services.count; i++)
		r = add_service(services_text, f->services.items[i], &tcp, &udp, e);
	for (size_t i = 0; r == 0 && i < f->ports.count; i++)
		r = add_port(f->ports.items[i], &tcp, &udp, e);
	for (size_t i = 0; r == 0 && i < f->trusted.count; i++)
		r = check_device(f->trusted.items[i], e);
	if (r < 0)
		return r;

	/* Only this table is ever replaced: libvirt and others have tables of their own. */
	strbuf_puts(&b,
		"#!/usr/sbin/nft -f\n" FIREWALL_MARK "\n\n"
		"table inet kickstart\n"
		"delete table inet kickstart\n\n"
		"table inet kickstart {\n"
		"\tchain input {\n"
		"\t\ttype filter hook input priority filter; policy drop;\n"
		"\t\tct state established,related accept\n"
		"\t\tct state invalid drop\n"
		"\t\tiifname \"lo\" accept\n"
		"\t\tmeta l4proto { icmp, ipv6-icmp } accept\n"
		/* What libvirt's own networks need of their host. */
		"\t\tiifname \"virbr*\" udp dport { 53, 67 } accept\n"
		"\t\tiifname \"virbr*\" tcp dport 53 accept\n");
	for (size_t i = 0; i < f->trusted.count; i++)
		strbuf_printf(&b, "\t\tiifname \"%s\" accept\n", f->trusted.items[i]);
	print_ports(&b, "tcp", &tcp);
	print_ports(&b, "udp", &udp);
	strbuf_puts(&b, FIREWALL_END);
	*out = strbuf_take(&b);
	return 0;
}

int firewall_open_ports(const char *ruleset, const struct strv *ports, char **out, struct err *e)
{
	autostrv tcp = {0}, udp = {0};
	autostrbuf b = {0};
	int r = 0;

	if (!strstr(ruleset, FIREWALL_MARK) || !str_ends(ruleset, FIREWALL_END))
		return err_set(e, EINVAL, "the rules are not those of a firewall command");
	for (size_t i = 0; r == 0 && i < ports->count; i++)
		r = add_port(ports->items[i], &tcp, &udp, e);
	if (r < 0)
		return r;
	strbuf_add(&b, ruleset, strlen(ruleset) - strlen(FIREWALL_END));
	print_ports(&b, "tcp", &tcp);
	print_ports(&b, "udp", &udp);
	strbuf_puts(&b, FIREWALL_END);
	*out = strbuf_take(&b);
	return 0;
}
