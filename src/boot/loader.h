/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB itself: its configuration on /boot, its code for BIOS and UEFI.  Files come from the tree of
 * the image that is installed (root_fd), see docs/node.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loader_settings {
	const char *boot_uuid;     /* of the file system on /boot */
	int timeout_seconds;       /* < 0: the default, 5 */
	bool serial;               /* menu on the first serial port, too */
	unsigned serial_baud;      /* 0: 115200 */
	const char *password_hash; /* "grub.pbkdf2.sha512...."; NULL: none */
};

/* grub/grub.cfg, grubenv when missing, user.cfg, i386-pc/ modules.  custom.cfg stays. */
int loader_write_config(int root_fd, int boot_fd, const struct loader_settings *s, struct err *e)
	MUST_CHECK;

/* -EINVAL: no hash that GRUB's menu takes. */
int loader_check_hash(const char *hash, struct err *e) MUST_CHECK;
/* "grub.pbkdf2.sha512.10000.SALT.HASH" of a plain password.  The caller frees it. */
char *loader_hash_password(const char *plain) MUST_CHECK;

struct loader_file {
	const char *path, *package; /* in the tree of the image */
};

/* What an image needs to start a node from this firmware; the last one's path is NULL. */
const struct loader_file *loader_bios_needs(void);
const struct loader_file *loader_efi_needs(void);

#define LOADER_BIOS_SECTOR_BYTES 512 /* GRUB for BIOS boots from no other */

/*
 * BIOS: boot code into the first sector of the disk (its partition table and signature stay), core
 * image into the BIOS boot partition.  core is a file made by grub-mkimage -O i386-pc; boot_img is
 * GRUB's boot.img.  disk_fd may be a device or a disk image.  Also used for USB media.
 * Source of the offsets: GRUB, include/grub/i386/pc/boot.h and util/setup.c.  -EOPNOTSUPP: sectors
 * of other than 512 bytes, which GRUB for BIOS cannot boot from.
 */
int loader_write_bios(int disk_fd, unsigned sector_bytes, uint64_t part_start_bytes,
	uint64_t part_size_bytes, const void *boot_img, const void *core, size_t core_len,
	struct err *e) MUST_CHECK;

/*
 * Boot code in the first sector goes when it is that of loader_write_bios() and leads to the partition
 * that begins there; partition table and signature stay, and so does another one's code.
 */
int loader_remove_bios(int disk_fd, uint64_t part_start_bytes, struct err *e) MUST_CHECK;

/*
 * GRUB for BIOS on media, into the tree of an image: /usr/lib/bedplate/grub/eltorito.img and usb.img,
 * by the tree's own grub-mkimage.  -ENOENT: the image has no GRUB for BIOS.
 */
int loader_make_media_images(const char *root_path, int log_fd, struct err *e) MUST_CHECK;

/*
 * For an installed node: grub-mkimage in the tree at root_path (prefix on partition boot_part of
 * the same disk), then loader_write_bios().  In a namespace of chroot_enter_namespace().  -ENOENT:
 * the image has no GRUB for BIOS.
 */
int loader_install_bios(const char *root_path, int disk_fd, unsigned sector_bytes,
	uint64_t part_start_bytes, uint64_t part_size_bytes, unsigned boot_part, int log_fd,
	struct err *e) MUST_CHECK;

/*
 * UEFI: shim, GRUB and configuration into the mounted EFI system partition.  Files in EFI/BOOT that
 * are not ours are kept.  -ENOENT: the image has no shim and GRUB for UEFI.
 */
int loader_install_efi(int root_fd, int esp_fd, const char *boot_uuid, struct err *e) MUST_CHECK;
/*
 * An NVRAM entry "Bedplate" for EFI/bedplate/shimx64.efi, first in the order unless keep_order;
 * other entries stay.
 */
int loader_add_efi_entry(const char *disk_path, unsigned esp_part, bool keep_order, struct err *e)
	MUST_CHECK;
/* Ours goes from NVRAM, others stay. */
int loader_remove_efi_entry(struct err *e) MUST_CHECK;
