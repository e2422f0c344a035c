/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/io.h"
#include "base/xalloc.h"
#include "boot/loader.h"
#include "media/menu.h"
#include "media/usb-internal.h"
#include "sys/partition.h"

#define CORE_MAX (1 * MIB)

/* The menu of all images; with several of them each has a submenu. */
static char *menu_text(const struct stick *s)
{
	const char *id = s->folder + strlen("images/");
	const char *entry = media_default_entry(&s->spec->media);
	autofree char *inner = xasprintf("%s>%s", id, entry);
	bool several = s->old.count > 0;
	autofree char *head = menu_head(
		s->label, several ? inner : entry, media_timeout(&s->spec->media));
	autostrbuf out = {0};

	strbuf_puts(&out, head);
	if (!several)
		strbuf_printf(&out, "source /%s/menu.cfg\n", s->folder);
	for (size_t i = 0; several && i <= s->old.count; i++) {
		const char *name = i == 0 ? id : s->old.items[i - 1];

		strbuf_puts(&out, "submenu ");
		menu_add_word(&out, name);
		strbuf_puts(&out, " --id ");
		menu_add_word(&out, name);
		strbuf_puts(&out, " {\n\tsource ");
		autofree char *path = xasprintf("/images/%s/menu.cfg", name);
		menu_add_word(&out, path);
		strbuf_puts(&out, "\n}\n");
	}
	return strbuf_take(&out);
}

static const char grub_cfg[] = "# Written by bedplate.\n"
			       "if [ -e $prefix/menu.cfg ]; then\n"
			       "\tsource $prefix/menu.cfg\n"
			       "else\n"
			       "\tsource $prefix/menu.new\n"
			       "fi\n";

static int put_text(const struct stick *s, const char *text, const char *path, struct err *e)
{
	const struct fat fat = usb_data(s);
	autofree char *file = xasprintf("%s/text", s->m->folder);
	int r = file_replace(file, text, strlen(text), 0644, e);

	return r < 0 ? r : fat_put_file(&fat, file, path, e);
}

static bool is_dropped(const struct stick *s, const char *path)
{
	for (size_t i = 0; i < s->drop.count; i++) {
		autofree char *folder = xasprintf("images/%s/", s->drop.items[i]);

		if (str_starts(path, folder))
			return true;
	}
	return false;
}

static int put_sums(const struct stick *s, const char *menu, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	autosums all = {0};

	for (size_t i = 0; i < s->m->count; i++)
		sums_add(&all, s->m->files[i].path, s->m->files[i].sha256);
	for (size_t i = 0; i < s->sums.count; i++)
		if (!is_dropped(s, s->sums.items[i].path))
			sums_add(&all, s->sums.items[i].path, s->sums.items[i].sha256);
	sha256_buffer(menu, strlen(menu), sum);
	sums_add(&all, MENU_CFG, sum);
	sha256_buffer(grub_cfg, strlen(grub_cfg), sum);
	sums_add(&all, GRUB_CFG, sum);
	sums_sort(&all);
	autofree char *text = sums_format(&all);
	return put_text(s, text, MEDIA_SUMS, e);
}

