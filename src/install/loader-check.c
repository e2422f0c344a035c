/* SPDX-License-Identifier: Apache-2.0 */
#include "install/loader-check.h"

#include <errno.h>

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/loader.h"
#include "image/image.h"

#define GRUB_HASH "grub.pbkdf2."

int loader_menu_password(const struct ks_cmd *c, char **out, struct err *e)
{
	const char *password = c ? ks_str(c, "password") : NULL;

	if (!password || !*password)
		return 0;
	if (!ks_flag(c, "iscrypted") && !str_starts(password, GRUB_HASH)) {
		*out = loader_hash_password(password);
		return 0;
	}
	int r = loader_check_hash(password, e);
	if (r < 0)
		return err_wrap(e, r, "%s:%u", ks_file(c), ks_line(c));
	*out = xstrdup(password);
	return 0;
}

bool loader_is_wanted(const struct ks_cmd *c)
{
	const char *location = c ? ks_str(c, "location") : NULL;

	return !c || (!ks_flag(c, "disabled") && !(location && str_eq(location, "none")));
}

const struct layout_part *loader_part(const struct layout *l, enum layout_role role)
{
	for (size_t i = 0; i < l->part_count; i++)
		if (l->parts[i].role == role && l->parts[i].disk == l->boot_drive)
			return &l->parts[i];
	return NULL;
}

const struct layout_part *loader_esp(const struct layout *l)
{
	const struct layout_part *esp = NULL;

	for (size_t i = 0; i < l->part_count; i++)
		if (l->parts[i].role == LAYOUT_EFI)
			esp = &l->parts[i];
	return esp;
}

int loader_judge(int r, bool is_needed, const char *firmware, struct err *e)
{
	if ((r != -ENOENT && r != -EOPNOTSUPP) || is_needed)
		return r < 0 ? err_wrap(e, r, "boot loader for %s", firmware) : 0;
	log_warning("the node will not boot with %s: %s", firmware, e->msg);
	*e = (struct err){0};
	return 0;
}

static int check_image(struct tree *t, const struct loader_file *f, struct err *e)
{
	for (; f->path; f++)
		if (!image_resolve(t, f->path))
			return err_set(e, ENOENT, "the image lacks the package '%s'", f->package);
	return 0;
}

static int check_bios(const struct layout *l, struct tree *t, struct err *e)
{
	const struct layout_disk *disk = &l->disks[l->boot_drive];

	if (disk->sector_bytes != LOADER_BIOS_SECTOR_BYTES)
		return err_set(e, EOPNOTSUPP,
			"'%s' has sectors of %u bytes, GRUB for BIOS boots from %d only: start "
			"this machine by UEFI, or choose another disk with --boot-drive",
			disk->path, disk->sector_bytes, LOADER_BIOS_SECTOR_BYTES);
	if (!loader_part(l, LAYOUT_BIOS))
		return err_set(e, ENOENT, "'%s' has no BIOS boot partition", disk->path);
	if (!loader_part(l, LAYOUT_BOOT))
		return err_set(e, ENOENT, "'%s' has no /boot", disk->path);
	return check_image(t, loader_bios_needs(), e);
}

int loader_precheck(const struct ks_doc *doc, const struct layout *l, bool uefi,
	struct tree *image_tree, struct err *e)
{
	const struct ks_cmd *c = ks_next(doc, "bootloader", NULL);
	int r = 0;

	if (!loader_is_wanted(c))
		return 0;
	if (uefi)
		r = loader_esp(l) ? check_image(image_tree, loader_efi_needs(), e)
				  : err_set(e, ENOENT, "there is no EFI system partition");
	else if (!c || !ks_flag(c, "nombr"))
		r = check_bios(l, image_tree, e);
	return loader_judge(r, true, uefi ? "UEFI" : "BIOS", e);
}
