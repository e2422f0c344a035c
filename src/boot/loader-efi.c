/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/entry.h"
#include "boot/loader.h"

#define MARK       "# Bedplate: "
#define OURS       "EFI/bedplate"
#define FALLBACK   "EFI/BOOT"
#define DEBIAN     "EFI/debian"
#define LABEL      "Bedplate"
#define LOADER     "\\EFI\\bedplate\\shimx64.efi"
#define FILE_MAX   (16 * MIB)
#define CONFIG_MAX (64 * KIB)

static const struct loader_file needs[] = {
	{"/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub-efi-amd64-signed"},
	{"/usr/lib/shim/mmx64.efi.signed", "shim-helpers-amd64-signed"},
	{"/usr/lib/shim/shimx64.efi.signed", "shim-signed"},
	{NULL, NULL},
};

/* The same files on the EFI system partition. */
static const struct {
	const char *name, *fallback_name;
} programs[] = {
	{"grubx64.efi", "grubx64.efi"},
	{"mmx64.efi", "mmx64.efi"},
	/* Last: the others are there when the firmware finds it. */
	{"shimx64.efi", "BOOTX64.EFI"},
};

static_assert(ARRAY_LEN(programs) + 1 == ARRAY_LEN(needs), "a name for each file");

const struct loader_file *loader_efi_needs(void)
{
	return needs;
}

static char *config_text(const char *boot_uuid)
{
	return xasprintf(MARK "the menu is on the boot volume.\n"
			      "if search --no-floppy --fs-uuid --set=root %s; then\n"
			      "\tset prefix=($root)/grub\n"
			      "\tconfigfile $prefix/grub.cfg\n"
			      "fi\n"
			      "echo \"There is no boot volume %s on any disk.\"\n"
			      "sleep 30\n"
			      "exit\n",
		boot_uuid, boot_uuid);
}

static int write_file(int esp_fd, const char *folder, const char *name, const char *data,
	size_t len, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s/%s", esp_fd, folder, name);
	int r = file_replace(path, data, len, 0644, e);

	return r < 0 ? err_wrap(e, r, "EFI system partition: '%s/%s'", folder, name) : 0;
}

struct program {
	char *data;
	size_t len;
};

struct programs {
	struct program items[ARRAY_LEN(programs)];
};

static void programs_fini(struct programs *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->items); i++)
		free(p->items[i].data);
}

/* All of them before anything is written. */
static int read_programs(int root_fd, struct programs *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		autofd int fd = file_open_in_root(root_fd, needs[i].path, O_RDONLY, 0, e);

		if (fd == -ENOENT)
			return err_set(e, ENOENT,
				"no boot loader for UEFI: the package '%s' is missing",
				needs[i].package);
		if (fd < 0)
			return fd;
		int r = file_read_fd(fd, FILE_MAX, &out->items[i].data, &out->items[i].len, e);
		if (r < 0)
			return err_wrap(e, r, "'%s'", needs[i].path);
	}
	return 0;
}

/* A configuration of ours, or none, where that name is free. */
static bool is_foreign(int esp_fd, const char *folder, const char *name)
{
	autofree char *config = xasprintf("%s/grub.cfg", folder);
	autofree char *path = xasprintf("%s/%s", folder, name);
	autofree char *text = NULL;
	struct stat st;

	if (fstatat(esp_fd, path, &st, 0) < 0 && errno == ENOENT)
		return false;
	return file_read_in_root(esp_fd, config, CONFIG_MAX, &text, NULL) < 0 ||
		!str_starts(text, MARK);
}

static int write_folder(int esp_fd, const char *folder, const struct programs *p, bool fallback,
	const char *config, struct err *e)
{
	int r = file_make_folder_in_root(esp_fd, folder, e);

	if (r == 0)
		r = write_file(esp_fd, folder, "grub.cfg", config, strlen(config), e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(programs); i++)
		r = write_file(esp_fd, folder,
			fallback ? programs[i].fallback_name : programs[i].name, p->items[i].data,
			p->items[i].len, e);
	return r;
}

/* Where GRUB looks when the firmware does not tell it where it was loaded from. */
static int write_debian_config(int esp_fd, const char *config, struct err *e)
{
	int r;

	if (is_foreign(esp_fd, DEBIAN, "grub.cfg"))
		return 0;
	r = file_make_folder_in_root(esp_fd, DEBIAN, e);
	return r == 0 ? write_file(esp_fd, DEBIAN, "grub.cfg", config, strlen(config), e) : r;
}

int loader_install_efi(int root_fd, int esp_fd, const char *boot_uuid, struct err *e)
{
	autofree char *config = config_text(boot_uuid);
	auto_with(programs_fini) struct programs p = {0};
	int r = read_programs(root_fd, &p, e);

	if (r == 0)
		r = write_folder(esp_fd, OURS, &p, false, config, e);
	if (r == 0)
		r = write_debian_config(esp_fd, config, e);
	if (r == 0 && !is_foreign(esp_fd, FALLBACK, "BOOTX64.EFI"))
		r = write_folder(esp_fd, FALLBACK, &p, true, config, e);
	return r == 0 ? boot_sync(esp_fd, e) : r;
}

/* "Boot0003* Bedplate\tHD(2,GPT,...)/File(\EFI\bedplate\shimx64.efi)": "0003" when it is ours. */
static char *own_number(char *line)
{
	char *number = line + strlen("Boot");
	char *rest = number + 4;

	if (!str_starts(line, "Boot") || strspn(number, "0123456789ABCDEF") < 4)
		return NULL;
	if (*rest == '*' || *rest == ' ')
		rest++;
	if (*rest != ' ' || !str_starts(rest + 1, LABEL) ||
		!strchr(" \t", rest[1 + strlen(LABEL)]) || !strcasestr(rest, LOADER))
		return NULL;
	number[4] = '\0';
	return number;
}

static int remove_entry(const char *number, struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "efibootmgr", "--quiet", "--bootnum", number, "--delete-bootnum", NULL);
	return cmd_run(&c, e);
}

int loader_remove_efi_entry(struct err *e)
{
	autofree char *text = NULL;
	autocmd c = {0};

	cmd_add(&c, "efibootmgr", "--verbose", NULL);
	int r = cmd_output(&c, &text, e);
	if (r < 0)
		return err_wrap(e, r, "boot entries of the firmware");
	char *rest = text;
	for (char *line; r == 0 && (line = str_next_word(&rest, "\n"));) {
		const char *number = own_number(line);

		if (number)
			r = remove_entry(number, e);
	}
	return r < 0 ? err_wrap(e, r, "boot entries of the firmware") : 0;
}

int loader_add_efi_entry(const char *disk_path, unsigned esp_part, bool keep_order, struct err *e)
{
	autocmd c = {0};
	int r = loader_remove_efi_entry(e);

	if (r < 0)
		return r;
	cmd_add(&c, "efibootmgr", "--quiet", keep_order ? "--create-only" : "--create", "--label",
		LABEL, "--loader", LOADER, "--disk", disk_path, "--part", NULL);
	cmd_addf(&c, "%u", esp_part);
	r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "boot entry of the firmware") : 0;
}
