/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/vm-options.h"
#include "vm/install.h"

#define DEFAULT_SECONDS 3600

struct options {
	uint64_t size_bytes, memory_bytes, cpus, timeout_seconds;
	const char *kickstart, *disk, *serial, *network, *kvm;
	bool uefi, secure_boot, yes, dry_run;
};

static const struct options defaults = {
	.memory_bytes = 2 * GIB,
	.cpus = 2,
	.timeout_seconds = DEFAULT_SECONDS,
	.network = "user",
	.kvm = "auto",
};

static const struct cli_opt opts[] = {
	{0, "kickstart", "KS", "answers all questions; needed unless the ISO has one", OPT_STRING,
		offsetof(struct options, kickstart)},
	{0, "disk", "FILE", "the disk image; qcow2 when named so, otherwise raw", OPT_STRING,
		offsetof(struct options, disk)},
	{0, "size", "SIZE", "size of a new disk (default: 20G)", OPT_SIZE,
		offsetof(struct options, size_bytes)},
	{'y', "yes", NULL, "take a disk that is there already, as it is", OPT_FLAG,
		offsetof(struct options, yes)},
	VM_FIRMWARE_OPTIONS(struct options),
	VM_SIZE_OPTIONS(struct options),
	{0, "network", "KIND", "user or none (default: user)", OPT_STRING,
		offsetof(struct options, network)},
	VM_KVM_OPTION(struct options),
	{0, "serial", "FILE", "console to FILE (default: -, standard output)", OPT_STRING,
		offsetof(struct options, serial)},
	{0, "timeout", "S", "fail after S seconds (default: 3600, 0: never)", OPT_NUMBER,
		offsetof(struct options, timeout_seconds)},
	{0, "dry-run", NULL, "check, print the commands, start nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
};

static int check(const struct options *o, struct vm_install_spec *spec, struct err *e)
{
	int r;

	if (!o->disk || !*o->disk) {
		err_set(e, EINVAL, "where to install to is missing: '--disk'");
		return CLI_WRONG_USE;
	}
	spec->kickstart = o->kickstart;
	spec->disk = o->disk;
	spec->size_bytes = o->size_bytes;
	spec->yes = o->yes;
	spec->machine.memory_bytes = o->memory_bytes;
	spec->machine.cpus = o->cpus;
	spec->machine.firmware = vm_option_firmware(o->uefi, o->secure_boot);
	spec->machine.dry_run = o->dry_run;
	r = vm_option_network(o->network, &spec->machine.network, e);
	if (r == 0)
		r = vm_option_timeout(o->timeout_seconds, e);
	if (r == 0)
		r = vm_option_serial(o->serial, e);
	return r != 0 ? r : vm_option_accel(o->kvm, &spec->machine.accel, e);
}

static int follow(struct vm_install *i, const struct options *o, char **name, struct err *e)
{
	const char *serial = o->serial ? o->serial : "-";
	struct machine *m = vm_install_machine(i);
	autofd int copy_fd = vm_open_copy(serial, NULL, e);
	autoconsole c = {0};
	int r;

	if (copy_fd < 0)
		return copy_fd;
	r = machine_start(m, e);
	if (r < 0)
		return r;
	console_init(&c, r, copy_fd, (unsigned)o->timeout_seconds);
	r = vm_install_follow(i, &c, name, e);
	if (r == 0 || r == -EINTR)
		return r;
	return vm_explain(m, &c, o->serial, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct vm_install_spec spec = {.source = args[0]};
	autoptr(vm_install) i = NULL;
	autofree char *name = NULL;
	int r;

	r = check(o, &spec, e);
	if (r == 0)
		r = vm_install_new(&spec, p, &i, e);
	if (r != 0)
		return r;
	if (o->dry_run) {
		autofree char *commands = vm_install_commands(i);

		puts(commands);
		return 0;
	}
	r = follow(i, o, &name, e);
	if (r < 0)
		return r;
	printf("installed %s on %s\n", name, o->disk);
	return 0;
}

const struct cli_command cmd_vm_install = {
	.name = "vm install",
	.args = "IMAGE|ISO",
	.summary = "Install a node into a disk image, unattended",
	.details = "The console of the installer is copied to standard output, or to a file, and\n"
		   "the exit status is its verdict.  The UEFI firmware's variables are kept\n"
		   "beside the disk.  What comes out is booted with 'bedplate vm run DISK'.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
