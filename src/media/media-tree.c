/* SPDX-License-Identifier: Apache-2.0 */
#include "media/media-tree.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/compress.h"
#include "image/extract.h"
#include "image/files.h"
#include "image/liveimg.h"
#include "image/sign.h"
#include "ks/ks.h"
#include "media/menu.h"
#include "media/sums.h"

const struct media_sibling media_way_back[MEDIA_WAY_BACK] = {
	{FILES_SUFFIX, "files"},
	{SBOM_SUFFIX, "spdx.json"},
	{UNDO_SUFFIX, "undo"},
};

#define COPY_BYTES  (1 * MIB)
#define EFI_MAX     (16 * MIB)
#define KS_MAX      (64 * MIB)
#define LABEL_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define NAME_CHARS  "abcdefghijklmnopqrstuvwxyz" LABEL_CHARS "."

void media_free(struct media *m)
{
	struct err e = {0};

	if (!m)
		return;
	if (m->folder && file_remove_tree(m->folder, &e) < 0)
		log_warning("%s", e.msg);
	for (size_t i = 0; i < m->count; i++) {
		free(m->files[i].path);
		free(m->files[i].source);
	}
	free(m->files);
	inspect_fini(&m->info);
	image_free(m->img);
	free(m->id);
	free(m->title);
	free(m->params);
	free(m->folder);
	free(m->tree);
	free(m);
}

/* A copy of text with '-' for what is not in chars. */
static char *restrict_chars(const char *text, const char *chars)
{
	char *copy = xstrdup(text);

	for (char *p = copy + strspn(copy, chars); *p; p += strspn(p, chars))
		*p = '-';
	return copy;
}

static void name_medium(struct media *m)
{
	const char *name = m->info.name && *m->info.name ? m->info.name : "image";
	const char *version = m->info.version ? m->info.version : "";
	autofree char *id = xasprintf("%s%s%s", name, *version ? "-" : "", version);
	autofree char *title = xasprintf("%s%s%s", name, *version ? " " : "", version);

	m->id = restrict_chars(id, NAME_CHARS);
	m->title = str_printable(title);
	if (m->id[0] == '.' || m->id[0] == '-')
		m->id[0] = '_';
}

static int open_image(struct media *m, struct err *e)
{
	autofree char *own = NULL;
	int r = image_open(m->spec->image, &m->img, e);

	if (r < 0)
		return r;
	if (image_kind(m->img) == IMAGE_EXT4)
		return err_set(e, EINVAL,
			"'%s' is a bare file system: a medium needs a liveimg (*.squashfs.img)",
			image_path(m->img));
	r = image_inspect(m->img, &m->info, e);
	if (r == 0)
		r = image_kernel_params(m->img, &own, e);
	if (r < 0)
		return err_wrap(e, r, "%s", image_path(m->img));
	name_medium(m);
	m->date = m->info.has_manifest ? m->info.manifest.source_date : m->info.time;
	const char *more = m->spec->append ? m->spec->append : "";
	m->params = xasprintf("%s%s%s", own, *own && *more ? " " : "", more);
	return 0;
}

/* Includes are resolved where the kickstart is read, and there our files are not. */
static int check_includes(const char *path, struct err *e)
{
	autofree char *text = NULL;
	int r = file_read(path, KS_MAX, &text, NULL, e);
	unsigned number = 0;
	char *rest = text;

	if (r < 0)
		return r;
	for (char *line; (line = strsep(&rest, "\n"));) {
		number++;
		if (!str_starts(line, "%include") && !str_starts(line, "%ksappend"))
			continue;
		char *name = line + strcspn(line, " \t");
		name = str_trim(name);
		if (*name && *name != '/' && !strstr(name, "://"))
			return err_set(e, EINVAL,
				"%s:%u: '%s' will not be on the medium: put it into one file", path,
				number, name);
	}
	return 0;
}

