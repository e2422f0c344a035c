/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/generate.h"

#include <string.h>

#include "base/xalloc.h"
#include "media/media-tree.h"
#include "media/menu.h"
#include "sys/kernel-line.h"

#define HEAD             "# Written by bedplate netroot from " NETROOT_DB_FILE ": changes here are lost.\n"
#define TIMEOUT          5    /* seconds, where there is a menu */
#define COMMAND_LINE_MAX 2047 /* x86 takes 2048 with the NUL */
#define LOADER_ROOM      128  /* for BOOT_IMAGE= and initrd=, which boot loaders add */
#define SERVER_ROOM      64   /* for the address that a boot loader fills in */
#define GRUB_ID          "e-" /* GRUB takes an id that begins with a digit for a number */
#define TITLE_CHARS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- +:()"
/* Nothing on the machine's own disks is waited for. */
#define DISK_PARAMS "rd.luks=0 rd.md=0 rd.dm=0"

const char *const generated_folders[3] = {"tftp/pxelinux.cfg", "tftp/grub/hosts", "tftp/ipxe"};

void generated_fini(struct generated *g)
{
	strv_fini(&g->paths);
	strv_fini(&g->texts);
}

static void add(struct generated *g, char *path, char *text)
{
	strv_take(&g->paths, path);
	strv_take(&g->texts, text);
}

void netroot_host_file_name(const struct netroot_host *host, char out[NETROOT_HOST_ID_BYTES])
{
	memcpy(out, host->id, NETROOT_HOST_ID_BYTES);
	for (char *p = out; *p; p++)
		if (*p == ':')
			*p = '-';
}

char *netroot_host_config_path(const struct netroot_host *host)
{
	char name[NETROOT_HOST_ID_BYTES], hex[SHA256_HEX_BYTES];

	netroot_host_file_name(host, name);
	hex_format(host->config.sha256, SHA256_BYTES, hex);
	return xasprintf("hosts/%s.%.16s.cpio", name, hex);
}

static bool is_mac(const struct netroot_host *host)
{
	return strchr(host->id, ':') != NULL;
}

static const char *chosen(const struct netroot_db *db, const struct netroot_host *host)
{
	return host ? host->label : db->default_label;
}

/* A host's name and parameters go with its own entry only. */
static const struct netroot_host *host_of(
	const struct netroot_entry *en, const struct netroot_host *host)
{
	return host && str_eq(host->label, en->label) ? host : NULL;
}

static void add_words(struct strbuf *out, const char *words)
{
	if (*words)
		strbuf_printf(out, "%s%s", out->len > 0 ? " " : "", words);
}

static bool sets_address(const char *params)
{
	autostrv words = {0};

	cmd_line_split(params, &words);
	return cmd_line_value(&words, "ip") != NULL;
}

static void add_root(
	struct strbuf *out, const struct netroot_image *img, bool http, const char *server)
{
	const char *blank = out->len > 0 ? " " : "";

	if (http)
		strbuf_printf(out, "%sroot=live:http://%s/images/%s.img", blank, server, img->id);
	else if (netroot_image_is_own(img))
		strbuf_printf(out,
			"%sbedplate.netroot=nbd:%s:%s.img bedplate.roothash=%s bedplate.verity=%s",
			blank, server, img->id, img->root_hash, img->root + strlen(NETROOT_VERITY));
	else
		strbuf_printf(
			out, "%sroot=%s netroot=nbd:%s:%s.img", blank, img->root, server, img->id);
}

