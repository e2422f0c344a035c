/* SPDX-License-Identifier: Apache-2.0 */
/* firewall and services. */
#include <stdio.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/configure-step.h"
#include "image/firewall.h"
#include "image/intree.h"

#define SERVICES_MAX_BYTES (4 * MIB)
#define RULESET_PATH       "/etc/nftables.conf"

/* ssh and what makes an address usable are open unless the kickstart closes them. */
static void collect(const struct ks_cmd *c, struct firewall *f)
{
	static const char *const usual[] = {"ssh", "dhcpv6-client"};
	const struct strv *closed = ks_list(c, "remove-service");
	const struct strv *opened = ks_list(c, "service");

	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (!strv_has(closed, usual[i]))
			strv_add(&f->services, usual[i]);
	for (size_t i = 0; i < opened->count; i++)
		if (!strv_has(closed, opened->items[i]))
			strv_add(&f->services, opened->items[i]);
	strv_add_all(&f->ports, ks_list(c, "port"));
	strv_add_all(&f->trusted, ks_list(c, "trust"));
}

static int write_ruleset(struct configure *cf, const struct ks_cmd *c, struct err *e)
{
	struct firewall f = {0};
	autofree char *services = NULL;
	autofree char *text = NULL;
	int r;

	if (file_read_in_root(cf->root_fd, "/etc/services", SERVICES_MAX_BYTES, &services, NULL) <
		0)
		services = xstrdup("");
	collect(c, &f);
	r = configure_wrap(c, firewall_ruleset(&f, services, &text, e), e);
	strv_fini(&f.services);
	strv_fini(&f.ports);
	strv_fini(&f.trusted);
	return r == 0 ? intree_write(cf->root_fd, RULESET_PATH, text, 0755, e) : r;
}

static void warn_beside(const struct configure *cf, const struct ks_cmd *c, const char *option)
{
	if (!ks_given_only(c, "enable|disable|use-system-defaults"))
		configure_warn(cf, c, "firewall: other options do nothing beside --%s", option);
}

int configure_firewall(struct configure *cf, struct err *e)
{
	const struct ks_cmd *c = ks_next(cf->doc, "firewall", NULL);
	bool has_nft = intree_has(cf->root_fd, "/usr/lib/systemd/system/nftables.service");
	int r;

	if (!c)
		return 0;
	if (ks_flag(c, "use-system-defaults")) {
		warn_beside(cf, c, "use-system-defaults");
		return 0;
	}
	if (!ks_flag(c, "enabled")) {
		warn_beside(cf, c, "disabled");
		return has_nft
			? configure_wrap(
				  c, configure_systemctl(cf, "disable", "nftables.service", e), e)
			: 0;
	}
	if (!has_nft)
		return configure_error(c, e, "the firewall needs package 'nftables'");
	r = write_ruleset(cf, c, e);
	if (r == 0)
		r = configure_wrap(c, configure_systemctl(cf, "enable", "nftables.service", e), e);
	return r;
}

/* Debian's name of a unit that kickstarts know by another one. */
static const char *debian_name(const char *name)
{
	static const char *const names[][2] = {
		{"sshd", "ssh"},
		{"chronyd", "chrony"},
		{"crond", "cron"},
		{"rsyslogd", "rsyslog"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i][0], name))
			return names[i][1];
	return name;
}

static bool has_suffix(const char *name)
{
	static const char *const suffixes[] = {
		".service", ".socket", ".timer", ".target", ".path", ".mount"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_ends(name, suffixes[i]))
			return true;
	return false;
}

static bool has_unit(const struct configure *cf, const char *unit)
{
	static const char *const folders[] = {
		"/etc/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system"};
	const char *at = strchr(unit, '@');
	/* An instance "name@x.service" is made from "name@.service". */
	autofree char *file = at && strrchr(unit, '.')
		? xasprintf("%.*s@%s", (int)(at - unit), unit, strrchr(unit, '.'))
		: xstrdup(unit);

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		autofree char *path = xasprintf("%s/%s", folders[i], file);

		if (intree_has(cf->root_fd, path))
			return true;
	}
	return false;
}

static int set_service(
	struct configure *cf, const struct ks_cmd *c, const char *name, bool enable, struct err *e)
{
	autofree char *unit = has_suffix(name) ? xstrdup(name)
					       : xasprintf("%s.service", debian_name(name));

	if (strpbrk(name, "/ \t\n") || name[0] == '\0')
		return configure_error(c, e, "bad service name '%s'", name);
	if (!has_unit(cf, unit)) {
		/* A node that was half installed over a name would be worse than one without it. */
		if (enable && !cf->params->is_node)
			return configure_error(c, e, "no service '%s' in this image", name);
		configure_warn(cf, c, "no service '%s' to %s in this image", name,
			enable ? "enable" : "disable");
		return 0;
	}
	return configure_wrap(
		c, configure_systemctl(cf, enable ? "enable" : "disable", unit, e), e);
}

int configure_services(struct configure *cf, struct err *e)
{
	const struct ks_cmd *c = ks_next(cf->doc, "services", NULL);
	int r = 0;

	if (!c)
		return 0;
	/* As anaconda does: what is in both lists ends up enabled. */
	for (size_t i = 0; r == 0 && i < ks_list(c, "disabled")->count; i++)
		r = set_service(cf, c, ks_list(c, "disabled")->items[i], false, e);
	for (size_t i = 0; r == 0 && i < ks_list(c, "enabled")->count; i++)
		r = set_service(cf, c, ks_list(c, "enabled")->items[i], true, e);
	return r;
}
