/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/xalloc.h"
#include "cli/commands.h"
#include "cli/vm-options.h"
#include "vm/disk.h"
#include "vm/live.h"

struct options {
	uint64_t memory_bytes, cpus;
	struct strv disks;
	struct vm_session session;
	const char *append, *network, *kvm;
	bool uefi, secure_boot, snapshot, dry_run;
};

static const struct options defaults = {
	.memory_bytes = 2 * GIB,
	.cpus = 2,
	.network = "user",
	.kvm = "auto",
};

static const struct cli_opt opts[] = {
	VM_FIRMWARE_OPTIONS(struct options),
	{0, "snapshot", NULL, "of a disk: forget what the machine writes to it", OPT_FLAG,
		offsetof(struct options, snapshot)},
	VM_SIZE_OPTIONS(struct options),
	{0, "disk", "FILE", "one more disk, writable; may be repeated", OPT_LIST,
		offsetof(struct options, disks)},
	{0, "network", "KIND", "user or none (default: user)", OPT_STRING,
		offsetof(struct options, network)},
	{0, "append", "ARGS", "of an image: more kernel parameters", OPT_STRING,
		offsetof(struct options, append)},
	VM_KVM_OPTION(struct options),
	VM_SESSION_OPTIONS(struct options),
	{0, "dry-run", NULL, "print the QEMU command, start nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
};

static int check(const struct options *o, struct machine_params *params, struct err *e)
{
	int r;

	*params = (struct machine_params){
		.memory_bytes = o->memory_bytes,
		.cpus = o->cpus,
		.firmware = vm_option_firmware(o->uefi, o->secure_boot),
		.disks = &o->disks,
		.dry_run = o->dry_run,
	};
	r = vm_option_network(o->network, &params->network, e);
	if (r == 0)
		r = vm_session_check(&o->session, e);
	if (r == 0)
		r = vm_option_disks(&o->disks, e);
	return r == 0 ? vm_option_accel(o->kvm, &params->accel, e) : r;
}

/* An option that means nothing for what is booted is wrong use. */
static int check_kind(const struct options *o, const char *path, enum disk_kind kind, struct err *e)
{
	if (kind != DISK_IMAGE && o->append)
		err_set(e, EINVAL, "'--append' is for images, and '%s' has its own boot loader",
			path);
	else if (kind != DISK_DISK && o->snapshot)
		err_set(e, EINVAL, "'--snapshot' is for disks, and '%s' is never written to", path);
	else if (kind == DISK_IMAGE && o->secure_boot)
		err_set(e, EINVAL, "'--secure-boot' needs a boot loader, and '%s' has none", path);
	else
		return 0;
	return CLI_WRONG_USE;
}

static int make_machine(const struct options *o, const char *path,
	const struct machine_params *params, struct machine **out, struct err *e)
{
	autoptr(image) img = NULL;
	enum disk_kind kind;
	int r = disk_find_kind(path, &kind, e);

	if (r == 0)
		r = check_kind(o, path, kind, e);
	if (r != 0)
		return r;
	if (kind == DISK_DISK)
		return disk_new(path, params, o->snapshot, out, e);
	if (kind == DISK_MEDIUM)
		return disk_new_medium(path, params, out, e);
	r = image_open(path, &img, e);
	return r < 0 ? r : live_new(img, params, o->append, out, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct machine_params params;
	autoptr(machine) m = NULL;
	int r;

	r = check(o, &params, e);
	if (r == 0)
		r = make_machine(o, args[0], &params, &m, e);
	if (r != 0)
		return r;
	if (o->dry_run) {
		autofree char *command = machine_command(m);

		puts(command);
		return 0;
	}
	r = machine_start(m, e);
	if (r < 0)
		return r;
	return vm_session_run(m, r, &o->session, p, e);
}

const struct cli_command cmd_vm_run = {
	.name = "vm run",
	.args = "IMAGE|DISK|ISO",
	.summary = "Boot an image, a disk or an ISO in a virtual machine",
	.details =
		"An image boots live and is not changed.  What is written to a disk stays there.\n"
		"\n"
		"The console is connected to this terminal, Ctrl-A x ends the machine.  With\n"
		"--expect and --send the steps are taken in their order instead, and the\n"
		"machine ends after the last.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