/* What a person gave comes last, as the last one of two has its way. */
char *netroot_boot_line(const struct netroot_db *db, const struct netroot_entry *en,
	const struct netroot_host *host, const char *server)
{
	const struct netroot_image *img = netroot_db_image(db, en->image);
	autostrbuf out = {0}, own = {0};

	host = host_of(en, host);
	add_words(&own, en->append);
	if (host && host->hostname)
		strbuf_printf(
			&own, "%ssystemd.hostname=%s", own.len > 0 ? " " : "", host->hostname);
	if (host)
		add_words(&own, host->append);
	add_words(&out, img->params);
	add_root(&out, img, en->http, server);
	if (!sets_address(img->params) && !(own.data && sets_address(own.data)))
		add_words(&out, "ip=dhcp");
	add_words(&out, "rd.neednet=1");
	add_words(&out, en->http ? LIVE_PARAMS : img->live_params);
	if (!netroot_entry_is_own(db, en))
		add_words(&out, DISK_PARAMS);
	if (own.data)
		add_words(&out, own.data);
	return strbuf_take(&out);
}

static int check_line(const struct netroot_db *db, const struct netroot_entry *en,
	const struct netroot_host *host, struct err *e)
{
	autofree char *line = netroot_boot_line(db, en, host, en->server ? en->server : "");
	size_t len = strlen(line) + (en->server ? 0 : SERVER_ROOM);

	if (len <= COMMAND_LINE_MAX - LOADER_ROOM)
		return 0;
	return err_set(e, E2BIG,
		"the kernel parameters of '%s'%s%s are %zu bytes, and a kernel takes %d with the %d "
		"of its boot loader",
		en->label, host ? " for host " : "", host ? host->id : "", len, COMMAND_LINE_MAX,
		LOADER_ROOM);
}

int netroot_lines_check(const struct netroot_db *db, struct err *e)
{
	int r = 0;

	if (!netroot_db_fits(db))
		return err_set(e, EFBIG,
			"%zu hosts with files of %zu entries each are too much: a tree has at most %d "
			"entries in all of them",
			db->host_count, db->entry_count, NETROOT_CHOICES_MAX);
	for (size_t i = 0; r == 0 && i < db->entry_count; i++)
		r = check_line(db, &db->entries[i], NULL, e);
	for (size_t i = 0; r == 0 && i < db->host_count; i++)
		r = check_line(db, netroot_db_entry(db, db->hosts[i].label), &db->hosts[i], e);
	return r;
}

/* Without what any of the boot loaders gives a meaning to. */
static char *title_of(const struct netroot_db *db, const struct netroot_entry *en)
{
	const struct netroot_image *img = netroot_db_image(db, en->image);
	char *title = str_eq(img->title, en->label) ? xstrdup(en->label)
						    : xasprintf("%s (%s)", en->label, img->title);

	for (char *p = title + strspn(title, TITLE_CHARS); *p; p += strspn(p, TITLE_CHARS))
		*p = '_';
	return title;
}

/* The one place where a server demands an absolute path.  Values are GKeyFile's: '\' escapes. */
char *generate_nbd_conf(const struct netroot_db *db, const char *real)
{
	autostrbuf out = {0}, path = {0};

	for (const char *p = real; *p; p++)
		strbuf_printf(&path, "%s%c", *p == '\\' ? "\\" : "", *p);
	strbuf_puts(&out, HEAD "[generic]\n\tallowlist = true\n");
	for (size_t i = 0; i < db->image_count; i++)
		strbuf_printf(&out,
			"[%s.img]\n\texportname = %s/images/%s.img\n\treadonly = true\n"
			"\tmultifile = false\n\tcopyonwrite = false\n",
			db->images[i].id, path.data ? path.data : "", db->images[i].id);
	return strbuf_take(&out);
}

/*
 * PXELINUX cannot put in the address of its server.  A client of ours then takes the one that DHCP
 * names; an entry of others is none for it.
 */
static bool pxelinux_can(const struct netroot_db *db, const struct netroot_entry *en)
{
	return en->server || netroot_entry_is_own(db, en);
}

