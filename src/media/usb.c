/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sticks: several images side by side, BIOS and UEFI.
 *
 *   1  BIOS boot   GRUB's core image, which knows (,gpt3)/grub
 *   2  EFI system  shim and GRUB, and a grub.cfg that finds the third by its label
 *   3  data        FAT32: grub/, images/FOLDER/, SHA256SUMS
 *
 * An image is added whole before the menu knows it.  grub/grub.cfg stays as it is and reads
 * grub/menu.cfg, or grub/menu.new while there is none: so the menu is written as menu.new, menu.cfg
 * goes, menu.new takes its name, and there is a whole menu at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/sign.h"
#include "media/menu.h"
#include "media/usb-internal.h"
#include "sys/partition.h"

#define LABEL_DEFAULT "BEDPLATE"
#define LABEL_MAX     11
#define DATA_MIN      (64 * MIB)
#define DATA_MAX      (2048 * GIB - MIB)
#define ROOM_BYTES    (32 * MIB) /* what a FAT32 needs besides its files */
#define FILE_MAX      (4 * GIB)
#define TRIES_MAX     100
#define STICK_DRIVER  "/usb-storage.ko"
#define LIST_MAX      (8 * MIB)

static void stick_fini(struct stick *s)
{
	if (s->tmp)
		unlink(s->tmp);
	free(s->tmp);
	free(s->path);
	free(s->label);
	free(s->folder);
	strv_fini(&s->old);
	strv_fini(&s->drop);
	strv_fini(&s->cut);
	strv_fini(&s->foreign);
	sums_fini(&s->sums);
}

struct fat usb_data(const struct stick *s)
{
	return (struct fat){
		.path = s->path, .offset_bytes = s->data.start_bytes, .date = s->m->date};
}

static void plan(const struct stick *s, const char *fmt, ...) PRINTF(2, 3);
static void plan(const struct stick *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *line = xvasprintf(fmt, ap);
	va_end(ap);
	if (s->spec->plan)
		s->spec->plan(s->spec->ctx, line);
}

/* sysfs says of a disk that its medium can be removed, or that it hangs on a USB. */
static bool is_removable(dev_t device)
{
	autofree char *link = xasprintf("/sys/dev/block/%u:%u", major(device), minor(device));
	autofree char *flag = xasprintf("%s/removable", link);
	autofree char *real = realpath(link, NULL);
	autofree char *text = NULL;

	if (real && strstr(real, "/usb"))
		return true;
	return file_read(flag, 16, &text, NULL, NULL) == 0 && text[0] == '1';
}

static int check_device(struct stick *s, const struct stat *st, struct err *e)
{
	const char *path = s->spec->target;
	autofree char *part = xasprintf(
		"/sys/dev/block/%u:%u/partition", major(st->st_rdev), minor(st->st_rdev));
	int sector = 0;

	if (file_exists(part))
		return err_set(e, EINVAL, "'%s' is a partition: name the whole disk", path);
	autofd int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return err_set(e, EBUSY, "'%s' or a part of it is mounted or in use", path);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	if (ioctl(fd, BLKGETSIZE64, &s->size_bytes) < 0 || ioctl(fd, BLKSSZGET, &sector) < 0)
		return err_errno(e, "'%s'", path);
	if (sector != SECTOR_BYTES)
		return err_set(e, EOPNOTSUPP,
			"'%s' has sectors of %d bytes: GRUB for BIOS needs %u", path, sector,
			SECTOR_BYTES);
	if (!s->spec->force && !is_removable(st->st_rdev))
		return err_set(
			e, EPERM, "'%s' is not a removable disk: --force if it is meant", path);
	s->is_device = true;
	return 0;
}

/* What can be known before minutes are spent, and by a dry run. */
static int check_new_file(const char *path, struct err *e)
{
	autofree char *folder = file_parent(path);

	if (!*path)
		return err_set(e, EINVAL, "the name of the disk or file to write is empty");
	return access(folder, W_OK | X_OK) < 0 ? err_errno(e, "'%s'", path) : 0;
}

