/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/file.h"
#include "base/io.h"
#include "base/xalloc.h"
#include "boot/loader.h"
#include "sys/chroot.h"

#define MODULE_DIR   "/usr/lib/grub/i386-pc"
#define BOOT_IMG     MODULE_DIR "/boot.img"
#define MKIMAGE      "/usr/bin/grub-mkimage"
#define MEDIA_DIR    "/usr/lib/bedplate/grub"
#define CORE_PATH    "/run/core.img" /* the tree's /run is ours as long as the chroot is open */
#define CORE_MAX     (2 * MIB)
#define SECTOR_BYTES LOADER_BIOS_SECTOR_BYTES

/* The boot sector: include/grub/i386/pc/boot.h. */
#define BPB_START      0x03
#define BPB_END        0x5a
#define KERNEL_SECTOR  0x5c
#define DRIVE_CHECK    0x66
#define DISK_SIGNATURE 0x1b8
#define PART_TABLE_END 0x1fe
#define NOP            0x90
/* The last entry of the block list at the end of the core image's first sector. */
#define BLOCKLIST_START 0x1f4
#define BLOCKLIST_COUNT 0x1fc

/*
 * Everything that our menus use, so that they load nothing from a disk: the signed GRUB for UEFI
 * could not either.
 */
static const char *const modules[] = {
	"biosdisk",
	"part_gpt",
	"part_msdos",
	"ext2",
	"fat",
	"iso9660",
	"normal",
	"configfile",
	"search",
	"search_label",
	"search_fs_uuid",
	"search_fs_file",
	"loadenv",
	"regexp",
	"test",
	"true",
	"echo",
	"sleep",
	"read",
	"ls",
	"cat",
	"minicmd",
	"terminal",
	"serial",
	"linux",
	"halt",
	"reboot",
	"chain",
	"probe",
	"password_pbkdf2",
};

struct core_spec {
	const char *format; /* of grub-mkimage */
	const char *prefix;
	const char *output; /* in the tree */
};

static int make_core(
	const struct chroot *tree, const struct core_spec *spec, int log_fd, struct err *e)
{
	autocmd c = {.log_fd = log_fd};

	chroot_cmd_init(tree, &c);
	cmd_add(&c, MKIMAGE, "--format", spec->format, "--prefix", spec->prefix, "--output",
		spec->output, NULL);
	for (size_t i = 0; i < ARRAY_LEN(modules); i++)
		cmd_add(&c, modules[i], NULL);
	int r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "GRUB for BIOS") : 0;
}

static const struct loader_file needs[] = {
	{MKIMAGE, "grub-common"},
	{BOOT_IMG, "grub-pc-bin"},
	{NULL, NULL},
};

const struct loader_file *loader_bios_needs(void)
{
	return needs;
}

static int check_tree(int root_fd, struct err *e)
{
	for (const struct loader_file *f = needs; f->path; f++) {
		autofd int fd = file_open_in_root(root_fd, f->path, O_RDONLY, 0, e);

		if (fd == -ENOENT)
			return err_set(e, ENOENT, "no GRUB for BIOS: the package '%s' is missing",
				f->package);
		if (fd < 0)
			return fd;
	}
	return 0;
}

static int open_tree(const char *root_path, struct err *e)
{
	int fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "'%s'", root_path) : fd;
}

int loader_make_media_images(const char *root_path, int log_fd, struct err *e)
{
	static const struct core_spec images[] = {
		{"i386-pc-eltorito", "/boot/grub", MEDIA_DIR "/eltorito.img"},
		{"i386-pc", "(,gpt3)/grub", MEDIA_DIR "/usb.img"},
	};
	autoptr(chroot) tree = NULL;
	autofd int root_fd = open_tree(root_path, e);
	int r;

	if (root_fd < 0)
		return root_fd;
	r = check_tree(root_fd, e);
	if (r == 0)
		r = file_make_folder_in_root(root_fd, MEDIA_DIR, e);
	if (r == 0)
		r = chroot_open(root_path, &tree, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(images); i++)
		r = make_core(tree, &images[i], log_fd, e);
	return r;
}

static int check_geometry(unsigned sector_bytes, uint64_t part_start_bytes,
	uint64_t part_size_bytes, size_t core_len, struct err *e)
{
	if (sector_bytes != SECTOR_BYTES)
		return err_set(e, EOPNOTSUPP,
			"GRUB for BIOS cannot boot from a disk with sectors of %u bytes",
			sector_bytes);
	if (part_start_bytes == 0 || part_start_bytes % SECTOR_BYTES != 0)
		return err_set(e, EINVAL, "bad start of the BIOS boot partition");
	if (core_len < SECTOR_BYTES || core_len > CORE_MAX)
		return err_set(e, EINVAL, "not a core image of GRUB: %zu bytes", core_len);
	if (core_len > part_size_bytes)
		return err_set(e, ENOSPC, "GRUB needs %zu bytes, the BIOS boot partition has %llu",
			core_len, (unsigned long long)part_size_bytes);
	return 0;
}

static int write_core(
	int disk_fd, uint64_t start_bytes, const void *core, size_t len, struct err *e)
{
	size_t sectors = (len + SECTOR_BYTES - 1) / SECTOR_BYTES;
	autofree uint8_t *data = xcalloc(sectors, SECTOR_BYTES);
	le64 second = le64_put(start_bytes / SECTOR_BYTES + 1);
	le16 count = le16_put((uint16_t)(sectors - 1));

	memcpy(data, core, len);
	memcpy(data + BLOCKLIST_START, &second, sizeof(second));
	memcpy(data + BLOCKLIST_COUNT, &count, sizeof(count));
	return io_pwrite(disk_fd, data, sectors * SECTOR_BYTES, start_bytes, e);
}

