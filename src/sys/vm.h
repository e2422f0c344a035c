/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine: the QEMU command that runs one.
 *
 * Either a kernel is started directly and no boot loader takes part, or the firmware boots the
 * optical disc or the first disk.  The console is standard input of QEMU, a connected socket; see
 * sys/console.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"

#define VM_MEMORY_MIN    (256 * MIB)
#define VM_MEMORY_MAX    (1ULL << 52) /* what x86-64 can address */
#define VM_CPUS_MAX      255
#define VM_CMD_LINE_MAX  2047 /* COMMAND_LINE_SIZE of x86 without the NUL */
#define VM_FIRST_DISK    "/dev/vda"
#define VM_CONSOLE_PARAM "console=ttyS0"
/*
 * For a kernel that TCG runs: every process at the same addresses.  QEMU 7.2 keeps what it has translated
 * by address, translates a library again for each process that has it elsewhere, and looks through all of
 * that when the library's memory is cleared (a boot of 105 s takes 60 s, half of it was in clear_page).
 * And no SHA-256 in vector instructions, which are the slow ones of TCG: dm-verity reads 36 MB/s for 9.
 */
#define VM_TCG_PARAM "norandmaps module_blacklist=sha256_ssse3"

enum vm_accel { VM_ACCEL_TCG, VM_ACCEL_KVM };
enum vm_firmware { VM_FIRMWARE_BIOS, VM_FIRMWARE_UEFI, VM_FIRMWARE_SECURE_BOOT };

enum vm_disk_use {
	VM_DISK_WRITABLE,
	VM_DISK_SCRATCH, /* writes are accepted and forgotten */
	VM_DISK_READ_ONLY,
};

struct vm_disk {
	const char *path; /* see vm_disk_format() */
	const char *serial;
	enum vm_disk_use use;
};

struct vm_spec {
	const char *name;
	enum vm_accel accel;
	uint64_t memory_bytes;
	uint64_t cpus;
	bool network;                /* QEMU's user network: out through the host, in by nothing */
	const char *tftp, *bootfile; /* NULL, or the firmware boots this file out of this folder */
	const char *mac, *uuid;      /* of a machine that boots so; NULL: QEMU's own */
	bool ends_at_reset;          /* a reboot of the guest is its end */
	const char *kernel, *initramfs, *cmd_line; /* all three, or the firmware boots */
	const struct vm_disk *disks;               /* virtio: /dev/vda and so on */
	size_t disk_count;
	const char *cdrom; /* NULL: no drive.  Booted before the disks */
	enum vm_firmware firmware;
	/* Both of them, unless it is a BIOS; vars is written to. */
	const char *firmware_code, *firmware_vars;
};

/*
 * Whether KVM can run a guest here: /dev/kvm opens, and the processor says that it virtualises.
 * Without the second, /dev/kvm is one that accepts a guest and never runs it.
 */
bool vm_kvm_ok(void);

/*
 * UEFI firmware of this host: code, and the template of its variables; with Secure Boot the template
 * has the vendors' keys enrolled.  -ENOENT: none.  Not for VM_FIRMWARE_BIOS.
 */
int vm_find_firmware(enum vm_firmware kind, const char **code, const char **vars, struct err *e)
	MUST_CHECK;

/* Variables of a machine's own, from the template or from another machine's. */
int vm_copy_vars(const char *from, const char *to, struct err *e) MUST_CHECK;

/* "qcow2" when the file is named so, otherwise "raw": content is the guest's, and never believed. */
const char *vm_disk_format(const char *path);

/*
 * The path so that QEMU and its tools take it for a file: "nbd:x" alone is an address.  The caller
 * frees it.
 */
char *vm_local_path(const char *path) MUST_CHECK;

/* -EINVAL: more or less than a machine can have. */
int vm_check_size(uint64_t memory_bytes, uint64_t cpus, struct err *e) MUST_CHECK;

/* Fill the empty c.  -EINVAL: a number or the command line is out of range. */
int vm_command(const struct vm_spec *spec, struct cmd *c, struct err *e) MUST_CHECK;
