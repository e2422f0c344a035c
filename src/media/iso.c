/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ISO: for optical drives and, as it is, for sticks; BIOS, UEFI, Secure Boot.
 *
 * El Torito has an entry for BIOS (GRUB's eltorito.img) and one for UEFI, which is the EFI system
 * partition that is appended behind the ISO file system.  The partition table has both of them, and
 * boot_hybrid.img in the first sector finds eltorito.img on a stick.
 *
 * xorriso writes its place and checksum into eltorito.img (-boot-info-table, --grub2-boot-info), so
 * the file's line in SHA256SUMS is put right afterwards, in place.  Then the edges get their digest.
 *
 * There is no Joliet tree: its volume label ends after 16 characters, and then neither GRUB nor the
 * kernel would find the medium by a longer one.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "media/edges.h"
#include "media/fat.h"
#include "media/media-tree.h"
#include "media/menu.h"

#define HYBRID_MAX  (64 * KIB)
#define LABEL_MAX   32
#define SECTOR      2048ULL
#define LARGE_FILE  (4 * GIB)
#define ROOM_BYTES  (16 * MIB) /* what an ISO needs besides its files */
#define PXEBOOT     "images/pxeboot"
#define GRUB_FOLDER "/boot/grub"
#define ESP_LABEL   "BEDPLATE"
#define ESP_TYPE    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define DATA_TYPE   "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
#define LIVE_FOLDER "LiveOS"
#define PLACE       "File data lba:"

struct iso {
	struct media *m;
	const char *output;
	char *tmp; /* OUTPUT.new */
	char *label;
	char *hybrid, *esp; /* files beside the tree */
};

static void iso_fini(struct iso *iso)
{
	if (iso->tmp)
		unlink(iso->tmp);
	free(iso->tmp);
	free(iso->label);
	free(iso->hybrid);
	free(iso->esp);
}

static int check_output(const struct media *m, const char *output, struct err *e)
{
	struct stat image, st;

	if (stat(output, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "'%s'", output);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is not a regular file", output);
	if (stat(image_path(m->img), &image) == 0 && image.st_dev == st.st_dev &&
		image.st_ino == st.st_ino)
		return err_set(e, EINVAL, "'%s' is the image itself", output);
	return 0;
}

/* Made before the work begins, so that a folder that cannot be written to is found now. */
static int make_output(struct iso *iso, struct err *e)
{
	autofree char *tmp = xasprintf("%s.new", iso->output);
	autofd int fd = media_open_new(tmp, e);

	if (fd < 0)
		return fd;
	iso->tmp = take_ptr(tmp);
	return 0;
}

static int add_menu(const struct iso *iso, struct err *e)
{
	struct media *m = iso->m;
	autofree char *root = xasprintf("root=live:CDLABEL=%s " LIVE_PARAMS, iso->label);
	autofree char *ks = xasprintf("inst.ks=hd:LABEL=%s:/" MEDIA_KS, iso->label);
	const struct menu_image image = {
		.kernel = "/" PXEBOOT "/vmlinuz",
		.initramfs = "/" PXEBOOT "/initrd.img",
		.root = root,
		.params = m->params,
		.kickstart = m->spec->kickstart ? ks : NULL,
		.check = true,
	};
	autofree char *head = menu_head(
		iso->label, media_default_entry(m->spec), media_timeout(m->spec));
	autofree char *entries = menu_entries(&image);
	autofree char *text = xasprintf("%s%s", head, entries);

	return media_add_text(m, "boot/grub/grub.cfg", text, e);
}

/* What find_runtime of Anaconda, PXE tools and people look for. */
static int add_descriptions(struct media *m, struct err *e)
{
	const char *arch = m->info.arch && str_eq(m->info.arch, "amd64") ? "x86_64"
		: m->info.arch                                           ? m->info.arch
									 : "noarch";
	const char *version = m->info.version ? m->info.version : "";
	autofree char *disc = xasprintf("%" PRIi64 "\n%s\n%s\n", m->date, m->title, arch);
	autofree char *info = xasprintf("%s %s\n", m->title, arch);
	autofree char *tree = xasprintf("[general]\n"
					"arch = %s\n"
					"family = %s\n"
					"name = %s\n"
					"platforms = %s\n"
					"timestamp = %" PRIi64 "\n"
					"version = %s\n"
					"\n[images-%s]\n"
					"efiboot.img = " EFI_IMG "\n"
					"initrd = " PXEBOOT "/initrd.img\n"
					"kernel = " PXEBOOT "/vmlinuz\n"
					"\n[stage2]\n"
					"mainimage = " LIVE_FOLDER "/squashfs.img\n"
					"\n[tree]\n"
					"arch = %s\n"
					"build_timestamp = %" PRIi64 "\n"
					"platforms = %s\n",
		arch, m->info.name ? m->info.name : "image", m->title, arch, m->date, version, arch,
		arch, m->date, arch);
	int r = media_add_text(m, ".discinfo", disc, e);

	if (r == 0)
		r = media_add_text(m, ".treeinfo", tree, e);
	return r < 0 ? r : media_add_text(m, ".disk/info", info, e);
}

/*
 * GRUB's search of its own, for /.disk/info, might end on another medium: it comes to that only
 * without a /boot/grub beside it.
 */
static int add_esp(struct iso *iso, struct err *e)
{
	struct media *m = iso->m;
	autofree char *esp = xasprintf("%s/esp", m->folder);
	autofree char *image = xasprintf("%s/" EFI_IMG, m->tree);
	autofree char *redirect = menu_redirect(iso->label, GRUB_FOLDER);
	autofree char *grub = xasprintf("%s" GRUB_FOLDER, esp);
	autofree char *cfg = xasprintf("%s/grub.cfg", grub);
	const struct fat fat = {.path = image, .date = m->date};
	int r = file_make_folder(grub, 0755, e);

	if (r == 0)
		r = file_replace(cfg, redirect, strlen(redirect), 0644, e);
	if (r == 0)
		r = media_write_efi(m, esp, e);
	if (r == 0)
		r = fat_make_image(&fat, ESP_LABEL, esp, e);
	if (r == 0)
		r = media_add_written(m, EFI_IMG, e);
	iso->esp = take_ptr(image);
	return r < 0 ? err_wrap(e, r, "the EFI system partition") : 0;
}

/* boot_hybrid.img is for the first sector and does not become a file of the medium. */
static int take_hybrid(struct iso *iso, struct err *e)
{
	struct media *m = iso->m;
	autofree char *data = NULL;
	size_t len = 0;
	int r = media_read(
		m, GRUB_BIOS "boot_hybrid.img", "grub-pc-bin", HYBRID_MAX, &data, &len, e);

	if (r < 0)
		return r;
	iso->hybrid = xasprintf("%s/boot_hybrid.img", m->folder);
	return file_replace(iso->hybrid, data, len, 0644, e);
}

static int fill(struct iso *iso, struct err *e)
{
	struct media *m = iso->m;
	int r = media_add_efi(m, "EFI/BOOT", GRUB_CD, e);

	if (r == 0)
		r = media_add_from_image(
			m, ELTORITO_IMG, GRUB_DIR "eltorito.img", "grub-pc-bin", e);
	if (r == 0)
		r = take_hybrid(iso, e);
	if (r == 0)
		r = add_esp(iso, e);
	if (r == 0)
		r = media_add_kickstart(m, MEDIA_KS, e);
	if (r == 0)
		r = add_menu(iso, e);
	if (r == 0)
		r = add_descriptions(m, e);
	if (r == 0)
		r = media_add_kernel(m, PXEBOOT, e);
	return r < 0 ? r : media_add_image(m, LIVE_FOLDER, e);
}

static uint64_t needed_bytes(const struct media *m)
{
	uint64_t sum = ROOM_BYTES;

	for (size_t i = 0; i < m->count; i++)
		sum += m->files[i].size_bytes;
	return sum;
}

static bool has_large_file(const struct media *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->files[i].size_bytes >= LARGE_FILE)
			return true;
	return false;
}

/* xorriso tells how far it is: "xorriso : UPDATE :  45.21% done". */
static void show_line(void *ctx, const char *line)
{
	struct media *m = ctx;
	const char *update = strstr(line, "UPDATE :");
	struct err ignored = {0};

	if (!update || !m->progress)
		return;
	uintmax_t percent = strtoumax(update + strlen("UPDATE :"), NULL, 10);
	if (percent <= 100 &&
		progress_advance(m->progress, m->progress->total * percent / 100, &ignored) < 0)
		return;
}

static int write_iso(struct iso *iso, struct err *e)
{
	struct media *m = iso->m;
	autocmd c = {.on_line = show_line, .on_line_ctx = m};

	cmd_env(&c, "SOURCE_DATE_EPOCH=%" PRIi64, m->date);
	cmd_env(&c, "TZ=UTC");
	cmd_add(&c, "xorriso", "-as", "mkisofs", "-o", iso->tmp, "-V", iso->label, "-r", "-f",
		NULL);
	cmd_addf(&c, "--set_all_file_dates");
	cmd_addf(&c, "=%" PRIi64, m->date);
	if (has_large_file(m))
		cmd_add(&c, "-iso-level", "3", NULL);
	cmd_add(&c, "--grub2-mbr", iso->hybrid, "-partition_offset", "16", "-appended_part_as_gpt",
		"-append_partition", "2", ESP_TYPE, iso->esp, "-iso_mbr_part_type", DATA_TYPE,
		NULL);
	cmd_add(&c, "-c", "boot.cat", "--boot-catalog-hide", "-b", ELTORITO_IMG, "-no-emul-boot",
		"-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info", NULL);
	cmd_add(&c, "-eltorito-alt-boot", "-e",
		"--interval:appended_partition_2:all::", "-no-emul-boot", m->tree, NULL);
	progress_begin(m->progress, "iso", needed_bytes(m), "bytes");
	int r = cmd_run(&c, e);
	progress_end(m->progress);
	if (r == -ENOENT)
		return err_wrap(e, r, "the package 'xorriso' is missing");
	return r < 0 ? err_wrap(e, r, "'%s'", iso->output) : 0;
}

/* Where xorriso has put the files, in sectors. */
struct layout {
	uint64_t eltorito, sums;
	uint64_t first, end; /* of all files */
};

/* "File data lba:  0 ,  1234 ,  56 ,  113000 , '/SHA256SUMS'": first sector, sectors and bytes. */
static void add_place(const char *line, struct layout *out)
{
	uintmax_t number[4] = {0};
	const char *at = line + strlen(PLACE);

	for (size_t i = 0; i < ARRAY_LEN(number); i++) {
		char *end;

		number[i] = strtoumax(at, &end, 10);
		at = end + strspn(end, " ,");
	}
	if (str_eq(at, "'/" ELTORITO_IMG "'"))
		out->eltorito = number[1];
	if (str_eq(at, "'/" MEDIA_SUMS "'"))
		out->sums = number[1];
	out->first = MIN(out->first, number[1]);
	out->end = MAX(out->end, number[1] + number[2]);
}

static int read_layout(const struct iso *iso, struct layout *out, struct err *e)
{
	autofree char *report = NULL;
	autocmd c = {0};

	cmd_add(&c, "xorriso", "-indev", NULL);
	cmd_addf(&c, "stdio:%s", iso->tmp);
	cmd_add(&c, "-find", "/", "-type", "f", "-exec", "report_lba", "--", NULL);
	int r = cmd_output(&c, &report, e);
	if (r < 0)
		return r;
	*out = (struct layout){.first = UINT64_MAX};
	char *rest = report;
	for (char *line; (line = str_next_word(&rest, "\n"));)
		if (str_starts(line, PLACE))
			add_place(line, out);
	if (out->eltorito == 0 || out->sums == 0)
		return err_set(e, EPROTO, "xorriso does not say where its files are");
	return 0;
}

/* eltorito.img as it has become, into the list of checksums that is on the medium already. */
static int correct_sums(struct iso *iso, const struct layout *at, struct err *e)
{
	struct media_file *eltorito = NULL;
	autofree char *before = media_sums(iso->m), *there = NULL, *data = NULL;
	size_t len = strlen(before);

	for (size_t i = 0; i < iso->m->count; i++)
		if (str_eq(iso->m->files[i].path, ELTORITO_IMG))
			eltorito = &iso->m->files[i];
	autofd int fd = open(iso->tmp, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "'%s'", iso->tmp);
	there = xcalloc(1, len + 1);
	data = xcalloc(1, (size_t)eltorito->size_bytes);
	if (pread(fd, there, len, (off_t)(at->sums * SECTOR)) != (ssize_t)len ||
		memcmp(there, before, len) != 0 ||
		pread(fd, data, (size_t)eltorito->size_bytes, (off_t)(at->eltorito * SECTOR)) !=
			(ssize_t)eltorito->size_bytes)
		return err_set(e, EPROTO, "'%s' is not laid out as xorriso says", iso->tmp);
	sha256_buffer(data, (size_t)eltorito->size_bytes, eltorito->sha256);
	autofree char *after = media_sums(iso->m);
	return io_pwrite(fd, after, len, at->sums * SECTOR, e);
}

static int complete(struct iso *iso, struct err *e)
{
	struct layout at;
	int r = read_layout(iso, &at, e);

	if (r == 0)
		r = correct_sums(iso, &at, e);
	if (r == 0)
		r = edges_seal(iso->tmp, at.first * SECTOR, at.end * SECTOR, e);
	if (r < 0)
		return r;
	if (rename(iso->tmp, iso->output) < 0)
		return err_errno(e, "'%s'", iso->output);
	free(take_ptr(iso->tmp));
	return 0;
}

int media_write_iso(
	const struct media_spec *spec, const char *output, struct progress *p, struct err *e)
{
	auto_with(iso_fini) struct iso iso = {.output = output};
	autoptr(media) m = NULL;
	autofree char *sums = NULL;
	int r = media_open(spec, NULL, p, &m, e);

	if (r < 0)
		return r;
	iso.m = m;
	r = media_label(m, LABEL_MAX, &iso.label, e);
	if (r == 0)
		r = check_output(m, output, e);
	if (r == 0)
		r = make_output(&iso, e);
	if (r == 0)
		r = fill(&iso, e);
	if (r < 0)
		return r;
	sums = media_sums(m);
	autofree char *sums_path = xasprintf("%s/" MEDIA_SUMS, m->tree);
	r = file_replace(sums_path, sums, strlen(sums), 0644, e);
	if (r < 0)
		return r;
	r = write_iso(&iso, e);
	return r < 0 ? r : complete(&iso, e);
}
