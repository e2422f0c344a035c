/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/xalloc.h"
#include "cli/commands.h"
#include "cli/netroot-options.h"
#include "cli/vm-options.h"
#include "netroot/servers.h"
#include "netroot/stage.h"
#include "vm/netboot.h"

#define HOST_ADDRESS "10.0.2.2" /* what the machine reaches 127.0.0.1 of this one by */
#define LOOPBACK     "127.0.0.1"
#define NBDKIT_LOG   "nbdkit.log"
#define DEBUG_PARAMS " rd.debug rd.udev.log_level=info systemd.log_level=info"

struct options {
	uint64_t memory_bytes, cpus, timeout_seconds;
	struct strv disks, steps;
	const char *tree, *image, *append, *server, *serial, *kvm;
	bool uefi, secure_boot, debug, dry_run;
};

static const struct options defaults = {
	.tree = NETROOT_TREE,
	.memory_bytes = 2 * GIB,
	.cpus = 2,
	.kvm = "auto",
};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{'i', "image", "LABEL", "the entry to boot (default: that of the tree)", OPT_STRING,
		offsetof(struct options, image)},
	{0, "uefi", NULL, "start with UEFI firmware instead of a BIOS", OPT_FLAG,
		offsetof(struct options, uefi)},
	{0, "secure-boot", NULL, "UEFI firmware that starts only what is signed", OPT_FLAG,
		offsetof(struct options, secure_boot)},
	{0, "debug", NULL, "the initramfs tells all that it does", OPT_FLAG,
		offsetof(struct options, debug)},
	{'a', "append", "ARGS", "more kernel parameters", OPT_STRING,
		offsetof(struct options, append)},
	{0, "server", "ADDRESS", "NBD servers that run already (default: one is started)",
		OPT_STRING, offsetof(struct options, server)},
	{'m', "memory", "SIZE", "memory (default: 2G)", OPT_SIZE,
		offsetof(struct options, memory_bytes)},
	{0, "cpus", "N", "processors (default: 2)", OPT_NUMBER, offsetof(struct options, cpus)},
	{0, "disk", "FILE", "a disk, writable; may be repeated", OPT_LIST,
		offsetof(struct options, disks)},
	{0, "kvm", "WHEN", "auto, on or off (default: auto)", OPT_STRING,
		offsetof(struct options, kvm)},
	{0, "serial", "FILE", "copy the serial console to FILE, - for standard output", OPT_STRING,
		offsetof(struct options, serial)},
	{0, "expect", "TEXT", "wait until TEXT is on the console; may be repeated", OPT_STEPS,
		offsetof(struct options, steps)},
	{0, "send", "TEXT", "type TEXT, with \\n for the Enter key; may be repeated", OPT_STEPS,
		offsetof(struct options, steps)},
	{0, "timeout", "S", "fail after S seconds (default with --expect: 600)", OPT_NUMBER,
		offsetof(struct options, timeout_seconds)},
	{0, "dry-run", NULL, "print the commands, start nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
};

/* What runs beside each other, ended in the opposite order. */
struct netboot {
	const struct options *o;
	struct machine_params params;
	struct vm_session session;
	struct netroot_staged staged;
	struct cmd nbdkit;
	struct machine *m;
	char *server;
	uint16_t port;
	int log_fd;
};

static void netboot_fini(struct netboot *b)
{
	struct machine *m = b->m;

	/* The machine first: without its root it would only complain. */
	b->m = NULL;
	machine_free(m);
	cmd_fini(&b->nbdkit);
	close_auto(&b->log_fd);
	netroot_staged_fini(&b->staged);
	free(b->server);
}

static int check(struct netboot *b, struct err *e)
{
	const struct options *o = b->o;

	b->params = (struct machine_params){
		.memory_bytes = o->memory_bytes,
		.cpus = o->cpus,
		.firmware = vm_option_firmware(o->uefi, o->secure_boot),
		.disks = &o->disks,
		.dry_run = o->dry_run,
	};
	b->session = (struct vm_session){
		.serial = o->serial, .steps = &o->steps, .timeout_seconds = o->timeout_seconds};
	int r = vm_session_check(&b->session, e);
	if (r == 0)
		r = vm_option_disks(&o->disks, e);
	if (r == 0)
		r = vm_option_accel(o->kvm, &b->params.accel, e);
	return r != 0 ? r : netroot_stage_look(o->tree, o->image, &b->staged, e);
}

