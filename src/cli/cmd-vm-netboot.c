/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/netroot-options.h"
#include "cli/vm-options.h"
#include "vm/netboot.h"

struct options {
	uint64_t memory_bytes, cpus;
	struct strv disks;
	struct vm_session session;
	const char *tree, *image, *host, *append, *server, *kvm;
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
	{0, "host", "MAC|UUID", "be this host of the tree, with its entry and its name", OPT_STRING,
		offsetof(struct options, host)},
	VM_FIRMWARE_OPTIONS(struct options),
	{0, "debug", NULL, "the initramfs tells all that it does", OPT_FLAG,
		offsetof(struct options, debug)},
	{'a', "append", "ARGS", "more kernel parameters", OPT_STRING,
		offsetof(struct options, append)},
	{0, "server", "ADDRESS", "servers that run already (default: one for NBD is started)",
		OPT_STRING, offsetof(struct options, server)},
	VM_SIZE_OPTIONS(struct options),
	{0, "disk", "FILE", "a disk, writable; may be repeated", OPT_LIST,
		offsetof(struct options, disks)},
	VM_KVM_OPTION(struct options),
	VM_SESSION_OPTIONS(struct options),
	{0, "dry-run", NULL, "print the commands, start nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
};

static int check(const struct options *o, struct netboot_spec *spec, struct err *e)
{
	*spec = (struct netboot_spec){
		.tree = o->tree,
		.label = o->image,
		.host = o->host,
		.append = o->append,
		.server = o->server,
		.debug = o->debug,
		.machine =
			{
				.memory_bytes = o->memory_bytes,
				.cpus = o->cpus,
				.firmware = vm_option_firmware(o->uefi, o->secure_boot),
				.disks = &o->disks,
				.dry_run = o->dry_run,
			},
	};
	if (o->image && o->host) {
		err_set(e, EINVAL, "'--image' and '--host' both say what is booted");
		return CLI_WRONG_USE;
	}
	int r = vm_session_check(&o->session, e);
	if (r == 0)
		r = vm_option_disks(&o->disks, e);
	return r == 0 ? vm_option_accel(o->kvm, &spec->machine.accel, e) : r;
}

static int run(const void *parsed, char *const args[] UNUSED, struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct netboot_spec spec;
	autoptr(netboot) n = NULL;
	int r = check(o, &spec, e);

	if (r == 0)
		r = netboot_new(&spec, &n, e);
	if (r != 0)
		return r;
	if (o->dry_run) {
		autofree char *commands = netboot_commands(n);

		puts(commands);
		return 0;
	}
	r = netboot_start(n, e);
	if (r < 0)
		return r;
	return vm_session_run(netboot_machine(n), r, &o->session, p, e);
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
