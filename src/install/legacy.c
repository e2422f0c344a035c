/* SPDX-License-Identifier: Apache-2.0 */
#include "install/legacy-internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "liveimg/booted.h"

#define VALUE_MAX     2048
#define DELAY_MAX     86400
#define HOSTNAME_MARK "@HOSTNAME@"
/* crypt(5), without what would need quoting in a shell. */
#define HASH_CHARS LEGACY_NAME_CHARS "./$=,_-"

/* Asking for one of these and getting a node without it would be worse than no node. */
static const char *const refused[] = {
	"storage_vol",
	"ovirt_vol",
	"swap_encrypt",
	"ovirt_swap_encrypt",
	"iscsi_init",
	"iscsi_install",
	"iscsi_server",
	"iscsi_target_name",
	"bond",
	"bond_setup",
	"adminpw",
	/* Words of a node that is not installed at all. */
	"stateless",
	"ovirt_stateless",
};

/* Without these there is a node all the same. */
static const char *const ignored[] = {
	"cim_enabled",
	"cim_passwd",
	"collectd",
	"disable_aes_ni",
	"disable_kdump",
	"ipv6",
	"iscsi_name",
	"kdump_nfs",
	"kdump_ssh",
	"kdump_ssh_key",
	"keyboard",
	"logrotate_interval",
	"logrotate_max_size",
	"management_port",
	"management_server",
	"management_server_fingerprint",
	"mem_overcommit",
	"netconsole",
	"network_layout",
	"nfsv4_domain",
	"ntp",
	"ovirt_early",
	"runtime_mode",
	"snmp_password",
	"ssh_pwauth",
	"standalone",
	"syslog",
	"tuned",
	"use_strong_rng",
	"wipe_fakeraid",
};

static const char *either(const struct strv *words, const char *name, const char *other)
{
	const char *value = cmd_line_value(words, name);

	return value ? value : cmd_line_value(words, other);
}

bool legacy_is_wanted(const struct strv *cmd_line)
{
	return either(cmd_line, "storage_init", "ovirt_init") ||
		strv_has(cmd_line, "storage_init") || strv_has(cmd_line, "ovirt_init");
}

int legacy_bad(const char *name, const char *value, const char *expected, struct err *e)
{
	autofree char *shown = str_printable(value);

	return err_set(e, EINVAL, "kernel argument %s=%.100s: expected %s", name, shown, expected);
}

bool legacy_consists_of(const char *value, const char *chars, size_t max)
{
	size_t len = strlen(value);

	return len > 0 && len <= max && strspn(value, chars) == len;
}

/* With a value, or as a word of its own; "=0" is none. */
static bool is_said(const struct strv *words, const char *name)
{
	const char *value = cmd_line_value(words, name);

	return value ? !str_eq(value, "0") : strv_has(words, name);
}

static int check_refused(const struct strv *words, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (is_said(words, refused[i]))
			return err_set(e, EINVAL,
				"kernel argument %s%s is not supported: use a kickstart, "
				"inst.ks=URL",
				refused[i], cmd_line_value(words, refused[i]) ? "=" : "");
	for (size_t i = 0; i < words->count; i++)
		if (strlen(words->items[i]) > VALUE_MAX)
			return err_set(e, EINVAL,
				"kernel argument %.20s... is longer than %d characters",
				words->items[i], VALUE_MAX);
	return 0;
}

static void warn_of_ignored(const struct strv *words)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		if (cmd_line_value(words, ignored[i]) || strv_has(words, ignored[i]))
			strbuf_printf(&b, "%s%s%s", b.len ? ", " : "", ignored[i],
				cmd_line_value(words, ignored[i]) ? "=" : "");
	if (b.len > 0)
		log_warning("ignored of the kernel's arguments: %s: a kickstart can say that, "
			    "inst.ks=URL",
			b.data);
}