static int check_target(struct stick *s, struct err *e)
{
	const char *path = s->spec->target;
	struct stat st, image;

	s->path = xstrdup(path);
	if (stat(path, &st) < 0) {
		s->is_new_file = errno == ENOENT;
		return s->is_new_file ? check_new_file(path, e) : err_errno(e, "'%s'", path);
	}
	if (S_ISBLK(st.st_mode))
		return check_device(s, &st, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is neither a disk nor a file", path);
	if (stat(image_path(s->m->img), &image) == 0 && image.st_dev == st.st_dev &&
		image.st_ino == st.st_ino)
		return err_set(e, EINVAL, "'%s' is the image itself", path);
	s->size_bytes = (uint64_t)st.st_size;
	return 0;
}

/* The menu that grub.cfg reads; NULL: there is none. */
static int read_menu(const struct fat *fat, char **out, struct err *e)
{
	static const char *const paths[] = {MENU_CFG, MENU_NEW};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (fat_exists(fat, paths[i]))
			return fat_read(fat, paths[i], out, e);
	return 0;
}

/* What was added whole is in SHA256SUMS, or in the menu at least. */
static bool is_whole(const struct stick *s, const char *menu, const char *folder)
{
	autofree char *prefix = xasprintf("images/%s/", folder);
	autofree char *entries = xasprintf("/%smenu.cfg", prefix);

	for (size_t i = 0; i < s->sums.count; i++)
		if (str_starts(s->sums.items[i].path, prefix))
			return true;
	return !menu || strstr(menu, entries);
}

/* Whether all that is in a folder, which nothing knows, is what an update writes there. */
static int is_cut_off(const struct fat *fat, const char *folder, struct err *e)
{
	static const char *const written[] = {"vmlinuz", "initrd.img", "menu.cfg", "squashfs.img",
		"manifest.json", ("manifest.json" SIGN_SUFFIX), MEDIA_KS};
	autofree char *path = xasprintf("images/%s", folder);
	autostrv names = {0};
	size_t known = 0;

	/* We do not make such a name, and mtools would take it for a pattern. */
	if (strpbrk(folder, "[]"))
		return 0;
	int r = fat_list(fat, path, &names, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		for (size_t j = 0; j < ARRAY_LEN(written); j++)
			known += str_eq(names.items[i], written[j]);
		for (size_t j = 0; j < ARRAY_LEN(media_way_back); j++)
			known += str_eq(names.items[i], media_way_back[j].file);
	}
	return known == names.count;
}

static int sort_folder(
	struct stick *s, const struct fat *fat, const char *menu, const char *folder, struct err *e)
{
	if (is_whole(s, menu, folder)) {
		strv_add(&s->old, folder);
		return 0;
	}
	int r = is_cut_off(fat, folder, e);
	if (r >= 0)
		strv_add(r > 0 ? &s->cut : &s->foreign, folder);
	return r < 0 ? r : 0;
}

static int find_images(struct stick *s, const struct fat *fat, struct err *e)
{
	autofree char *menu = NULL;
	autostrv names = {0};
	int r = read_menu(fat, &menu, e);

	if (r == 0)
		r = fat_list(fat, "images", &names, e);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		size_t len = strlen(names.items[i]);

		if (names.items[i][len - 1] != '/')
			continue;
		names.items[i][len - 1] = '\0';
		r = sort_folder(s, fat, menu, names.items[i], e);
	}
	return r;
}

/* Whether what is there is a stick of ours, and what is on it. */
static int look_at_data(struct stick *s, struct err *e)
{
	autofree char *label = NULL;
	autofree char *text = NULL;
	autosums all = {0};
	int r = gpt_find(s->path, PARTITION_TYPE_BASIC_DATA, PARTITION_LABEL_STICK, &s->data, e);

	if (r < 0 || s->data.size_bytes == 0)
		return r;
	const struct fat fat = usb_data(s);
	if (fat_label(&fat, &label, NULL) < 0 || !*label || !fat_exists(&fat, GRUB_CFG))
		return 0;
	if (s->spec->media.label && !str_eq(s->spec->media.label, label))
		return err_set(
			e, EINVAL, "'%s' is a stick with the label '%s' already", s->path, label);
	r = fat_read(&fat, MEDIA_SUMS, &text, e);
	if (r == 0)
		r = sums_parse(text, strlen(text), &all, e);
	if (r < 0)
		return err_wrap(e, r, "'%s': " MEDIA_SUMS, s->path);
	for (size_t i = 0; i < all.count; i++)
		if (str_starts(all.items[i].path, "images/"))
			sums_add(&s->sums, all.items[i].path, all.items[i].sha256);
	s->label = take_ptr(label);
	s->is_ours = true;
	return find_images(s, &fat, e);
}