static int check_kickstart(const char *path, struct err *e)
{
	const struct ks_options options = {.missing_include_ok = true};
	autoptr(ks_doc) doc = NULL;
	int r = check_includes(path, e);

	if (r == 0)
		r = ks_parse_file(path, &options, &doc, e);
	if (r < 0)
		return r;
	ks_add_support_warnings(doc, KS_FOR_INSTALL);
	for (size_t i = 0; i < ks_problem_count(doc); i++) {
		const struct ks_problem *p = ks_problem_at(doc, i);

		if (!p->is_warning)
			return err_set(e, EINVAL, "%s:%u: %s", p->file, p->line, p->text);
		log_warning("%s:%u: %s", p->file, p->line, p->text);
	}
	return 0;
}

static int make_folder(struct media *m, const char *parent, struct err *e)
{
	int r = file_make_temporary(parent, ".bedplate-media", &m->folder, e);

	if (r < 0)
		return r;
	m->tree = xasprintf("%s/tree", m->folder);
	return file_make_folder(m->tree, 0755, e);
}

int media_open(const struct media_spec *spec, const char *parent, struct progress *p,
	struct media **out, struct err *e)
{
	autoptr(media) m = xcalloc(1, sizeof(*m));
	int r;

	m->spec = spec;
	m->progress = p;
	r = spec->kickstart ? check_kickstart(spec->kickstart, e) : 0;
	if (r == 0)
		r = open_image(m, e);
	if (r == 0)
		r = make_folder(m, parent, e);
	if (r < 0)
		return r;
	*out = take_ptr(m);
	return 0;
}

/* Where path stands in our folder; its folders are made. */
static int place(const struct media *m, const char *path, char **out, struct err *e)
{
	autofree char *full = xasprintf("%s/%s", m->tree, path);
	char *slash = strrchr(full, '/');
	int r;

	*slash = '\0';
	r = file_make_folder(full, 0755, e);
	*slash = '/';
	if (r == 0)
		*out = take_ptr(full);
	return r;
}