/* udev's names end in the serial number: "ata-MODEL_SERIAL". */
static bool has_serial(const struct inv_disk *d, const char *serial)
{
	for (size_t i = 0; i < d->links.count; i++) {
		const char *name = strrchr(d->links.items[i], '/');

		if (!strstr(d->links.items[i], "/by-id/") || !name)
			continue;
		const char *at = strstr(name, serial);
		if (at && at[strlen(serial)] == '\0' && strchr("/-_", at[-1]))
			return true;
	}
	return false;
}

static void add_disk(struct strv *disks, const struct inv_disk *d)
{
	if (!strv_has(disks, d->name))
		strv_add(disks, d->name);
}

/* "BUS", "BUS:SERIAL" or "BUS:ALL". */
static int add_by_bus(
	const char *item, const struct inventory *inv, struct strv *disks, struct err *e)
{
	const char *colon = strchr(item, ':');
	const char *which = colon ? colon + 1 : NULL;
	autofree char *bus = colon ? xstrndup(item, (size_t)(colon - item)) : xstrdup(item);
	bool all = which && str_eq(which, "ALL");
	const struct inv_disk *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < inv->disk_count; i++) {
		const struct inv_disk *d = &inv->disks[i];

		if (!d->bus || !str_eq(d->bus, bus) || (which && !all && !has_serial(d, which)))
			continue;
		found = d;
		count++;
		if (all)
			add_disk(disks, d);
	}
	if (count == 0)
		return err_set(
			e, ENODEV, "kernel argument storage_init=%.100s: no such disk", item);
	if (count > 1 && !all)
		return err_set(e, EINVAL,
			"kernel argument storage_init=%.100s: %zu disks fit: name one, or %s:ALL",
			item, count, bus);
	add_disk(disks, found);
	return 0;
}

static int add_disks(
	const char *item, const struct inventory *inv, struct strv *disks, struct err *e)
{
	static const char *const buses[] = {"ata", "scsi", "usb", "virtio", "nvme", "mmc"};
	size_t len = strcspn(item, ":");

	if (str_starts(item, "/dev/")) {
		const struct inv_disk *d = inventory_disk(inv, item);

		if (!d)
			return err_set(e, ENODEV,
				"kernel argument storage_init=%.100s: no such disk", item);
		add_disk(disks, d);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(buses); i++)
		if (strlen(buses[i]) == len && strncmp(item, buses[i], len) == 0)
			return add_by_bus(item, inv, disks, e);
	return legacy_bad("storage_init", item,
		"/dev/NAME, or ata, scsi, usb, virtio, nvme or mmc with :SERIAL or :ALL", e);
}

static int write_disks(
	struct strbuf *ks, const struct strv *words, const struct inventory *inv, struct err *e)
{
	const char *value = either(words, "storage_init", "ovirt_init");
	autofree char *copy = xstrdup(value ? value : "");
	autostrv disks = {0};
	char *rest = copy;

	if (strchr(copy, ';'))
		return legacy_bad("storage_init", copy,
			"disks of one volume group: a second one behind ';' is not supported", e);
	for (const char *item; (item = str_next_word(&rest, ","));) {
		int r = add_disks(item, inv, &disks, e);

		if (r < 0)
			return r;
	}
	if (disks.count == 0)
		return legacy_bad("storage_init", copy, "the disks to install on", e);
	autostrbuf list = {0};
	for (size_t i = 0; i < disks.count; i++)
		strbuf_printf(&list, "%s%s", i ? "," : "", disks.items[i]);
	strbuf_printf(ks,
		"zerombr\nignoredisk --only-use='%s'\nclearpart --all --initlabel --drives='%s'\n",
		list.data, list.data);
	return 0;
}

static int write_layout(struct strbuf *ks, const struct strv *words, struct err *e)
{
	const char *value = cmd_line_value(words, "node_storage");

	if (value && !str_eq(value, "minimal"))
		return legacy_bad("node_storage", value, "minimal", e);
	strbuf_printf(ks, "autopart --type=thinp%s\n", value ? " --profile=minimal" : "");
	return 0;
}