char *generate_pxelinux(const struct netroot_db *db, const struct netroot_host *host)
{
	const char *label = chosen(db, host);
	const struct netroot_entry *first = label ? netroot_db_entry(db, label) : NULL;
	autostrbuf out = {0};

	strbuf_printf(&out, HEAD "DEFAULT %s\nPROMPT 0\nTIMEOUT %d\nONERROR +local\n",
		first && pxelinux_can(db, first) ? label : "+local", TIMEOUT * 10);
	for (size_t i = 0; i < db->entry_count; i++) {
		const struct netroot_entry *en = &db->entries[i];

		if (!pxelinux_can(db, en)) {
			strbuf_printf(&out, "# %s: needs 'netroot add --server'\n", en->label);
			continue;
		}
		autofree char *title = title_of(db, en);
		autofree char *line = netroot_boot_line(db, en, host, en->server ? en->server : "");
		strbuf_printf(&out,
			"LABEL %s\n\tMENU LABEL %s\n\tKERNEL %s/vmlinuz\n"
			"\tAPPEND initrd=%s/initrd.img %s\n",
			en->label, title, en->image, en->image, line);
	}
	strbuf_puts(&out, "LABEL +local\n\tLOCALBOOT 0\n");
	return strbuf_take(&out);
}

/* One word that GRUB has to look into is put together by hand. */
static void add_grub_entry(struct strbuf *out, const struct netroot_db *db,
	const struct netroot_entry *en, const struct netroot_host *host)
{
	autofree char *title = title_of(db, en);
	autofree char *line = netroot_boot_line(db, en, host, en->server ? en->server : "\t");
	char *gap = en->server ? NULL : strchr(line, '\t');

	strbuf_printf(out,
		"menuentry '%s' --id '" GRUB_ID
		"%s' {\n\techo 'Loading the kernel...'\n\tlinux '/%s/vmlinuz'",
		title, en->label, en->image);
	if (gap) {
		*gap = '\0';
		menu_add_params(out, line);
		strbuf_puts(out, "${net_default_server}");
		size_t word = strcspn(gap + 1, " ");
		strbuf_add(out, gap + 1, word);
		menu_add_params(out, gap + 1 + word);
	} else {
		menu_add_params(out, line);
	}
	strbuf_printf(out, "\n\techo 'Loading the initramfs...'\n\tinitrd '/%s/initrd.img'\n}\n",
		en->image);
}

/*
 * A file of its own for each host, so that a thousand of them do not slow down the others.  "-f" would
 * look for its name in the folder, and a folder on a network device is always empty; "-s" opens it.
 */
static void add_grub_hosts(struct strbuf *out, const struct netroot_db *db)
{
	bool macs = false, uuids = false;

	for (size_t i = 0; i < db->host_count; i++) {
		macs |= is_mac(&db->hosts[i]);
		uuids |= !is_mac(&db->hosts[i]);
	}
	/* The UUID first, as PXELINUX has it. */
	if (uuids)
		strbuf_puts(out,
			"insmod smbios\nif smbios --type 1 --get-uuid 8 --set uuid; then\n"
			"\tif [ -s \"$prefix/hosts/$uuid.cfg\" ]; then\n"
			"\t\tconfigfile \"$prefix/hosts/$uuid.cfg\"\n\tfi\nfi\n");
	if (macs)
		strbuf_puts(out,
			"if [ -n \"$net_default_mac\" -a -s \"$prefix/hosts/$net_default_mac.cfg\" ]; then\n"
			"\tconfigfile \"$prefix/hosts/$net_default_mac.cfg\"\nfi\n");
}

char *generate_grub(const struct netroot_db *db, const struct netroot_host *host)
{
	const char *label = chosen(db, host);
	autofree char *id = label ? xasprintf(GRUB_ID "%s", label) : xstrdup("");
	autofree char *head = menu_head(NULL, id, TIMEOUT);
	autostrbuf out = {0};

	strbuf_puts(&out, HEAD);
	if (!host)
		add_grub_hosts(&out, db);
	strbuf_puts(&out, head);
	for (size_t i = 0; i < db->entry_count; i++)
		add_grub_entry(&out, db, &db->entries[i], host);
	return strbuf_take(&out);
}