/* "NAME-VERSION" or, of the same image once more, "NAME-VERSION.2". */
static bool is_same_image(const char *folder, const char *id)
{
	size_t len = strlen(id);

	if (!str_starts(folder, id))
		return false;
	const char *rest = folder + len;
	return !*rest ||
		(*rest == '.' && rest[1] && rest[1 + strspn(rest + 1, "0123456789")] == '\0');
}

/* FAT does not tell names apart by their case. */
static bool has_foreign(const struct stick *s, const char *name)
{
	for (size_t i = 0; i < s->foreign.count; i++)
		if (strcasecmp(s->foreign.items[i], name) == 0)
			return true;
	return false;
}

static int choose_folder(struct stick *s, struct err *e)
{
	autofree char *name = xstrdup(s->m->id);
	autostrv stay = {0};

	for (unsigned n = 2; strv_has(&s->old, name); n++) {
		if (n > TRIES_MAX)
			return err_set(
				e, EEXIST, "'%s' has too many images '%s'", s->path, s->m->id);
		free(name);
		name = xasprintf("%s.%u", s->m->id, n);
	}
	if (has_foreign(s, name))
		return err_set(e, EEXIST,
			"'images/%s' on '%s' has files that are not of an image: rename or remove it",
			name, s->path);
	s->folder = xasprintf("images/%s", name);
	for (size_t i = 0; i < s->old.count; i++)
		strv_add(is_same_image(s->old.items[i], s->m->id) ? &s->drop : &stay,
			s->old.items[i]);
	strv_fini(&s->old);
	strv_sort(&stay);
	for (size_t i = stay.count; i > 0; i--)
		strv_add(&s->old, stay.items[i - 1]);
	return 0;
}

static uint64_t needed_bytes(const struct stick *s)
{
	uint64_t sum = ROOM_BYTES;

	for (size_t i = 0; i < s->m->count; i++)
		sum += s->m->files[i].size_bytes;
	return sum;
}

static int check_size(struct stick *s, struct err *e)
{
	uint64_t need = needed_bytes(s), have = 0;
	int r = 0;

	if (s->is_ours) {
		const struct fat fat = usb_data(s);

		r = fat_free_bytes(&fat, &have, e);
		for (size_t i = 0; r == 0 && i < s->cut.count; i++) {
			autofree char *folder = xasprintf("images/%s", s->cut.items[i]);
			uint64_t size = 0;

			r = fat_folder_bytes(&fat, folder, &size, e);
			have += size;
		}
	} else {
		uint64_t other = 2 * FIRST_BYTES + BIOS_BYTES + ESP_BYTES;

		need = MAX(need, DATA_MIN);
		if (s->is_new_file)
			s->size_bytes = s->spec->size_bytes ? s->spec->size_bytes
							    : (need + other + MIB - 1) / MIB * MIB;
		s->data.start_bytes = FIRST_BYTES + BIOS_BYTES + ESP_BYTES;
		have = s->size_bytes > other ? (s->size_bytes - other) / MIB * MIB : 0;
		/* FAT32 counts sectors in 32 bits. */
		s->data.size_bytes = MIN(have, DATA_MAX);
	}
	if (r < 0 || need <= have)
		return r;
	autofree char *need_text = str_bytes(need), *have_text = str_bytes(have);
	return err_set(e, ENOSPC, "'%s' is too small: %s are needed, %s are free", s->path,
		need_text, have_text);
}

static int add_image_menu(struct stick *s, struct err *e)
{
	struct media *m = s->m;
	autofree char *kernel = xasprintf("/%s/vmlinuz", s->folder);
	autofree char *initramfs = xasprintf("/%s/initrd.img", s->folder);
	autofree char *root = xasprintf(
		"root=live:LABEL=%s rd.live.dir=%s " LIVE_PARAMS, s->label, s->folder);
	autofree char *ks = xasprintf("inst.ks=hd:LABEL=%s:/%s/" MEDIA_KS, s->label, s->folder);
	const struct menu_image image = {
		.kernel = kernel,
		.initramfs = initramfs,
		.root = root,
		.params = m->params,
		.kickstart = m->spec->kickstart ? ks : NULL,
		.check = true,
	};
	autofree char *text = menu_entries(&image);
	autofree char *path = xasprintf("%s/menu.cfg", s->folder);

	return media_add_text(m, path, text, e);
}