static int read_boot_sector(int disk_fd, uint8_t out[SECTOR_BYTES], struct err *e)
{
	ssize_t n = pread(disk_fd, out, SECTOR_BYTES, 0);

	if (n == SECTOR_BYTES)
		return 0;
	return n < 0 ? err_errno(e, "reading the boot sector")
		     : err_set(e, EIO, "the disk ends in its boot sector");
}

static int write_boot_sector(int disk_fd, uint64_t core_bytes, const void *boot_img, struct err *e)
{
	uint8_t old[SECTOR_BYTES], sector[SECTOR_BYTES];
	le64 core_sector = le64_put(core_bytes / SECTOR_BYTES);
	int r = read_boot_sector(disk_fd, old, e);

	if (r < 0)
		return r;
	memcpy(sector, boot_img, sizeof(sector));
	memcpy(sector + BPB_START, old + BPB_START, BPB_END - BPB_START);
	memcpy(sector + DISK_SIGNATURE, old + DISK_SIGNATURE, PART_TABLE_END - DISK_SIGNATURE);
	memcpy(sector + KERNEL_SECTOR, &core_sector, sizeof(core_sector));
	/* Skip the test of the drive number: some firmware passes a wrong one for a hard disk. */
	memset(sector + DRIVE_CHECK, NOP, 2);
	return io_pwrite(disk_fd, sector, sizeof(sector), 0, e);
}

static int sync_disk(int disk_fd, struct err *e)
{
	return fsync(disk_fd) < 0 ? err_errno(e, "writing to the disk") : 0;
}

int loader_write_bios(int disk_fd, unsigned sector_bytes, uint64_t part_start_bytes,
	uint64_t part_size_bytes, const void *boot_img, const void *core, size_t core_len,
	struct err *e)
{
	int r = check_geometry(sector_bytes, part_start_bytes, part_size_bytes, core_len, e);

	if (r == 0)
		r = write_core(disk_fd, part_start_bytes, core, core_len, e);
	if (r == 0)
		r = sync_disk(disk_fd, e);
	/* Last, so that the sector never leads to a core that is not there. */
	if (r == 0)
		r = write_boot_sector(disk_fd, part_start_bytes, boot_img, e);
	if (r == 0)
		r = sync_disk(disk_fd, e);
	return r < 0 ? err_wrap(e, r, "GRUB for BIOS") : 0;
}

int loader_remove_bios(int disk_fd, uint64_t part_start_bytes, struct err *e)
{
	const le64 ours = le64_put(part_start_bytes / SECTOR_BYTES);
	uint8_t sector[SECTOR_BYTES];
	int r = read_boot_sector(disk_fd, sector, e);

	if (r < 0 || memcmp(sector + KERNEL_SECTOR, &ours, sizeof(ours)) != 0 ||
		sector[DRIVE_CHECK] != NOP || sector[DRIVE_CHECK + 1] != NOP)
		return r;
	memset(sector, 0, DISK_SIGNATURE);
	r = io_pwrite(disk_fd, sector, sizeof(sector), 0, e);
	return r == 0 ? sync_disk(disk_fd, e) : r;
}

static int read_file(
	int root_fd, const char *path, size_t max_bytes, char **out, size_t *len, struct err *e)
{
	autofd int fd = file_open_in_root(root_fd, path, O_RDONLY, 0, e);

	if (fd < 0)
		return fd;
	int r = file_read_fd(fd, max_bytes, out, len, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static int read_boot_img(int root_fd, char **out, struct err *e)
{
	size_t len = 0;
	int r = read_file(root_fd, BOOT_IMG, SECTOR_BYTES, out, &len, e);

	if (r == 0 && len != SECTOR_BYTES)
		return err_set(
			e, EINVAL, "'%s' has %zu bytes, not %d", BOOT_IMG, len, SECTOR_BYTES);
	return r;
}

int loader_install_bios(const char *root_path, int disk_fd, unsigned sector_bytes,
	uint64_t part_start_bytes, uint64_t part_size_bytes, unsigned boot_part, int log_fd,
	struct err *e)
{
	autofree char *prefix = xasprintf("(,gpt%u)/grub", boot_part);
	const struct core_spec spec = {"i386-pc", prefix, CORE_PATH};
	autofree char *boot_img = NULL, *core = NULL;
	autoptr(chroot) tree = NULL;
	autofd int root_fd = open_tree(root_path, e);
	size_t core_len = 0;
	int r;

	if (root_fd < 0)
		return root_fd;
	r = check_tree(root_fd, e);
	if (r == 0)
		r = read_boot_img(root_fd, &boot_img, e);
	if (r == 0)
		r = chroot_open(root_path, &tree, e);
	if (r == 0)
		r = make_core(tree, &spec, log_fd, e);
	if (r == 0)
		r = read_file(root_fd, CORE_PATH, CORE_MAX, &core, &core_len, e);
	if (r < 0)
		return r;
	return loader_write_bios(disk_fd, sector_bytes, part_start_bytes, part_size_bytes, boot_img,
		core, core_len, e);
}
