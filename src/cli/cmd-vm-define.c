/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/vm-options.h"
#include "vm/disk.h"
#include "vm/domain.h"

struct options {
	uint64_t memory_bytes, cpus;
	const char *name, *uri;
	bool uefi, secure_boot, print;
};

static const struct options defaults = {.memory_bytes = 2 * GIB, .cpus = 2};

static const struct cli_opt opts[] = {
	{0, "name", "N", "what libvirt is to call it", OPT_STRING, offsetof(struct options, name)},
	VM_FIRMWARE_OPTIONS(struct options),
	VM_SIZE_OPTIONS(struct options),
	{'c', "connect", "URI", "the hypervisor (default: libvirt's own)", OPT_STRING,
		offsetof(struct options, uri)},
	{0, "print", NULL, "print the domain XML, define nothing", OPT_FLAG,
		offsetof(struct options, print)},
};

static int run(const void *parsed, char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct domain_spec spec = {
		.name = o->name,
		.disk = args[0],
		.memory_bytes = o->memory_bytes,
		.cpus = o->cpus,
		.accel = vm_kvm_ok() ? VM_ACCEL_KVM : VM_ACCEL_TCG,
		.firmware = vm_option_firmware(o->uefi, o->secure_boot),
		.uri = o->uri,
	};
	autofree char *xml = NULL;
	enum disk_kind kind;
	int r;

	if (!o->name) {
		err_set(e, EINVAL, "what to call the machine is missing: '--name'");
		return CLI_WRONG_USE;
	}
	r = disk_find_kind(spec.disk, &kind, e);
	if (r < 0)
		return r;
	/* A hybrid one has a partition table as well. */
	if (kind == DISK_MEDIUM)
		return err_set(e, EINVAL, "%s is an ISO: a disk is needed", spec.disk);
	if (kind != DISK_DISK)
		return err_set(e, EINVAL, "%s: is no disk with a partition table", spec.disk);
	if (!o->print)
		return domain_define(&spec, e);
	r = domain_describe(&spec, &xml, e);
	if (r == 0)
		fputs(xml, stdout);
	return r;
}

const struct cli_command cmd_vm_define = {
	.name = "vm define",
	.args = "DISK",
	.summary = "Make a disk image known to libvirt as a machine",
	.details = "The machine is not started: 'virsh start N', 'virsh console N'.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