static const char *bootfile(const struct netboot *b, struct err *e)
{
	if (b->params.firmware != VM_FIRMWARE_BIOS) {
		if (b->staged.has_grub)
			return "BOOTX64.EFI";
		err_set(e, ENOENT, "'%s' has no shim and GRUB for UEFI", b->o->tree);
		return NULL;
	}
	/* The network card of QEMU has iPXE in it. */
	return b->staged.has_pxelinux ? "pxelinux.0" : "boot.ipxe";
}

/* dracut's own modules know one port only. */
static int choose_server(struct netboot *b, struct err *e)
{
	uint16_t port = b->staged.own ? 0 : NBD_PORT;

	if (b->o->server) {
		b->server = xstrdup(b->o->server);
		return 0;
	}
	int r = servers_check_port(LOOPBACK, port, SOCK_STREAM, &b->port, e);
	if (r < 0)
		return r;
	b->server = b->port == NBD_PORT ? xstrdup(HOST_ADDRESS)
					: xasprintf(HOST_ADDRESS ":%u", b->port);
	servers_nbdkit(&b->nbdkit, b->staged.images, LOOPBACK, b->port, NULL);
	return 0;
}

static int stage(struct netboot *b, struct err *e)
{
	const struct options *o = b->o;
	autofree char *folder = netboot_folder(b->m);
	autofree char *append = xasprintf("%s%s%s%s%s", VM_CONSOLE_PARAM,
		b->params.accel == VM_ACCEL_TCG ? " " VM_TCG_PARAM : "",
		o->debug ? DEBUG_PARAMS : "", o->append ? " " : "", o->append ? o->append : "");
	const struct netroot_stage_spec spec = {.tree = o->tree,
		.label = o->image,
		.append = append,
		.server = b->server,
		.folder = o->dry_run ? NULL : folder};

	return netroot_stage(&spec, e);
}

static int prepare(struct netboot *b, struct err *e)
{
	const char *file = bootfile(b, e);

	if (!file)
		return -ENOENT;
	int r = machine_new(&b->params, &b->m, e);
	if (r == 0)
		r = choose_server(b, e);
	if (r == 0)
		r = stage(b, e);
	return r == 0 ? netboot_prepare(b->m, file, e) : r;
}

static int start_server(struct netboot *b, struct err *e)
{
	if (b->o->server)
		return 0;
	b->log_fd = machine_create_file(b->m, NBDKIT_LOG, e);
	if (b->log_fd < 0)
		return b->log_fd;
	b->nbdkit.log_fd = b->log_fd;
	int r = cmd_start(&b->nbdkit, e);
	if (r == -ENOENT)
		return err_wrap(e, r, "the package 'nbdkit' is missing");
	return r < 0 ? r : servers_await(&b->nbdkit, LOOPBACK, b->port, e);
}

static int print_commands(const struct netboot *b)
{
	autofree char *machine = machine_command(b->m);

	if (!b->o->server) {
		autofree char *server = cmd_quoted(&b->nbdkit);

		puts(server);
	}
	puts(machine);
	return 0;
}

static int run(const void *parsed, char *const args[] UNUSED, struct progress *p, struct err *e)
{
	auto_with(netboot_fini) struct netboot b = {.o = parsed, .log_fd = -1};
	int r = check(&b, e);

	if (r == 0)
		r = prepare(&b, e);
	if (r != 0)
		return r;
	if (b.o->dry_run)
		return print_commands(&b);
	r = start_server(&b, e);
	if (r == 0)
		r = machine_start(b.m, e);
	return r < 0 ? r : vm_session_run(b.m, r, &b.session, p, e);
}

const struct cli_command cmd_vm_netboot = {
	.name = "vm netboot",
	.args = "",
	.summary = "Boot a diskless virtual machine from a netroot tree",
	.details =
		"QEMU's own TFTP server hands out boot loader, kernel and initramfs, and nbdkit,\n"
		"started for this machine, the image.  The tree is not changed, and what it says\n"
		"of servers and hosts does not matter here.\n"
		"\n"
		"The console is used as by 'vm run'.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 0,
	.max_args = 0,
	.has_progress = true,
	.run = run,
};
