/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "sys/vm.h"

static const struct vm_disk image = {
	.path = "/tmp/a,b.squashfs.img", .serial = "image", .use = VM_DISK_READ_ONLY};

static const struct vm_spec small = {
	.name = "a,b",
	.memory_bytes = 1 * GIB,
	.cpus = 2,
	.ends_at_reset = true,
	.kernel = "vmlinuz",
	.initramfs = "initramfs",
	.cmd_line = "quiet",
	.disks = &image,
	.disk_count = 1,
};

static void vm_command_of_a_bios_machine(void **state)
{
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	assert_ok(vm_command(&small, &c, &e), e);
	autofree char *text = cmd_quoted(&c);
	assert_string_equal(text,
		"qemu-system-x86_64 -name a,,b -machine q35 -nodefaults -no-user-config"
		" -display none -no-reboot -accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 2 -m 1024"
		" -chardev socket,id=console,fd=0 -serial chardev:console -device virtio-rng-pci"
		" -drive if=none,id=disk0,format=raw,readonly=on,file=/tmp/a,,b.squashfs.img"
		" -device virtio-blk-pci,drive=disk0,serial=image,bootindex=1 -nic none"
		" -kernel vmlinuz -initrd initramfs -append 'quiet norandmaps module_blacklist=sha256_ssse3'");
}

static void vm_command_that_firmware_boots(void **state)
{
	static const struct vm_disk disks[] = {
		{.path = "a.raw", .serial = "one"},
		{.path = "b:c.qcow2", .serial = "two", .use = VM_DISK_SCRATCH},
	};
	const struct vm_spec spec = {
		.name = "n",
		.accel = VM_ACCEL_KVM,
		.memory_bytes = 1 * GIB,
		.cpus = 1,
		.network = true,
		.disks = disks,
		.disk_count = ARRAY_LEN(disks),
		.cdrom = "x,y.iso",
		.firmware = VM_FIRMWARE_SECURE_BOOT,
		.firmware_code = "code.fd",
		.firmware_vars = "vars.fd",
	};
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	assert_ok(vm_command(&spec, &c, &e), e);
	autofree char *text = cmd_quoted(&c);
	assert_string_equal(text,
		"qemu-system-x86_64 -name n -machine q35,smm=on -nodefaults -no-user-config"
		" -display none -accel kvm -cpu host -smp 1 -m 1024"
		" -chardev socket,id=console,fd=0 -serial chardev:console -device virtio-rng-pci"
		" -global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1"
		" -drive if=pflash,unit=0,format=raw,readonly=on,file=code.fd"
		" -drive if=pflash,unit=1,format=raw,file=vars.fd"
		" -drive if=none,id=cdrom,format=raw,readonly=on,media=cdrom,file=x,,y.iso"
		" -device ide-cd,drive=cdrom,bootindex=0"
		" -drive if=none,id=disk0,format=raw,discard=unmap,file=a.raw"
		" -device virtio-blk-pci,drive=disk0,serial=one,bootindex=1"
		" -drive if=none,id=disk1,format=qcow2,discard=unmap,snapshot=on,file=./b:c.qcow2"
		" -device virtio-blk-pci,drive=disk1,serial=two -nic user,model=virtio-net-pci");
}

static void vm_command_refuses_nonsense(void **state)
{
	struct vm_spec spec = small;
	char line[VM_CMD_LINE_MAX + 2];
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	spec.memory_bytes = 4 * MIB;
	assert_fails(vm_command(&spec, &c, &e), EINVAL, e,
		"4194304 bytes of memory are too few for a node");
	spec = small;
	spec.cpus = 0;
	assert_fails(vm_command(&spec, &c, &e), EINVAL, e, "bad number of processors 0");
	spec = small;
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	spec.cmd_line = line;
	assert_fails(vm_command(&spec, &c, &e), EINVAL, e,
		"the kernel command line is longer than 2047 bytes");
	line[VM_CMD_LINE_MAX - strlen(" " VM_TCG_PARAM)] = '\0';
	assert_ok(vm_command(&spec, &c, &e), e);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vm_command_of_a_bios_machine),
		cmocka_unit_test(vm_command_that_firmware_boots),
		cmocka_unit_test(vm_command_refuses_nonsense),
	};

	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
