/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "sys/vm.h"

static const struct vm_spec small = {
	.name = "a,b",
	.memory_bytes = 1 * GIB,
	.cpus = 2,
	.kernel = "vmlinuz",
	.initramfs = "initramfs",
	.cmd_line = "quiet",
	.image = "/tmp/a,b.squashfs.img",
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
		" -drive if=none,id=image,format=raw,readonly=on,file=/tmp/a,,b.squashfs.img"
		" -device virtio-blk-pci,drive=image,serial=image -nic none"
		" -kernel vmlinuz -initrd initramfs -append quiet");
}

static void vm_command_with_everything(void **state)
{
	autostrv disks = {0};
	struct vm_spec spec = small;
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	strv_add(&disks, "a.raw");
	strv_add(&disks, "b.qcow2");
	spec.accel = VM_ACCEL_KVM;
	spec.network = true;
	spec.disks = &disks;
	spec.image_is_scratch = true;
	spec.firmware_code = "code.fd";
	spec.firmware_vars = "vars.fd";
	assert_ok(vm_command(&spec, &c, &e), e);
	assert_true(strv_has(&c.argv, "kvm"));
	assert_true(strv_has(&c.argv, "host"));
	assert_true(strv_has(&c.argv, "user,model=virtio-net-pci"));
	assert_true(strv_has(
		&c.argv, "if=none,id=image,format=raw,snapshot=on,file=/tmp/a,,b.squashfs.img"));
	assert_true(strv_has(&c.argv, "if=none,id=disk0,format=raw,discard=unmap,file=a.raw"));
	assert_true(strv_has(&c.argv, "if=none,id=disk1,format=qcow2,discard=unmap,file=b.qcow2"));
	assert_true(strv_has(&c.argv, "if=pflash,unit=0,format=raw,readonly=on,file=code.fd"));
	assert_true(strv_has(&c.argv, "if=pflash,unit=1,format=raw,file=vars.fd"));
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
	line[VM_CMD_LINE_MAX] = '\0';
	assert_ok(vm_command(&spec, &c, &e), e);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vm_command_of_a_bios_machine),
		cmocka_unit_test(vm_command_with_everything),
		cmocka_unit_test(vm_command_refuses_nonsense),
	};

	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
