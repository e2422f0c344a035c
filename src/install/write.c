/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an install that writes, step by step. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/entry-manifest.h"
#include "boot/entry.h"
#include "boot/grubenv.h"
#include "boot/loader.h"
#include "boot/records.h"
#include "image/entry-files.h"
#include "image/image.h"
#include "install/loader-check.h"
#include "install/run.h"
#include "liveimg/base-write.h"
#include "liveimg/booted.h"

#define CONF_MAX_BYTES (64 * KIB)

static int write_base(struct install *in, struct err *e)
{
	autofree char *path = xasprintf("/dev/%s/%s", in->layout.vg, in->base);
	autofd int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	int r = base_write(in->image.img, &in->image.manifest, fd, in->p, e);
	return r < 0 ? err_wrap(e, r, "base '%s'", in->base) : 0;
}

static int make_base(struct install *in, struct err *e)
{
	const struct base_verity v = base_verity_of(&in->image.manifest);
	int r = write_base(in, e);

	return r == 0 ? base_protect(in->layout.vg, in->base, &v, e) : r;
}

static int open_target(struct install *in, struct err *e)
{
	const struct target_spec spec = {
		.layout = &in->layout,
		.layer = in->layer,
		.verity = base_verity_of(&in->image.manifest),
		.root_hash = in->image.manifest.verity.root_hash,
		.data_bytes = in->image.manifest.verity.data_bytes,
		.dir = INSTALL_TARGET,
	};

	return target_open(&spec, &in->target, e);
}

static int configure(struct install *in, struct err *e)
{
	int r = node_run_pre_install(&in->config, in->target, e);

	return r < 0 ? r : node_configure(in->target, &in->config, in->p, e);
}

/* A value of the image's boot.conf; the caller frees it.  "" when there is none. */
static int boot_conf(struct install *in, const char *key, char **value, struct err *e)
{
	autofree char *text = NULL;
	int r = image_read(
		image_tree(in->image.img), BOOT_CONF_PATH, CONF_MAX_BYTES, &text, NULL, e);
	char *rest = text;

	if (r < 0 && r != -ENOENT)
		return r;
	*value = NULL;
	for (char *line; rest && (line = str_next_word(&rest, "\n"));) {
		if (!str_starts(line, key) || line[strlen(key)] != '=')
			continue;
		free(*value);
		*value = xstrdup(str_trim(line + strlen(key) + 1));
	}
	if (!*value)
		*value = xstrdup("");
	return 0;
}

/* What an earlier node left on a /boot that is kept: neither its layers nor what became of them. */
static int remove_old_node(const struct install *in, struct err *e)
{
	int boot_fd = target_boot_fd(in->target);
	autobootentries old = {0};
	int r = boot_entries_read(boot_fd, &old, e);

	for (size_t i = 0; r == 0 && i < old.count; i++)
		r = boot_entry_remove(boot_fd, old.items[i].layer, e);
	return r == 0 ? records_clear(boot_fd, e) : r;
}

static int write_manifest(const struct install *in, struct err *e)
{
	const struct boot_manifest m = {
		.text = in->image.manifest_text,
		.len = in->image.manifest_len,
		.sig = in->image.sig,
		.sig_len = in->image.sig_len,
	};

	return boot_manifest_write(target_boot_fd(in->target), in->layer, &m, e);
}

static int write_entry(struct install *in, const char *cmd_line, struct err *e)
{
	static const char *const names[] = {"default", "trial", "tries", NULL};
	const char *const values[] = {in->layer, NULL, NULL};
	const struct manifest *m = &in->image.manifest;
	autobootentry entry = {
		.layer = xstrdup(in->layer),
		.title = xasprintf("%s %s", m->name, m->version),
		.cmd_line = xstrdup(cmd_line),
	};
	int boot_fd = target_boot_fd(in->target);
	int r = remove_old_node(in, e);

	/* The image's own /boot: in the new root the node's is mounted over it. */
	if (r == 0)
		r = entry_files_write(
			image_tree(in->image.img), target_base_fd(in->target), boot_fd, &entry, e);
	if (r == 0)
		r = write_manifest(in, e);
	if (r == 0)
		r = grubenv_set(boot_fd, names, values, e);
	return r;
}

/* "console=ttyS0,115200n8" on the node's command line: the menu goes there, too. */
static void find_serial(const char *cmd_line, struct loader_settings *s)
{
	autostrv words = {0};

	cmd_line_split(cmd_line, &words);
	for (size_t i = 0; i < words.count; i++) {
		const char *word = words.items[i];

		if (!str_starts(word, "console=ttyS0"))
			continue;
		const char *comma = strchr(word, ',');
		unsigned long baud = comma ? strtoul(comma + 1, NULL, 10) : 0;

		s->serial = true;
		s->serial_baud = baud <= 4000000 ? (unsigned)baud : 0;
	}
}