static int create(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

static struct media_file *add_file(struct media *m, const char *path, const char *source)
{
	if (m->count == m->room) {
		m->room = MAX(32, 2 * m->room);
		m->files = xrealloc(m->files, m->room * sizeof(*m->files));
	}
	struct media_file *f = &m->files[m->count++];
	*f = (struct media_file){.path = xstrdup(path), .source = xstrdup(source)};
	return f;
}

int media_add_written(struct media *m, const char *path, struct err *e)
{
	autofree char *full = xasprintf("%s/%s", m->tree, path);
	struct media_file *f = add_file(m, path, full);
	autoptr(source) s = NULL;
	int r = source_open_path(full, &s, e);

	if (r < 0)
		return r;
	f->size_bytes = s->size_bytes;
	return sha256_source(s, f->sha256, e);
}

int media_add_text(struct media *m, const char *path, const char *text, struct err *e)
{
	autofree char *full = NULL;
	int r = place(m, path, &full, e);

	if (r < 0)
		return r;
	autofd int fd = create(full, e);
	if (fd < 0)
		return fd;
	r = io_write(fd, text, strlen(text), e);
	return r < 0 ? r : media_add_written(m, path, e);
}

/* en's bytes into the medium's file path, compressed when it is the initramfs. */
static int write_entry(struct media *m, const char *path, const struct tree_entry *en,
	bool is_initramfs, struct err *e)
{
	autoptr(source) s = NULL;
	autofree char *full = NULL;
	int r = place(m, path, &full, e);

	if (r == 0)
		r = tree_open(image_tree(m->img), en, &s, e);
	if (r < 0)
		return r;
	autofd int fd = create(full, e);
	if (fd < 0)
		return fd;
	r = is_initramfs ? initramfs_compress(s, INITRAMFS_SMALL, fd, m->progress, e)
			 : extract_source(s, fd, NULL, e);
	return r < 0 ? err_wrap(e, r, "'/%s'", en->path) : media_add_written(m, path, e);
}

static int lacks(const struct media *m, const char *path, const char *package, struct err *e)
{
	return err_set(e, ENOENT, "'%s' lacks '%s': the package '%s' is not in the image",
		image_path(m->img), path, package);
}

int media_add_from_image(struct media *m, const char *path, const char *image_path_in,
	const char *package, struct err *e)
{
	const struct tree_entry *en = image_resolve(image_tree(m->img), image_path_in);

	if (!en || !S_ISREG(en->mode))
		return err_set(e, ENOENT, "'%s' lacks '%s': the package '%s' is not in the image",
			image_path(m->img), image_path_in, package);
	return write_entry(m, path, en, false, e);
}

int media_read(struct media *m, const char *path, const char *package, size_t max_bytes, char **out,
	size_t *len, struct err *e)
{
	int r = image_read(image_tree(m->img), path, max_bytes, out, len, e);

	return r == -ENOENT ? lacks(m, path, package, e) : r;
}

int media_add_kernel(struct media *m, const char *folder, struct err *e)
{
	autofree char *vmlinuz = xasprintf("%s/vmlinuz", folder);
	autofree char *initrd = xasprintf("%s/initrd.img", folder);
	const struct tree_entry *kernel = NULL, *initramfs = NULL;
	autofree char *release = NULL;
	int r = image_boot_entries(image_tree(m->img), &kernel, &initramfs, &release, e);

	if (r == 0 && !initramfs)
		r = err_set(e, ENOENT,
			"no initramfs for kernel '%s': the package 'dracut' is not in the image",
			release);
	if (r < 0)
		return err_wrap(e, r, "'%s'", image_path(m->img));
	r = write_entry(m, vmlinuz, kernel, false, e);
	return r < 0 ? r : write_entry(m, initrd, initramfs, true, e);
}

static int add_liveimg(struct media *m, const char *path, struct err *e)
{
	const struct manifest_file *want = &m->info.manifest.liveimg;
	struct source *s = image_file(m->img);
	autofree char *full = NULL;
	autofree char *real = realpath(image_path(m->img), NULL);
	int r = place(m, path, &full, e);

	if (r < 0)
		return r;
	if (!real || symlink(real, full) < 0)
		return err_errno(e, "'%s'", image_path(m->img));
	struct media_file *f = add_file(m, path, real);
	f->size_bytes = s->size_bytes;
	progress_begin(m->progress, "image", s->size_bytes, "bytes");
	r = sha256_source_progress(s, m->progress, f->sha256, e);
	progress_end(m->progress);
	if (r < 0)
		return err_wrap(e, r, "'%s'", image_path(m->img));
	if (m->info.has_manifest &&
		(want->size_bytes != f->size_bytes ||
			memcmp(want->sha256, f->sha256, SHA256_BYTES) != 0))
		return err_set(e, EBADMSG,
			"'%s' is not the image that its manifest describes: it is damaged or was "
			"changed",
			image_path(m->img));
	return 0;
}

static int add_sibling(
	struct media *m, const char *suffix, const char *path, uint64_t max, struct err *e)
{
	autofree char *from = image_sibling(m->img, suffix);
	autofree char *full = NULL;
	autoptr(source) s = NULL;
	int r = source_open_path(from, &s, e);

	if (r == 0 && s->size_bytes > max)
		r = err_set(e, EFBIG, "'%s' is too large", from);
	if (r == 0)
		r = place(m, path, &full, e);
	if (r < 0)
		return r;
	autofd int fd = create(full, e);
	if (fd < 0)
		return fd;
	r = extract_source(s, fd, NULL, e);
	return r < 0 ? r : media_add_written(m, path, e);
}

/* Of an image that was made from another one: what "bedplate plugin remove" wants to have. */
static int add_way_back(struct media *m, const char *folder, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(media_way_back); i++) {
		autofree char *path = xasprintf("%s/%s", folder, media_way_back[i].file);

		r = add_sibling(m, media_way_back[i].suffix, path, UINT64_MAX, e);
	}
	return r;
}

