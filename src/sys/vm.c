/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "base/xalloc.h"

#define QEMU         "qemu-system-x86_64"
#define CPUINFO_MAX  (16 * MIB)
#define FIRMWARE_MAX (64 * MIB)
/*
 * Without the processor's fast string instructions: TCG carries them out byte by byte, a kernel that
 * believes in them clears pages that way, and on a busy host timer interrupts then starve it
 * (soft lockups of 49 s, QEMU 7.2 and Linux 6.12).
 */
#define TCG_CPU         "max,-erms,-fsrm"
#define CONSOLE_CHARDEV "socket,id=console,fd=0"

static bool processor_virtualises(void)
{
	autofree char *text = NULL;
	char *rest;

	if (file_read("/proc/cpuinfo", CPUINFO_MAX, &text, NULL, NULL) < 0)
		return false;
	rest = text;
	for (char *line; (line = str_next_word(&rest, "\n"));) {
		if (!str_starts(line, "flags"))
			continue;
		for (char *flag; (flag = str_next_word(&line, " \t"));)
			if (str_eq(flag, "vmx") || str_eq(flag, "svm"))
				return true;
		return false;
	}
	return false;
}

bool vm_kvm_ok(void)
{
	autofd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return fd >= 0 && processor_virtualises();
}

int vm_find_firmware(enum vm_firmware kind, const char **code, const char **vars, struct err *e)
{
	/* Debian's ovmf; the 2 MiB build was dropped in Debian 13. */
	static const struct {
		enum vm_firmware kind;
		const char *code, *vars;
	} known[] = {
		{VM_FIRMWARE_UEFI, "/usr/share/OVMF/OVMF_CODE_4M.fd",
			"/usr/share/OVMF/OVMF_VARS_4M.fd"},
		{VM_FIRMWARE_UEFI, "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
		{VM_FIRMWARE_SECURE_BOOT, "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
			"/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
		{VM_FIRMWARE_SECURE_BOOT, "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
			"/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
		{VM_FIRMWARE_SECURE_BOOT, "/usr/share/OVMF/OVMF_CODE.secboot.fd",
			"/usr/share/OVMF/OVMF_VARS.ms.fd"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].kind != kind || !file_exists(known[i].code) ||
			!file_exists(known[i].vars))
			continue;
		*code = known[i].code;
		*vars = known[i].vars;
		return 0;
	}
	return err_set(e, ENOENT, "no UEFI firmware%s here, install the package 'ovmf'",
		kind == VM_FIRMWARE_SECURE_BOOT ? " with Secure Boot" : "");
}

int vm_copy_vars(const char *from, const char *to, struct err *e)
{
	autofree char *data = NULL;
	size_t len;
	int r = file_read(from, FIRMWARE_MAX, &data, &len, e);

	return r < 0 ? r : file_replace(to, data, len, 0600, e);
}

const char *vm_disk_format(const char *path)
{
	return str_ends(path, ".qcow2") ? "qcow2" : "raw";
}

/* QEMU's lists of options want a comma in a value twice. */
static char *escape(const char *value)
{
	autostrbuf b = {0};

	for (; *value; value++) {
		if (*value == ',')
			strbuf_putc(&b, ',');
		strbuf_putc(&b, *value);
	}
	return strbuf_take(&b);
}

char *vm_local_path(const char *path)
{
	return xasprintf("%s%s", path[strcspn(path, ":/")] == ':' ? "./" : "", path);
}

/* A path as value of "file=" in such a list. */
static char *escape_path(const char *path)
{
	autofree char *local = vm_local_path(path);

	return escape(local);
}

static void add_firmware(struct cmd *c, const struct vm_spec *spec)
{
	autofree char *code = escape_path(spec->firmware_code);
	autofree char *vars = escape_path(spec->firmware_vars);

	/* Otherwise the guest's kernel could write the variables that Secure Boot rests on. */
	if (spec->firmware == VM_FIRMWARE_SECURE_BOOT)
		cmd_add(c, "-global", "driver=cfi.pflash01,property=secure,value=on", "-global",
			"ICH9-LPC.disable_s3=1", NULL);
	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=pflash,unit=0,format=raw,readonly=on,file=%s", code);
	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=pflash,unit=1,format=raw,file=%s", vars);
}

static void add_disk(struct cmd *c, const struct vm_disk *disk, size_t number)
{
	static const char *const options[] = {
		[VM_DISK_WRITABLE] = "discard=unmap",
		[VM_DISK_SCRATCH] = "discard=unmap,snapshot=on",
		[VM_DISK_READ_ONLY] = "readonly=on",
	};
	autofree char *file = escape_path(disk->path);

	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=none,id=disk%zu,format=%s,%s,file=%s", number, vm_disk_format(disk->path),
		options[disk->use], file);
	cmd_add(c, "-device", NULL);
	cmd_addf(c, "virtio-blk-pci,drive=disk%zu,serial=%s%s", number, disk->serial,
		number == 0 ? ",bootindex=1" : "");
}

static void add_cdrom(struct cmd *c, const char *path)
{
	autofree char *file = escape_path(path);

	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=none,id=cdrom,format=raw,readonly=on,media=cdrom,file=%s", file);
	cmd_add(c, "-device", "ide-cd,drive=cdrom,bootindex=0", NULL);
}

static void add_network_boot(struct cmd *c, const struct vm_spec *spec)
{
	autofree char *tftp = escape(spec->tftp);
	autofree char *bootfile = escape(spec->bootfile);

	cmd_add(c, "-netdev", NULL);
	cmd_addf(c, "user,id=net,tftp=%s,bootfile=%s", tftp, bootfile);
	/* UEFI by its own: the iPXE of QEMU's ROM does not tell shim how long a file is. */
	cmd_add(c, "-device", NULL);
	cmd_addf(c, "virtio-net-pci,netdev=net,bootindex=0%s%s%s",
		spec->firmware == VM_FIRMWARE_BIOS ? "" : ",romfile=", spec->mac ? ",mac=" : "",
		spec->mac ? spec->mac : "");
	if (spec->uuid)
		cmd_add(c, "-uuid", spec->uuid, NULL);
}

int vm_check_size(uint64_t memory_bytes, uint64_t cpus, struct err *e)
{
	if (memory_bytes < VM_MEMORY_MIN)
		return err_set(e, EINVAL, "%" PRIu64 " bytes of memory are too few for a node",
			memory_bytes);
	if (memory_bytes > VM_MEMORY_MAX)
		return err_set(e, EINVAL,
			"%" PRIu64 " bytes of memory are more than a machine can have",
			memory_bytes);
	if (cpus < 1 || cpus > VM_CPUS_MAX)
		return err_set(e, EINVAL, "bad number of processors %" PRIu64, cpus);
	return 0;
}

static int add_kernel(struct cmd *c, const struct vm_spec *spec, struct err *e)
{
	autofree char *line = xasprintf(
		"%s%s", spec->cmd_line, spec->accel == VM_ACCEL_TCG ? " " VM_TCG_PARAM : "");

	if (strlen(line) > VM_CMD_LINE_MAX)
		return err_set(e, EINVAL, "the kernel command line is longer than %d bytes",
			VM_CMD_LINE_MAX);
	cmd_add(c, "-kernel", spec->kernel, "-initrd", spec->initramfs, "-append", line, NULL);
	return 0;
}

int vm_command(const struct vm_spec *spec, struct cmd *c, struct err *e)
{
	autofree char *name = escape(spec->name);
	int r = vm_check_size(spec->memory_bytes, spec->cpus, e);

	if (r < 0)
		return r;
	cmd_add(c, QEMU, "-name", name, "-machine",
		spec->firmware == VM_FIRMWARE_SECURE_BOOT ? "q35,smm=on" : "q35", "-nodefaults",
		"-no-user-config", "-display", "none", NULL);
	if (spec->ends_at_reset)
		cmd_add(c, "-no-reboot", NULL);
	if (spec->accel == VM_ACCEL_KVM)
		cmd_add(c, "-accel", "kvm", "-cpu", "host", NULL);
	else
		cmd_add(c, "-accel", "tcg,thread=multi", "-cpu", TCG_CPU, NULL);
	cmd_add(c, "-smp", NULL);
	cmd_addf(c, "%" PRIu64, spec->cpus);
	cmd_add(c, "-m", NULL);
	cmd_addf(c, "%llu", (spec->memory_bytes + MIB - 1) / MIB);
	cmd_add(c, "-chardev", CONSOLE_CHARDEV, "-serial", "chardev:console", NULL);
	cmd_add(c, "-device", "virtio-rng-pci", NULL);
	if (spec->firmware != VM_FIRMWARE_BIOS)
		add_firmware(c, spec);
	if (spec->cdrom)
		add_cdrom(c, spec->cdrom);
	for (size_t i = 0; i < spec->disk_count; i++)
		add_disk(c, &spec->disks[i], i);
	if (spec->tftp)
		add_network_boot(c, spec);
	else if (spec->network)
		cmd_add(c, "-nic", "user,model=virtio-net-pci", NULL);
	else
		cmd_add(c, "-nic", "none", NULL);
	return spec->kernel ? add_kernel(c, spec, e) : 0;
}