static int write_password(struct strbuf *ks, const struct strv *words, struct err *e)
{
	const char *hash = cmd_line_value(words, "rootpw");

	if (!hash)
		return err_set(e, EINVAL,
			"kernel argument rootpw= is missing: nobody could log in to the node");
	/* Never shown: it may be a password after all. */
	if (hash[0] != '$' || !legacy_consists_of(hash, HASH_CHARS, 256))
		return err_set(e, EINVAL,
			"kernel argument rootpw=: expected a crypted password, as "
			"'openssl passwd -6' makes it");
	/* Whoever has seen the command line knows it: the first login asks for another one. */
	strbuf_printf(ks,
		"rootpw --iscrypted '%s'\n%%post --erroronfail\nchage --lastday 0 root\n%%end\n",
		hash);
	return 0;
}

static int write_delay(struct strbuf *ks, const struct strv *words, struct err *e)
{
	const char *value = cmd_line_value(words, "reboot_delay");
	char *end = NULL;

	if (!value)
		return 0;
	unsigned long seconds = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end || seconds > DELAY_MAX)
		return legacy_bad("reboot_delay", value, "seconds, at most 86400", e);
	if (seconds > 0)
		strbuf_printf(ks, "%%post --nochroot\nsleep %lu\n%%end\n", seconds);
	return 0;
}

/* Inside of single quotes of a shell only a single quote is special. */
static void add_quoted(struct strbuf *b, const char *text, size_t len)
{
	strbuf_putc(b, '\'');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\'')
			strbuf_puts(b, "'\\''");
		else
			strbuf_putc(b, text[i]);
	}
	strbuf_putc(b, '\'');
}

static bool is_trigger_url(const char *url)
{
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return false;
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return false;
	return true;
}

/*
 * It tells the server to boot this machine from its disk from now on: when that fails the machine
 * would be installed again and again, so the install fails instead.
 */
static int write_trigger(
	struct strbuf *ks, const struct strv *words, const char *hostname, struct err *e)
{
	const char *url = cmd_line_value(words, "local_boot_trigger");

	if (!url)
		return 0;
	if (!is_trigger_url(url))
		return legacy_bad("local_boot_trigger", url, "an http or https URL", e);
	strbuf_puts(ks,
		"%post --nochroot --erroronfail\n"
		"curl --fail --silent --show-error --location --output /dev/null \\\n"
		"\t--connect-timeout 30 --max-time 60 --retry 5 -- ");
	for (const char *mark; (mark = strstr(url, HOSTNAME_MARK));
		url = mark + strlen(HOSTNAME_MARK)) {
		add_quoted(ks, url, (size_t)(mark - url));
		if (hostname)
			add_quoted(ks, hostname, strlen(hostname));
		else
			strbuf_puts(ks, "\"$(hostname)\"");
	}
	add_quoted(ks, url, strlen(url));
	strbuf_puts(ks, "\n%end\n");
	return 0;
}

int legacy_kickstart(
	const struct strv *cmd_line, const struct inventory *inv, char **text, struct err *e)
{
	autostrbuf ks = {0};
	autofree char *hostname = NULL;
	int r = check_refused(cmd_line, e);

	if (r < 0)
		return r;
	strbuf_puts(&ks, "# From the kernel command line.\ntext\ntimezone Etc/UTC --utc\nreboot\n");
	r = write_disks(&ks, cmd_line, inv, e);
	if (r == 0)
		r = write_layout(&ks, cmd_line, e);
	if (r == 0)
		r = legacy_write_network(&ks, cmd_line, &hostname, e);
	if (r == 0)
		r = write_password(&ks, cmd_line, e);
	if (r == 0)
		r = write_trigger(&ks, cmd_line, hostname, e);
	if (r == 0)
		r = write_delay(&ks, cmd_line, e);
	if (r < 0)
		return r;
	warn_of_ignored(cmd_line);
	*text = strbuf_take(&ks);
	return 0;
}