int media_add_image(struct media *m, const char *folder, struct err *e)
{
	autofree char *img = xasprintf("%s/squashfs.img", folder);
	autofree char *manifest = xasprintf("%s/manifest.json", folder);
	autofree char *sig = xasprintf("%s/manifest.json" SIGN_SUFFIX, folder);
	int r = add_liveimg(m, img, e);

	if (r == 0 && m->info.has_manifest)
		r = add_sibling(m, MANIFEST_SUFFIX, manifest, MANIFEST_MAX_BYTES, e);
	if (r == 0 && m->info.has_signature)
		r = add_sibling(m, MANIFEST_SUFFIX SIGN_SUFFIX, sig, MANIFEST_MAX_BYTES, e);
	return r == 0 && m->info.has_manifest && m->info.manifest.undo.file
		? add_way_back(m, folder, e)
		: r;
}

int media_add_kickstart(struct media *m, const char *path, struct err *e)
{
	autofree char *text = NULL;
	int r = m->spec->kickstart ? file_read(m->spec->kickstart, KS_MAX, &text, NULL, e) : 0;

	return r < 0 || !text ? r : media_add_text(m, path, text, e);
}

struct efi_file {
	const char *from, *to, *package;
};

#define EFI_FILES 3

static void list_efi(const char *grub, struct efi_file out[EFI_FILES])
{
	out[0] = (struct efi_file){
		"/usr/lib/shim/shimx64.efi.signed", "BOOTX64.EFI", "shim-signed"};
	out[1] = (struct efi_file){
		"/usr/lib/shim/mmx64.efi.signed", "mmx64.efi", "shim-helpers-amd64-signed"};
	out[2] = (struct efi_file){grub, "grubx64.efi", "grub-efi-amd64-signed"};
}

int media_add_efi(struct media *m, const char *folder, const char *grub, struct err *e)
{
	struct efi_file files[EFI_FILES];
	int r = 0;

	list_efi(grub, files);
	for (size_t i = 0; r == 0 && i < EFI_FILES; i++) {
		autofree char *path = xasprintf("%s%s%s", folder, *folder ? "/" : "", files[i].to);

		r = media_add_from_image(m, path, files[i].from, files[i].package, e);
	}
	return r;
}

int media_write_efi(struct media *m, const char *folder, struct err *e)
{
	autofree char *boot = xasprintf("%s/EFI/BOOT", folder);
	struct efi_file files[EFI_FILES];
	int r = file_make_folder(boot, 0755, e);

	list_efi(GRUB_CD, files);
	for (size_t i = 0; r == 0 && i < EFI_FILES; i++) {
		autofree char *path = xasprintf("%s/%s", boot, files[i].to);
		autofree char *data = NULL;
		size_t len = 0;

		r = media_read(m, files[i].from, files[i].package, EFI_MAX, &data, &len, e);
		if (r == 0)
			r = file_replace(path, data, len, 0644, e);
	}
	return r;
}

char *media_sums(const struct media *m)
{
	autosums all = {0};

	for (size_t i = 0; i < m->count; i++)
		sums_add(&all, m->files[i].path, m->files[i].sha256);
	sums_sort(&all);
	return sums_format(&all);
}

const char *media_default_entry(const struct media_spec *spec)
{
	if (spec->default_entry)
		return spec->default_entry;
	return spec->kickstart ? "install" : "live";
}

int media_timeout(const struct media_spec *spec)
{
	return spec->timeout_seconds < 0 ? MENU_TIMEOUT : spec->timeout_seconds;
}

int media_label(const struct media *m, size_t max, char **out, struct err *e)
{
	const char *given = m->spec->label;

	if (given && (!*given || strlen(given) > max || given[strspn(given, LABEL_CHARS)]))
		return err_set(e, EINVAL,
			"bad label '%s': 1 to %zu of A-Z, 0-9, '_' and '-' are possible here",
			given, max);
	autofree char *label = xstrdup(given ? given : m->id);
	for (char *p = label; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	*out = restrict_chars(label, LABEL_CHARS);
	if (strlen(*out) > max)
		(*out)[max] = '\0';
	return 0;
}

int media_open_new(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, EEXIST,
			"'%s' is in the way: remove it if a run that was cut off has left it",
			path);
	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}
