/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/io.h"
#include "base/xalloc.h"

#define BOOT_SIGNATURE   510 /* in the first sector, of MBR and GPT alike: 55 AA */
#define SQUASHFS_MAGIC   "hsqs"
#define ISO_MAGIC        "CD001"
#define ISO_MAGIC_OFFSET 32769 /* ECMA-119, 8.1: the first volume descriptor */

static const char *const vars_suffixes[] = {
	[VM_FIRMWARE_UEFI] = ".uefi-vars.fd",
	[VM_FIRMWARE_SECURE_BOOT] = ".secure-boot-vars.fd",
};

/* Whether text is at off; a file that ends before has no such text. */
static int has(struct source *s, uint64_t off, const char *text, size_t len, struct err *e)
{
	char buf[8];

	if (s->size_bytes < off + len)
		return 0;
	int r = source_read_at(s, buf, len, off, e);
	return r < 0 ? r : memcmp(buf, text, len) == 0;
}

int disk_find_kind(const char *path, enum disk_kind *out, struct err *e)
{
	static const struct {
		uint64_t off;
		const char *text;
		enum disk_kind kind;
	} signs[] = {
		{0, SQUASHFS_MAGIC, DISK_IMAGE},
		{ISO_MAGIC_OFFSET, ISO_MAGIC, DISK_MEDIUM},
		{BOOT_SIGNATURE, "\x55\xaa", DISK_DISK},
	};
	autoptr(source) s = NULL;
	struct stat st;
	int r;

	*out = DISK_IMAGE;
	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	if (str_eq(vm_disk_format(path), "qcow2")) {
		*out = DISK_DISK;
		return 0;
	}
	r = source_open_path(path, &s, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(signs); i++) {
		r = has(s, signs[i].off, signs[i].text, strlen(signs[i].text), e);
		if (r > 0)
			*out = signs[i].kind;
	}
	return r < 0 ? r : 0;
}

int disk_check(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "%s is neither a file nor a disk", path);
	/* QEMU locks files, but takes a disk whose file systems are mounted. */
	autofd int fd = open(path, O_RDWR | O_CLOEXEC | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	if (fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY, "%s or a part of it is mounted or in use", path);
	return fd < 0 ? err_errno(e, "%s", path) : 0;
}

char *disk_vars_path(const char *path, enum vm_firmware firmware)
{
	return vars_suffixes[firmware] ? xasprintf("%s%s", path, vars_suffixes[firmware]) : NULL;
}

static void drop_vars(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(vars_suffixes); i++) {
		autofree char *vars = disk_vars_path(path, (enum vm_firmware)i);

		if (vars)
			unlink(vars);
	}
}

void disk_drop(const char *path)
{
	drop_vars(path);
	unlink(path);
}

void disk_create_command(const char *path, uint64_t size_bytes, struct cmd *c)
{
	autofree char *local = vm_local_path(path);

	cmd_add(c, "qemu-img", "create", "-q", "-f", vm_disk_format(path), local, NULL);
	cmd_addf(c, "%" PRIu64, size_bytes);
}

int disk_create(const char *path, uint64_t size_bytes, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	autocmd c = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > 0)
		return err_set(e, EEXIST, "%s: is there already", path);
	drop_vars(path);
	disk_create_command(path, size_bytes, &c);
	int r = cmd_run(&c, e);
	if (r < 0)
		unlink(path);
	return r == -ENOENT ? err_wrap(e, r, "the package 'qemu-utils' is missing") : r;
}

int disk_new(const char *path, const struct machine_params *params, bool snapshot,
	struct machine **out, struct err *e)
{
	const struct vm_disk disk = {
		.path = path,
		.serial = "disk",
		.use = snapshot ? VM_DISK_SCRATCH : VM_DISK_WRITABLE,
	};
	const struct vm_spec spec = {.disks = &disk, .disk_count = 1};
	autofree char *vars = disk_vars_path(path, params->firmware);
	autoptr(machine) m = NULL;
	int r = snapshot ? 0 : disk_check(path, e);

	if (r == 0)
		r = machine_new(params, &m, e);
	if (r == 0 && vars)
		machine_use_vars(m, vars, snapshot);
	if (r == 0)
		r = machine_prepare(m, &spec, e);
	if (r == 0)
		*out = take_ptr(m);
	return r;
}

int disk_new_medium(
	const char *path, const struct machine_params *params, struct machine **out, struct err *e)
{
	const struct vm_spec spec = {.cdrom = path, .ends_at_reset = true};
	autoptr(machine) m = NULL;
	int r = machine_new(params, &m, e);

	if (r == 0)
		r = machine_prepare(m, &spec, e);
	if (r == 0)
		*out = take_ptr(m);
	return r;
}
