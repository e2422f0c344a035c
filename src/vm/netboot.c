/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/netboot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/xalloc.h"
#include "netroot/servers.h"
#include "netroot/stage.h"

#define TFTP_FOLDER  "tftp"
#define HOST_ADDRESS "10.0.2.2" /* what the machine reaches 127.0.0.1 of this one by */
#define LOOPBACK     "127.0.0.1"
#define NBDKIT_LOG   "nbdkit.log"
#define DEBUG_PARAMS " rd.debug rd.udev.log_level=info systemd.log_level=info"

struct netboot {
	const struct netboot_spec *spec;
	struct netroot_staged staged;
	struct cmd nbdkit;
	struct machine *m;
	char *server;
	uint16_t port;
	int log_fd;
};

void netboot_free(struct netboot *n)
{
	if (!n)
		return;
	/* The machine first: without its root it would only complain. */
	machine_free(n->m);
	cmd_fini(&n->nbdkit);
	close_auto(&n->log_fd);
	netroot_staged_fini(&n->staged);
	free(n->server);
	free(n);
}

static const char *find_bootfile(const struct netboot *n, struct err *e)
{
	if (n->spec->machine.firmware != VM_FIRMWARE_BIOS) {
		if (n->staged.has_grub)
			return "BOOTX64.EFI";
		err_set(e, ENOENT, "'%s' has no shim and GRUB for UEFI", n->spec->tree);
		return NULL;
	}
	/* The network card of QEMU has iPXE in it. */
	return n->staged.has_pxelinux ? "pxelinux.0" : "boot.ipxe";
}

/* dracut's own modules know one port only. */
static int choose_server(struct netboot *n, struct err *e)
{
	uint16_t port = n->staged.own ? 0 : NBD_PORT;

	if (n->spec->server) {
		n->server = xstrdup(n->spec->server);
		return 0;
	}
	if (n->staged.http)
		return err_set(e, EINVAL,
			"the image is fetched over HTTP: --server=ADDRESS[:PORT] of a server that "
			"has it as /images/ID.img is needed");
	int r = servers_check_port(LOOPBACK, port, SOCK_STREAM, &n->port, e);
	if (r < 0)
		return r;
	n->server = n->port == NBD_PORT ? xstrdup(HOST_ADDRESS)
					: xasprintf(HOST_ADDRESS ":%u", n->port);
	servers_nbdkit(&n->nbdkit, n->staged.images, LOOPBACK, n->port, NULL);
	return 0;
}

static int stage(struct netboot *n, const char *folder, struct err *e)
{
	const struct netboot_spec *s = n->spec;
	autofree char *append = xasprintf("%s%s%s%s%s", VM_CONSOLE_PARAM,
		s->machine.accel == VM_ACCEL_TCG ? " " VM_TCG_PARAM : "",
		s->debug ? DEBUG_PARAMS : "", s->append ? " " : "", s->append ? s->append : "");
	const struct netroot_stage_spec spec = {
		.tree = s->tree,
		.label = s->label,
		.host = s->host,
		.append = append,
		.server = n->server,
		.folder = s->machine.dry_run ? NULL : folder,
	};

	return netroot_stage(&spec, e);
}

static int prepare(struct netboot *n, struct err *e)
{
	const char *bootfile = find_bootfile(n, e);

	if (!bootfile)
		return -ENOENT;
	int r = machine_new(&n->spec->machine, &n->m, e);
	if (r == 0)
		r = choose_server(n, e);
	if (r < 0)
		return r;
	autofree char *folder = machine_file(n->m, TFTP_FOLDER);
	const char *host = n->staged.host;
	bool is_mac = strchr(host, ':');
	const struct vm_spec spec = {
		.tftp = folder,
		.bootfile = bootfile,
		.mac = is_mac ? host : NULL,
		.uuid = *host && !is_mac ? host : NULL,
	};
	r = stage(n, folder, e);
	return r == 0 ? machine_prepare(n->m, &spec, e) : r;
}

int netboot_new(const struct netboot_spec *spec, struct netboot **out, struct err *e)
{
	autoptr(netboot) n = xcalloc(1, sizeof(*n));

	n->spec = spec;
	n->log_fd = -1;
	int r = netroot_stage_look(spec->tree, spec->label, spec->host, &n->staged, e);
	if (r == 0)
		r = prepare(n, e);
	if (r == 0)
		*out = take_ptr(n);
	return r;
}

char *netboot_commands(const struct netboot *n)
{
	autofree char *machine = machine_command(n->m);

	if (n->spec->server)
		return take_ptr(machine);
	autofree char *server = cmd_quoted(&n->nbdkit);
	return xasprintf("%s\n%s", server, machine);
}

struct machine *netboot_machine(struct netboot *n)
{
	return n->m;
}

static int start_server(struct netboot *n, struct err *e)
{
	n->log_fd = machine_create_file(n->m, NBDKIT_LOG, e);
	if (n->log_fd < 0)
		return n->log_fd;
	n->nbdkit.log_fd = n->log_fd;
	int r = cmd_start(&n->nbdkit, e);
	if (r == -ENOENT)
		return err_wrap(e, r, "the package 'nbdkit' is missing");
	return r < 0 ? r : servers_await(&n->nbdkit, LOOPBACK, n->port, e);
}

int netboot_start(struct netboot *n, struct err *e)
{
	int r = n->spec->server ? 0 : start_server(n, e);

	return r == 0 ? machine_start(n->m, e) : r;
}
