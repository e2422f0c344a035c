/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"

#define QEMU        "qemu-system-x86_64"
#define CPUINFO_MAX (16 * MIB)
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

int vm_find_firmware(const char **code, const char **vars, struct err *e)
{
	/* Debian's ovmf; the 2 MiB build was dropped in Debian 13. */
	static const char *const pairs[][2] = {
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (!file_exists(pairs[i][0]) || !file_exists(pairs[i][1]))
			continue;
		*code = pairs[i][0];
		*vars = pairs[i][1];
		return 0;
	}
	return err_set(e, ENOENT, "no UEFI firmware here, install the package 'ovmf'");
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

static void add_drive(struct cmd *c, const char *id, const char *path, const char *options)
{
	autofree char *file = escape(path);

	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=none,id=%s,%s,file=%s", id, options, file);
	cmd_add(c, "-device", NULL);
	cmd_addf(c, "virtio-blk-pci,drive=%s,serial=%s", id, id);
}

static void add_firmware(struct cmd *c, const struct vm_spec *spec)
{
	autofree char *code = escape(spec->firmware_code);
	autofree char *vars = escape(spec->firmware_vars);

	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=pflash,unit=0,format=raw,readonly=on,file=%s", code);
	cmd_add(c, "-drive", NULL);
	cmd_addf(c, "if=pflash,unit=1,format=raw,file=%s", vars);
}

static void add_disks(struct cmd *c, const struct vm_spec *spec)
{
	add_drive(c, "image", spec->image,
		spec->image_is_scratch ? "format=raw,snapshot=on" : "format=raw,readonly=on");
	for (size_t i = 0; spec->disks && i < spec->disks->count; i++) {
		const char *path = spec->disks->items[i];
		char id[32];

		/* Never guessed from the content: the guest writes that. */
		snprintf(id, sizeof(id), "disk%zu", i);
		add_drive(c, id, path,
			str_ends(path, ".qcow2") ? "format=qcow2,discard=unmap"
						 : "format=raw,discard=unmap");
	}
}

static int check(const struct vm_spec *spec, struct err *e)
{
	if (spec->memory_bytes < VM_MEMORY_MIN)
		return err_set(e, EINVAL, "%" PRIu64 " bytes of memory are too few for a node",
			spec->memory_bytes);
	if (spec->cpus < 1 || spec->cpus > VM_CPUS_MAX)
		return err_set(e, EINVAL, "bad number of processors %u", spec->cpus);
	if (strlen(spec->cmd_line) > VM_CMD_LINE_MAX)
		return err_set(e, EINVAL, "the kernel command line is longer than %d bytes",
			VM_CMD_LINE_MAX);
	return 0;
}

int vm_command(const struct vm_spec *spec, struct cmd *c, struct err *e)
{
	autofree char *name = escape(spec->name);
	int r = check(spec, e);

	if (r < 0)
		return r;
	cmd_add(c, QEMU, "-name", name, "-machine", "q35", "-nodefaults", "-no-user-config",
		"-display", "none", "-no-reboot", NULL);
	if (spec->accel == VM_ACCEL_KVM)
		cmd_add(c, "-accel", "kvm", "-cpu", "host", NULL);
	else
		cmd_add(c, "-accel", "tcg,thread=multi", "-cpu", TCG_CPU, NULL);
	cmd_add(c, "-smp", NULL);
	cmd_addf(c, "%u", spec->cpus);
	cmd_add(c, "-m", NULL);
	cmd_addf(c, "%llu", (spec->memory_bytes + MIB - 1) / MIB);
	cmd_add(c, "-chardev", CONSOLE_CHARDEV, "-serial", "chardev:console", NULL);
	cmd_add(c, "-device", "virtio-rng-pci", NULL);
	if (spec->firmware_code)
		add_firmware(c, spec);
	add_disks(c, spec);
	if (spec->network)
		cmd_add(c, "-nic", "user,model=virtio-net-pci", NULL);
	else
		cmd_add(c, "-nic", "none", NULL);
	cmd_add(c, "-kernel", spec->kernel, "-initrd", spec->initramfs, "-append", spec->cmd_line,
		NULL);
	return 0;
}
