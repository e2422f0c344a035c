/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/serve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/xalloc.h"
#include "netroot/generate.h"
#include "netroot/loaders.h"
#include "netroot/netroot.h"
#include "netroot/servers.h"

#define TFTP_PORT 69
#define DHCP_PORT 67
/* Started by root, they go on as these. */
#define USER          SERVERS_USER
#define GROUP         SERVERS_GROUP
#define LOOK_MS       200
#define ADDRESS_BYTES INET6_ADDRSTRLEN

/* The IPv4 network that clients are in. */
struct network {
	char interface[IF_NAMESIZE], address[ADDRESS_BYTES], start[ADDRESS_BYTES],
		mask[ADDRESS_BYTES];
};

void serve_plan_fini(struct serve_plan *plan)
{
	for (size_t i = plan->count; i-- > 0;)
		cmd_fini(&plan->commands[i]);
	if (plan->folder)
		(void)!file_remove_tree(plan->folder, NULL);
	free(plan->folder);
	strv_fini(&plan->names);
	strv_fini(&plan->texts);
}

static bool is_wanted(const struct ifaddrs *a, const struct serve_spec *spec, const char *address)
{
	if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET || !a->ifa_netmask)
		return false;
	return (!spec->interface || str_eq(spec->interface, a->ifa_name)) &&
		(!spec->listen || str_eq(spec->listen, address));
}