char *generate_ipxe(const struct netroot_db *db, const struct netroot_host *host)
{
	const char *label = chosen(db, host);
	autostrbuf out = {0};

	strbuf_puts(&out, "#!ipxe\n" HEAD "menu bedplate netroot\n");
	for (size_t i = 0; i < db->entry_count; i++) {
		autofree char *title = title_of(db, &db->entries[i]);

		strbuf_printf(&out, "item %s %s\n", db->entries[i].label, title);
	}
	strbuf_puts(&out, "item +local Boot from a local disk\n");
	strbuf_printf(&out, "choose --default %s --timeout %d entry || exit 0\ngoto ${entry}\n",
		label ? label : "+local", TIMEOUT * 1000);
	for (size_t i = 0; i < db->entry_count; i++) {
		const struct netroot_entry *en = &db->entries[i];
		autofree char *line = netroot_boot_line(
			db, en, host, en->server ? en->server : "${next-server}");

		strbuf_printf(&out,
			":%s\nkernel ../%s/vmlinuz initrd=initrd.img %s || goto +failed\n"
			"initrd --name initrd.img ../%s/initrd.img || goto +failed\n"
			"boot || goto +failed\n",
			en->label, en->image, line, en->image);
	}
	/* Failing would make the script that called this one try the next. */
	strbuf_puts(&out,
		":+failed\necho It cannot be started: the messages above say why.\n"
		"prompt Press a key to go on.\n"
		":+local\nexit 0\n");
	return strbuf_take(&out);
}

static const char ipxe_start[] =
	"#!ipxe\n" HEAD
	"chain --autofree ipxe/${uuid}.ipxe || chain --autofree ipxe/${netX/mac:hexhyp}.ipxe || "
	"chain --autofree ipxe/default.ipxe\n";

/* The hardware type of Ethernet in front, or the plain UUID. */
static void add_pxelinux_host(
	struct generated *out, const struct netroot_db *db, const struct netroot_host *h)
{
	/* Where each byte of a UUID comes from that a firmware sends as it has it in memory. */
	static const uint8_t swapped[] = {
		6, 7, 4, 5, 2, 3, 0, 1, 8, 11, 12, 9, 10, 13, 16, 17, 14, 15};
	char name[NETROOT_HOST_ID_BYTES], other[NETROOT_HOST_ID_BYTES];

	netroot_host_file_name(h, name);
	add(out, xasprintf("tftp/pxelinux.cfg/%s%s", is_mac(h) ? "01-" : "", name),
		generate_pxelinux(db, h));
	if (is_mac(h))
		return;
	memcpy(other, name, sizeof(other));
	for (size_t i = 0; i < sizeof(swapped); i++)
		other[i] = name[swapped[i]];
	/* A host that has this very UUID goes first. */
	if (!netroot_db_host(db, other))
		add(out, xasprintf("tftp/pxelinux.cfg/%s", other), generate_pxelinux(db, h));
}

void netroot_generate(const struct netroot_db *db, const char *real, struct generated *out)
{
	add(out, xstrdup("images/nbd.conf"), generate_nbd_conf(db, real));
	add(out, xstrdup("tftp/pxelinux.cfg/default"), generate_pxelinux(db, NULL));
	add(out, xstrdup("tftp/grub/grub.cfg"), generate_grub(db, NULL));
	add(out, xstrdup("tftp/boot.ipxe"), xstrdup(ipxe_start));
	add(out, xstrdup("tftp/ipxe/default.ipxe"), generate_ipxe(db, NULL));
	for (size_t i = 0; i < db->host_count; i++) {
		const struct netroot_host *h = &db->hosts[i];
		char name[NETROOT_HOST_ID_BYTES];

		netroot_host_file_name(h, name);
		add_pxelinux_host(out, db, h);
		add(out, xasprintf("tftp/grub/hosts/%s.cfg", h->id), generate_grub(db, h));
		add(out, xasprintf("tftp/ipxe/%s.ipxe", name), generate_ipxe(db, h));
	}
}