static int menu_timeout(struct install *in, const struct ks_cmd *c, int *seconds, struct err *e)
{
	autofree char *text = NULL;
	int64_t given = -1;

	if (!c || !ks_int(c, "timeout", &given)) {
		int r = boot_conf(in, "timeout", &text, e);

		if (r < 0)
			return r;
		given = text[0] ? strtoll(text, NULL, 10) : -1;
	}
	*seconds = (int)MAX(-1, MIN(given, 3600));
	return 0;
}

static int install_bios(struct install *in, struct err *e)
{
	const struct layout *l = &in->layout;
	const struct layout_disk *disk = &l->disks[l->boot_drive];
	const struct layout_part *bios = loader_part(l, LAYOUT_BIOS);
	const struct layout_part *boot = loader_part(l, LAYOUT_BOOT);
	struct err own = {0};

	if (!bios || !boot) {
		int r = err_set(&own, ENOENT, "'%s' has no %s", disk->path,
			bios ? "/boot" : "BIOS boot partition");
		r = loader_judge(r, !in->inv.uefi, "BIOS", &own);
		return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
	}
	autofd int fd = open(disk->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "'%s'", disk->path);
	int r = loader_install_bios(target_path(in->target), fd, disk->sector_bytes,
		bios->start_bytes, bios->size_bytes, boot->number, in->log_fd, &own);
	r = loader_judge(r, !in->inv.uefi, "BIOS", &own);
	if (r < 0)
		return err_set(e, -r, "%s", own.msg);
	return fsync(fd) < 0 ? err_errno(e, "'%s'", disk->path) : 0;
}

static int install_efi(struct install *in, const struct ks_cmd *c, struct err *e)
{
	const struct layout *l = &in->layout;
	const struct layout_part *esp = loader_esp(l);
	struct err own = {0};
	int r;

	if (!esp || target_esp_fd(in->target) < 0)
		r = err_set(&own, ENOENT, "there is no EFI system partition");
	else
		r = loader_install_efi(target_root_fd(in->target), target_esp_fd(in->target),
			target_boot_uuid(in->target), &own);
	bool there = r == 0;
	r = loader_judge(r, in->inv.uefi, "UEFI", &own);
	if (r < 0)
		return err_set(e, -r, "%s", own.msg);
	if (!there || !in->inv.uefi)
		return 0;
	/* Firmware that takes no entry still finds EFI/BOOT. */
	if (loader_add_efi_entry(l->disks[esp->disk].path, esp->number,
		    c && ks_flag(c, "leavebootorder"), &own) < 0)
		log_warning("no boot entry in the firmware: %s", own.msg);
	return 0;
}

static int install_loader(struct install *in, const char *cmd_line, struct err *e)
{
	const struct ks_cmd *c = ks_next(in->ks.doc, "bootloader", NULL);
	autofree char *password = NULL;
	struct loader_settings s = {.boot_uuid = target_boot_uuid(in->target)};
	int r = loader_menu_password(c, &password, e);

	if (r == 0)
		r = menu_timeout(in, c, &s.timeout_seconds, e);
	if (r < 0)
		return r;
	s.password_hash = password;
	find_serial(cmd_line, &s);
	r = loader_write_config(target_root_fd(in->target), target_boot_fd(in->target), &s, e);
	if (r < 0)
		return r;
	if (!loader_is_wanted(c))
		return 0;
	if (!c || !ks_flag(c, "nombr"))
		r = install_bios(in, e);
	return r < 0 ? r : install_efi(in, c, e);
}

/* The entry, without which nothing boots, comes after the base is proved. */
static int make_bootable(struct install *in, struct err *e)
{
	autofree char *append = NULL;
	int r = boot_conf(in, "append", &append, e);

	if (r < 0)
		return r;
	autofree char *cmd_line = node_cmd_line(&in->config, append, in->cmd_line);
	progress_begin(in->p, "boot loader", 0, "steps");
	r = install_loader(in, cmd_line, e);
	progress_end(in->p);
	if (r == 0)
		r = target_prove(in->target, in->p, e);
	if (r < 0)
		return r;
	progress_begin(in->p, "boot entry", 0, "steps");
	r = write_entry(in, cmd_line, e);
	progress_end(in->p);
	return r == 0 ? boot_sync(target_boot_fd(in->target), e) : r;
}

static int finish(struct install *in, struct err *e)
{
	int r = node_run_post(&in->config, in->target, e);

	if (r == 0)
		r = interrupt_check(e);
	if (r == 0)
		r = node_write_record(in->target, &in->config, in->spec->log_path, e);
	if (r == 0)
		r = target_close(in->target, e);
	sync();
	return r;
}

static int make_layout(struct install *in, struct err *e)
{
	return layout_apply(&in->layout, in->layer, in->p, e);
}

int install_write(struct install *in, struct err *e)
{
	static int (*const steps[])(struct install * in, struct err * e) = {
		make_layout,
		make_base,
		open_target,
		configure,
		make_bootable,
		finish,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++) {
		r = interrupt_check(e);
		if (r == 0)
			r = steps[i](in, e);
	}
	return r < 0 && in->target ? target_explain(in->target, r, e) : r;
}