static void describe(const struct ifaddrs *a, struct network *out)
{
	const struct in_addr address =
		((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
	const struct in_addr mask =
		((const struct sockaddr_in *)(const void *)a->ifa_netmask)->sin_addr;
	const struct in_addr start = {.s_addr = address.s_addr & mask.s_addr};

	snprintf(out->interface, sizeof(out->interface), "%s", a->ifa_name);
	inet_ntop(AF_INET, &address, out->address, sizeof(out->address));
	inet_ntop(AF_INET, &start, out->start, sizeof(out->start));
	inet_ntop(AF_INET, &mask, out->mask, sizeof(out->mask));
}

/* -ENODEV: this machine has no such address. */
static int find_network(const struct serve_spec *spec, struct network *out, struct err *e)
{
	struct ifaddrs *list = NULL;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return err_errno(e, "the addresses of this machine");
	for (const struct ifaddrs *a = list; a && !found; a = a->ifa_next) {
		struct network here = {0};

		if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET || !a->ifa_netmask)
			continue;
		describe(a, &here);
		found = is_wanted(a, spec, here.address);
		if (found)
			*out = here;
	}
	freeifaddrs(list);
	if (found)
		return 0;
	return err_set(e, ENODEV, "no IPv4 address%s%s%s%s on this machine",
		spec->listen ? " " : "", spec->listen ? spec->listen : "",
		spec->interface ? " on interface " : "", spec->interface ? spec->interface : "");
}

static int check_range(const char *range, struct err *e)
{
	const char *comma = strchr(range, ',');
	autofree char *first = xstrndup(range, comma ? (size_t)(comma - range) : strlen(range));
	struct in_addr a;

	if (comma && inet_pton(AF_INET, first, &a) == 1 && inet_pton(AF_INET, comma + 1, &a) == 1)
		return 0;
	autofree char *shown = str_printable(range);
	return err_set(e, EINVAL, "bad range '%.100s': two IPv4 addresses are expected, FIRST,LAST",
		shown);
}

static struct cmd *add_command(struct serve_plan *plan, const char *package)
{
	assert(plan->count < SERVE_COMMANDS_MAX);
	plan->packages[plan->count] = package;
	return &plan->commands[plan->count++];
}

static char *add_file(struct serve_plan *plan, const char *folder, const char *name, char *text)
{
	strv_add(&plan->names, name);
	strv_take(&plan->texts, text);
	return xasprintf("%s/%s", folder, name);
}

/* Its own file with what stands in no tree: where to listen. */
static void plan_nbd_server(struct serve_plan *plan, const struct netroot *n,
	const struct serve_spec *spec, const char *address, const char *folder)
{
	static const char generic[] = "[generic]\n";
	autofree char *text = generate_nbd_conf(&n->db, n->real);
	const char *rest = strstr(text, generic) + strlen(generic);
	autostrbuf own = {0};

	strbuf_printf(&own, "%.*s\tport = %u\n", (int)(rest - text), text, spec->nbd_port);
	if (geteuid() == 0)
		strbuf_puts(&own, "\tuser = " USER "\n\tgroup = " GROUP "\n");
	if (address)
		strbuf_printf(&own, "\tlistenaddr = %s\n", address);
	strbuf_puts(&own, rest);
	autofree char *path = add_file(plan, folder, "nbd.conf", strbuf_take(&own));
	cmd_add(add_command(plan, "nbd-server"), "nbd-server", "--dont-fork", "-C", path, NULL);
}

/* Which file a client asks for, by its firmware; one that is iPXE already gets the script. */
static void add_boot_files(struct cmd *c, const struct netroot *n, bool proxy)
{
	bool bios = loaders_has(&n->db, "pxelinux.0"), uefi = loaders_has(&n->db, "grubx64.efi");

	cmd_add(c, "--dhcp-match=set:ipxe,175", "--dhcp-match=set:efi,option:client-arch,7",
		"--dhcp-match=set:efi,option:client-arch,9", NULL);
	if (!proxy) {
		cmd_add(c, "--dhcp-boot=tag:ipxe,boot.ipxe", NULL);
		if (uefi)
			cmd_add(c, "--dhcp-boot=tag:!ipxe,tag:efi,BOOTX64.EFI", NULL);
		if (bios)
			cmd_add(c, "--dhcp-boot=tag:!ipxe,tag:!efi,pxelinux.0", NULL);
		return;
	}
	cmd_add(c, "--pxe-service=tag:ipxe,X86PC,bedplate,boot.ipxe",
		"--pxe-service=tag:ipxe,X86-64_EFI,bedplate,boot.ipxe", NULL);
	if (uefi)
		cmd_add(c, "--pxe-service=tag:!ipxe,X86-64_EFI,bedplate,BOOTX64.EFI",
			"--pxe-service=tag:!ipxe,BC_EFI,bedplate,BOOTX64.EFI", NULL);
	if (bios)
		cmd_add(c, "--pxe-service=tag:!ipxe,X86PC,bedplate,pxelinux.0", NULL);
}

/* No DNS, and nothing of /etc/dnsmasq.conf. */
static void plan_dnsmasq(struct serve_plan *plan, const struct netroot *n,
	const struct serve_spec *spec, const struct network *net, const char *folder)
{
	struct cmd *c = add_command(plan, "dnsmasq-base");

	cmd_add(c, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", NULL);
	cmd_add(c, "--log-facility=-", "--port=0", "--user=" USER, "--group=" GROUP, NULL);
	if (*net->interface) {
		cmd_add(c, "--bind-interfaces", NULL);
		cmd_addf(c, "--interface=%s", net->interface);
		/* Which it would add by itself. */
		if (!str_eq(net->interface, "lo"))
			cmd_add(c, "--except-interface=lo", NULL);
	}
	if (spec->tftp) {
		cmd_add(c, "--enable-tftp", NULL);
		cmd_addf(c, "--tftp-root=%s/tftp", n->real);
	}
	if (spec->dhcp == SERVE_DHCP_NONE)
		return;
	cmd_addf(c, "--dhcp-leasefile=%s/leases", folder);
	if (spec->dhcp == SERVE_DHCP_PROXY)
		cmd_addf(c, "--dhcp-range=%s,proxy,%s", net->start, net->mask);
	else
		cmd_addf(c, "--dhcp-range=%s,%s,1h", spec->range, net->mask);
	add_boot_files(c, n, spec->dhcp == SERVE_DHCP_PROXY);
}

/* lighttpd's strings: '"' and '\' are its own. */
static void add_quoted(struct strbuf *out, const char *text)
{
	strbuf_putc(out, '"');
	for (; *text; text++)
		strbuf_printf(out, "%s%c", strchr("\"\\", *text) ? "\\" : "", *text);
	strbuf_putc(out, '"');
}

/* Kernels and boot loaders as over TFTP, images below /images; hosts/ is not in there. */
static void plan_http(struct serve_plan *plan, const struct netroot *n,
	const struct serve_spec *spec, const char *address, const char *folder)
{
	autofree char *tftp = xasprintf("%s/tftp", n->real);
	autofree char *images = xasprintf("%s/images/", n->real);
	autostrbuf text = {0};

	strbuf_puts(&text, "server.modules = (\"mod_alias\")\nserver.document-root = ");
	add_quoted(&text, tftp);
	strbuf_printf(&text, "\nserver.port = %u\n", spec->http_port);
	if (address) {
		strbuf_puts(&text, "server.bind = ");
		add_quoted(&text, address);
		strbuf_putc(&text, '\n');
	}
	if (geteuid() == 0)
		strbuf_puts(&text,
			"server.username = \"" USER "\"\nserver.groupname = \"" GROUP "\"\n");
	strbuf_puts(&text, "server.follow-symlink = \"disable\"\nalias.url = (\"/images/\" => ");
	add_quoted(&text, images);
	strbuf_puts(&text, ")\nmimetype.assign = (\"\" => \"application/octet-stream\")\n");
	autofree char *path = add_file(plan, folder, "lighttpd.conf", strbuf_take(&text));
	cmd_add(add_command(plan, "lighttpd"), "lighttpd", "-D", "-f", path, NULL);
}

static int check_spec(const struct serve_spec *spec, struct err *e)
{
	if (spec->dhcp == SERVE_DHCP_FULL && !spec->range)
		return err_set(e, EINVAL,
			"'--dhcp=full' needs the addresses that it may give away: "
			"'--range=FIRST,LAST'");
	if (spec->dhcp != SERVE_DHCP_FULL && spec->range)
		return err_set(e, EINVAL, "'--range' is for '--dhcp=full'");
	if (spec->dhcp != SERVE_DHCP_NONE && !spec->interface && !spec->listen)
		return err_set(e, EINVAL,
			"'--interface' or '--listen' says in which network DHCP is answered "
			"('--dhcp=none': in none)");
	return spec->range ? check_range(spec->range, e) : 0;
}

int serve_make_plan(
	const struct serve_spec *spec, const char *folder, struct serve_plan *out, struct err *e)
{
	bool some = spec->interface || spec->listen;
	autoptr(netroot) n = NULL;
	struct network net = {0};
	int r = check_spec(spec, e);

	if (r == 0 && some)
		r = find_network(spec, &net, e);
	if (r == 0)
		r = netroot_open(spec->tree, NETROOT_READ, &n, e);
	if (r < 0)
		return r;
	const char *address = some ? net.address : NULL;
	if (spec->nbd == SERVE_NBDKIT) {
		autofree char *images = xasprintf("%s/images", n->real);

		const char *user = geteuid() == 0 ? USER : NULL;

		servers_nbdkit(add_command(out, "nbdkit"), images, address, spec->nbd_port, user);
	} else {
		plan_nbd_server(out, n, spec, address, folder);
	}
	if (spec->tftp || spec->dhcp != SERVE_DHCP_NONE)
		plan_dnsmasq(out, n, spec, &net, folder);
	if (spec->http_port)
		plan_http(out, n, spec, address, folder);
	return 0;
}

/* All on the way to the tree, as the servers see it. */
int serve_check_access(const char *tree, struct err *e)
{
	autofree char *path = realpath(tree, NULL);

	if (!path)
		return err_errno(e, "'%s'", tree);
	for (char *end = path + strlen(path); geteuid() == 0 && end > path;
		end = strrchr(path, '/')) {
		struct stat st;

		*end = '\0';
		if (*path && stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
			return err_set(e, EACCES,
				"'%s' cannot be entered by the user '" USER
				"', as whom servers run "
				"that root starts: put the tree somewhere else, or start them as its owner",
				path);
	}
	return 0;
}

int serve_check_ports(const struct serve_spec *spec, struct err *e)
{
	bool some = spec->interface || spec->listen;
	struct network net = {0};
	int r = some ? find_network(spec, &net, e) : 0;
	const char *address = some ? net.address : NULL;

	if (r == 0)
		r = servers_check_port(address, spec->nbd_port, SOCK_STREAM, NULL, e);
	if (r == 0 && spec->tftp)
		r = servers_check_port(address, TFTP_PORT, SOCK_DGRAM, NULL, e);
	if (r == 0 && spec->dhcp == SERVE_DHCP_FULL)
		r = servers_check_port(NULL, DHCP_PORT, SOCK_DGRAM, NULL, e);
	if (r == 0 && spec->http_port)
		r = servers_check_port(address, spec->http_port, SOCK_STREAM, NULL, e);
	return r;
}

static int write_files(struct serve_plan *plan, const char *folder, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->names.count; i++) {
		autofree char *path = xasprintf("%s/%s", folder, plan->names.items[i]);
		const char *text = plan->texts.items[i];

		r = file_replace(path, text, strlen(text), 0644, e);
	}
	return r;
}

/* Nothing ends by itself that is well. */
static int watch(struct serve_plan *plan, struct err *e)
{
	static const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000L};

	for (;;) {
		int r = interrupt_check(e);

		if (r < 0)
			return r;
		for (size_t i = 0; i < plan->count; i++) {
			struct cmd *c = &plan->commands[i];

			if (!cmd_ended(c))
				continue;
			r = cmd_wait(c, e);
			return r < 0 ? err_wrap(e, r, "serving ends")
				     : err_set(e, EPROTO, "serving ends: %s has ended",
					       c->argv.items[0]);
		}
		nanosleep(&nap, NULL);
	}
}

int serve_run(struct serve_plan *plan, const struct serve_spec *spec,
	void (*ready)(const struct serve_spec *spec), struct err *e)
{
	int r = write_files(plan, plan->folder, e);

	for (size_t i = 0; r == 0 && i < plan->count; i++) {
		plan->commands[i].log_fd = STDERR_FILENO;
		r = cmd_start(&plan->commands[i], e);
		if (r == -ENOENT)
			r = err_wrap(e, r, "the package '%s' is missing", plan->packages[i]);
	}
	if (r == 0 && ready)
		ready(spec);
	return r == 0 ? watch(plan, e) : r;
}