static int stage(struct stick *s, struct err *e)
{
	struct media *m = s->m;
	autofree char *ks = xasprintf("%s/" MEDIA_KS, s->folder);
	int r = media_add_kickstart(m, ks, e);

	if (r == 0)
		r = add_image_menu(s, e);
	if (r == 0)
		r = media_add_kernel(m, s->folder, e);
	if (r == 0)
		r = media_add_image(m, s->folder, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m->count; i++)
		if (m->files[i].size_bytes >= FILE_MAX)
			return err_set(e, EFBIG,
				"'%s' has 4 GiB or more, which FAT32 cannot hold: use an ISO",
				m->files[i].source);
	return 0;
}

/* false also when the list cannot be read. */
static bool list_lacks_driver(const struct stick *s, const char *release, const char *list)
{
	autofree char *path = xasprintf("/usr/lib/modules/%s/%s", release, list);
	autofree char *text = NULL;
	struct err unread = {0};
	int r = image_read(image_tree(s->m->img), path, LIST_MAX, &text, NULL, &unread);

	return r == 0 && !strstr(text, STICK_DRIVER);
}

/* Kernels for virtual machines cannot read a stick, though firmware starts them from one. */
static void warn_of_kernel(const struct stick *s)
{
	if (s->m->info.kernel_count == 0)
		return;
	const char *release = s->m->info.kernels[0].release;
	if (list_lacks_driver(s, release, "modules.dep") &&
		list_lacks_driver(s, release, "modules.builtin"))
		log_warning("kernel %s has no driver for USB storage: it starts from this medium "
			    "only where that is another kind of disk",
			release);
}

static void tell_plan(const struct stick *s)
{
	autofree char *size = str_bytes(s->size_bytes);
	autofree char *need = str_bytes(needed_bytes(s) - ROOM_BYTES);
	autofree char *data = str_bytes(s->data.size_bytes);

	if (s->is_ours)
		plan(s, "'%s' (%s) is a stick of ours, label '%s'", s->spec->target, size,
			s->label);
	else if (s->is_new_file)
		plan(s, "'%s' is made: %s", s->spec->target, size);
	else
		plan(s, "'%s' (%s) is ERASED", s->spec->target, size);
	if (!s->is_ours)
		plan(s, "  partitions: 1 MiB BIOS boot, 64 MiB EFI system, %s data (FAT32, '%s')",
			data, s->label);
	for (size_t i = 0; i < s->cut.count; i++)
		plan(s, "  remove 'images/%s': it is not complete", s->cut.items[i]);
	plan(s, "  add '%s' (%s)%s", s->folder, need,
		s->spec->media.kickstart ? " with a kickstart" : "");
	for (size_t i = 0; i < s->old.count; i++)
		plan(s, "  keep 'images/%s'", s->old.items[i]);
	for (size_t i = 0; i < s->foreign.count; i++)
		plan(s, "  keep 'images/%s': it is not of an image", s->foreign.items[i]);
	for (size_t i = 0; i < s->drop.count; i++)
		plan(s, "  then remove 'images/%s'", s->drop.items[i]);
}

static int prepare(struct stick *s, struct err *e)
{
	int r = check_target(s, e);

	if (r == 0 && !s->is_new_file && s->size_bytes > 0)
		r = look_at_data(s, e);
	if (r < 0)
		return r;
	if (s->spec->size_bytes && !s->is_new_file)
		return err_set(e, EINVAL, "'%s' is there already and keeps its size", s->path);
	if (!s->label && s->spec->media.label)
		r = media_label(s->m, LABEL_MAX, &s->label, e);
	else if (!s->label)
		s->label = xstrdup(LABEL_DEFAULT);
	if (r == 0)
		r = choose_folder(s, e);
	if (r == 0)
		r = stage(s, e);
	return r < 0 ? r : check_size(s, e);
}

int media_write_usb(const struct media_usb_spec *spec, struct progress *p, struct err *e)
{
	auto_with(stick_fini) struct stick s = {.spec = spec};
	autoptr(media) m = NULL;
	int r = media_open(&spec->media, NULL, p, &m, e);

	if (r < 0)
		return r;
	s.m = m;
	r = prepare(&s, e);
	if (r < 0)
		return r;
	tell_plan(&s);
	warn_of_kernel(&s);
	if (spec->dry_run)
		return 0;
	if (!s.is_ours && !s.is_new_file && !spec->yes)
		return err_set(e, EPERM, "all that is on '%s' would be lost: --yes if it is meant",
			spec->target);
	progress_begin(p, "stick", 0, "steps");
	r = usb_write(&s, e);
	progress_end(p);
	return r < 0 ? err_wrap(e, r, "'%s'", spec->target) : 0;
}
