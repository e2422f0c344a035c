/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: the QEMU command that runs one.
 *
 * The kernel is started directly, so no boot loader takes part.  The console is standard input of
 * QEMU, a connected socket; see sys/console.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"

#define VM_MEMORY_MIN    (256 * MIB)
#define VM_CPUS_MAX      255
#define VM_CMD_LINE_MAX  2047 /* COMMAND_LINE_SIZE of x86 without the NUL */
#define VM_FIRST_DISK    "/dev/vda"
#define VM_CONSOLE_PARAM "console=ttyS0"

enum vm_accel { VM_ACCEL_TCG, VM_ACCEL_KVM };

struct vm_spec {
	const char *name;
	enum vm_accel accel;
	uint64_t memory_bytes;
	unsigned cpus;
	bool network; /* QEMU's user network: out through the host, in by nothing */
	const char *kernel, *initramfs, *cmd_line;
	const char *image;        /* the first disk */
	bool image_is_scratch;    /* writes are accepted and forgotten; otherwise it is read-only */
	const struct strv *disks; /* more, writable: qcow2 when named so, otherwise raw */
	/* UEFI: both of them; vars is written to.  NULL: BIOS. */
	const char *firmware_code, *firmware_vars;
};

/*
 * Whether KVM can run a guest here: /dev/kvm opens, and the processor says that it virtualises.
 * Without the second, /dev/kvm is one that accepts a guest and never runs it.
 */
bool vm_kvm_ok(void);

/* UEFI firmware of this host: code, and the template of its variables.  -ENOENT: none. */
int vm_find_firmware(const char **code, const char **vars, struct err *e) MUST_CHECK;

/* Fill the empty c.  -EINVAL: a number or the command line is out of range. */
int vm_command(const struct vm_spec *spec, struct cmd *c, struct err *e) MUST_CHECK;