static int sync_stick(const struct stick *s, struct err *e)
{
	autofd int fd = open(s->path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(e, "'%s'", s->path);
	return 0;
}

/* Each step is on the disk before the next one begins. */
static int switch_menu(const struct stick *s, struct err *e)
{
	const struct fat fat = usb_data(s);
	autofree char *menu = menu_text(s);
	int r = sync_stick(s, e);

	if (r == 0)
		r = put_text(s, menu, MENU_NEW, e);
	if (r == 0)
		r = sync_stick(s, e);
	if (r == 0 && fat_exists(&fat, MENU_CFG))
		r = fat_remove(&fat, MENU_CFG, e);
	if (r == 0)
		r = sync_stick(s, e);
	if (r == 0)
		r = fat_rename(&fat, MENU_NEW, MENU_CFG, e);
	if (r == 0)
		r = put_sums(s, menu, e);
	for (size_t i = 0; r == 0 && i < s->drop.count; i++) {
		autofree char *folder = xasprintf("images/%s", s->drop.items[i]);

		r = fat_remove(&fat, folder, e);
	}
	return r < 0 ? r : sync_stick(s, e);
}

/* An ISO that was on the stick left its own signatures where no partition overwrites them. */
static int clear_ends(const struct stick *s, struct err *e)
{
	autofree char *zeroes = xcalloc(1, FIRST_BYTES);
	autofd int fd = open(s->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "'%s'", s->path);
	int r = io_pwrite(fd, zeroes, FIRST_BYTES, 0, e);
	if (r == 0)
		r = io_pwrite(fd, zeroes, FIRST_BYTES, s->size_bytes - FIRST_BYTES, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "'%s'", s->path);
	return r;
}

static int write_table(const struct stick *s, struct err *e)
{
	struct partition parts[] = {
		{.number = 1,
			.start_bytes = FIRST_BYTES,
			.size_bytes = BIOS_BYTES,
			.type = PARTITION_TYPE_BIOS,
			.label = "bedplate-bios"},
		{.number = 2,
			.start_bytes = FIRST_BYTES + BIOS_BYTES,
			.size_bytes = ESP_BYTES,
			.type = PARTITION_TYPE_EFI,
			.label = "bedplate-efi"},
		{.number = 3,
			.start_bytes = s->data.start_bytes,
			.size_bytes = s->data.size_bytes,
			.type = PARTITION_TYPE_BASIC_DATA,
			.label = PARTITION_LABEL_STICK},
	};
	struct partition_change change = {
		.create = true, .add = parts, .add_count = ARRAY_LEN(parts)};

	return partition_write(s->path, &change, e);
}

static int write_esp(const struct stick *s, struct err *e)
{
	const struct fat fat = {
		.path = s->path, .offset_bytes = FIRST_BYTES + BIOS_BYTES, .date = s->m->date};
	autofree char *folder = xasprintf("%s/esp", s->m->folder);
	autofree char *grub = xasprintf("%s/boot/grub", folder);
	autofree char *cfg = xasprintf("%s/grub.cfg", grub);
	autofree char *redirect = menu_redirect(s->label, "/grub");
	int r = file_make_folder(grub, 0755, e);

	if (r == 0)
		r = file_replace(cfg, redirect, strlen(redirect), 0644, e);
	if (r == 0)
		r = media_write_efi(s->m, folder, e);
	if (r == 0)
		r = fat_format(&fat, "EFI", ESP_BYTES, e);
	return r < 0 ? r : fat_put_tree(&fat, folder, e);
}

static int write_bios(const struct stick *s, struct err *e)
{
	autofree char *boot = NULL, *core = NULL;
	size_t boot_len = 0, core_len = 0;
	int r = media_read(
		s->m, GRUB_BIOS "boot.img", "grub-pc-bin", SECTOR_BYTES, &boot, &boot_len, e);

	if (r == 0)
		r = media_read(
			s->m, GRUB_DIR "usb.img", "grub-pc-bin", CORE_MAX, &core, &core_len, e);
	if (r == 0 && boot_len != SECTOR_BYTES)
		r = err_set(e, EBADMSG, "GRUB's boot.img in the image is not one sector");
	if (r < 0)
		return r;
	autofd int fd = open(s->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "'%s'", s->path);
	return loader_write_bios(
		fd, SECTOR_BYTES, FIRST_BYTES, BIOS_BYTES, boot, core, core_len, e);
}

static int make_file(struct stick *s, struct err *e)
{
	autofree char *tmp = xasprintf("%s.new", s->spec->target);
	autofd int fd = media_open_new(tmp, e);

	if (fd < 0)
		return fd;
	free(s->path);
	s->path = xstrdup(tmp);
	s->tmp = take_ptr(tmp);
	return ftruncate(fd, (off_t)s->size_bytes) < 0 ? err_errno(e, "'%s'", s->path) : 0;
}

static int write_new(struct stick *s, struct err *e)
{
	autofree char *grub = xasprintf("%s/grub", s->m->tree);
	int r = s->is_new_file ? make_file(s, e) : clear_ends(s, e);

	if (r == 0)
		r = write_table(s, e);
	if (r == 0)
		r = write_esp(s, e);
	if (r < 0)
		return r;
	const struct fat fat = usb_data(s);
	r = fat_format(&fat, s->label, s->data.size_bytes, e);
	if (r == 0)
		r = file_make_folder(grub, 0755, e);
	if (r == 0)
		r = fat_put_tree(&fat, s->m->tree, e);
	if (r == 0)
		r = put_text(s, grub_cfg, GRUB_CFG, e);
	if (r == 0)
		r = write_bios(s, e);
	return r;
}

static int add_image(const struct stick *s, struct err *e)
{
	const struct fat fat = usb_data(s);
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->cut.count; i++) {
		autofree char *folder = xasprintf("images/%s", s->cut.items[i]);

		r = fat_remove(&fat, folder, e);
	}
	return r == 0 ? fat_put_tree(&fat, s->m->tree, e) : r;
}

int usb_write(struct stick *s, struct err *e)
{
	int r = s->is_ours ? add_image(s, e) : write_new(s, e);

	if (r == 0)
		r = switch_menu(s, e);
	if (r == 0 && s->tmp) {
		if (rename(s->tmp, s->spec->target) < 0)
			return err_errno(e, "'%s'", s->spec->target);
		free(take_ptr(s->tmp));
	}
	return r;
}
