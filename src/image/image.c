/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "fmt/ext4.h"
#include "image/extract.h"

#define IMAGE_SUFFIX ".squashfs.img"
#define LINKS_MAX    40 /* as the kernel */
#define CONF_MAX     (64 * KIB)

struct image {
	char *path;
	enum image_kind kind;
	struct source *file;
	struct tree *outer; /* of the squashfs; for a flat image also the root tree */
	struct source *rootfs;
	struct tree *tree; /* of rootfs */
	struct squashfs_info squashfs;
};

void image_free(struct image *img)
{
	if (!img)
		return;

	/* Each reads through the next. */
	tree_free(img->tree);
	if (img->kind == IMAGE_LIVE)
		source_free(img->rootfs);
	tree_free(img->outer);
	source_free(img->file);
	free(img->path);
	free(img);
}

/* The image in the folder of a build. */
static int find_in_folder(const char *folder, char **out, struct err *e)
{
	autostrv names = {0};
	const char *found = NULL;
	int r = file_list(folder, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		if (!str_ends(names.items[i], IMAGE_SUFFIX))
			continue;
		if (found)
			return err_set(e, EINVAL, "several images in '%s': name one", folder);
		found = names.items[i];
	}
	if (!found)
		return err_set(e, ENOENT, "no image in '%s': no file *" IMAGE_SUFFIX, folder);
	*out = xasprintf("%s/%s", folder, found);
	return 0;
}

static int open_squashfs(struct image *img, struct err *e)
{
	static const char *const names[] = {SQUASHFS_ROOTFS_PATH, "LiveOS/ext3fs.img"};
	int r = squashfs_probe(img->file, &img->squashfs, e);

	if (r == 0)
		r = squashfs_tree_open(img->file, &img->outer, e);
	if (r < 0)
		return r;
	img->kind = IMAGE_FLAT;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct tree_entry *en = tree_find(img->outer, names[i]);

		if (!en || !S_ISREG(en->mode))
			continue;
		r = tree_open(img->outer, en, &img->rootfs, e);
		if (r < 0)
			return r;
		img->kind = IMAGE_LIVE;
		r = ext4_tree_open(img->rootfs, &img->tree, e);
		return r < 0 ? err_wrap(e, r, "%s", names[i]) : 0;
	}
	return 0;
}

static int open_ext4(struct image *img, struct err *e)
{
	int r = ext4_tree_open(img->file, &img->tree, e);

	if (r == -EINVAL)
		return err_set(e, EBADMSG, "not an image: neither squashfs nor ext4");
	img->kind = IMAGE_EXT4;
	img->rootfs = img->file;
	return r;
}

static bool has_squashfs_magic(struct source *s)
{
	char magic[4];

	return s->size_bytes >= sizeof(magic) &&
		source_read_at(s, magic, sizeof(magic), 0, NULL) == 0 &&
		memcmp(magic, "hsqs", sizeof(magic)) == 0;
}

int image_open_source(struct source *file, const char *name, struct image **out, struct err *e)
{
	autoptr(image) img = xcalloc(1, sizeof(*img));

	img->path = xstrdup(name);
	img->file = file;
	int r = has_squashfs_magic(img->file) ? open_squashfs(img, e) : open_ext4(img, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", img->path);
	*out = take_ptr(img);
	return 0;
}

int image_open(const char *path, struct image **out, struct err *e)
{
	autofree char *found = NULL;
	struct source *file = NULL;
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (S_ISDIR(st.st_mode)) {
		r = find_in_folder(path, &found, e);
		path = found;
	}
	if (r == 0)
		r = source_open_path(path, &file, e);
	return r < 0 ? r : image_open_source(file, path, out, e);
}

const char *image_path(const struct image *img)
{
	return img->path;
}

enum image_kind image_kind(const struct image *img)
{
	return img->kind;
}

const char *image_kind_name(enum image_kind kind)
{
	static const char *const names[] = {
		[IMAGE_LIVE] = "squashfs-ext4", [IMAGE_FLAT] = "squashfs", [IMAGE_EXT4] = "ext4"};

	return names[kind];
}

struct source *image_file(const struct image *img)
{
	return img->file;
}

struct tree *image_tree(const struct image *img)
{
	return img->kind == IMAGE_FLAT ? img->outer : img->tree;
}

struct source *image_rootfs(const struct image *img)
{
	return img->rootfs;
}

struct tree *image_outer(const struct image *img)
{
	return img->outer;
}

const struct squashfs_info *image_squashfs(const struct image *img)
{
	return img->kind == IMAGE_EXT4 ? NULL : &img->squashfs;
}

char *image_sibling(const struct image *img, const char *suffix)
{
	static const char *const endings[] = {IMAGE_SUFFIX, ".img", ""};
	size_t i = 0;

	while (!str_ends(img->path, endings[i]))
		i++;
	return xasprintf(
		"%.*s%s", (int)(strlen(img->path) - strlen(endings[i])), img->path, suffix);
}

static void drop_last(struct strbuf *path)
{
	const char *slash = path->data ? strrchr(path->data, '/') : NULL;

	path->len = slash ? (size_t)(slash - path->data) : 0;
	if (path->data)
		path->data[path->len] = '\0';
}

const struct tree_entry *image_resolve(const struct tree *t, const char *path)
{
	autofree char *todo = xstrdup(path); /* owns what rest points into */
	char *rest = todo;
	autostrbuf at = {0};
	const struct tree_entry *en = tree_find(t, "");
	unsigned links = 0;

	for (char *name; en && (name = str_next_word(&rest, "/"));) {
		if (str_eq(name, "."))
			continue;
		if (str_eq(name, "..")) {
			drop_last(&at);
			en = tree_find(t, at.data ? at.data : "");
			continue;
		}
		strbuf_printf(&at, "%s%s", at.len > 0 ? "/" : "", name);
		en = tree_find(t, at.data);
		if (!en || !S_ISLNK(en->mode))
			continue;
		if (++links > LINKS_MAX)
			return NULL;
		drop_last(&at);
		if (en->target[0] == '/')
			at.len = 0;
		if (at.data)
			at.data[at.len] = '\0';
		char *more = xasprintf("%s/%s", en->target, rest ? rest : "");
		free(todo);
		rest = todo = more;
		en = tree_find(t, at.data ? at.data : "");
	}
	return en;
}

int image_read(
	struct tree *t, const char *path, size_t max_bytes, char **out, size_t *len, struct err *e)
{
	const struct tree_entry *en = image_resolve(t, path);
	autoptr(source) s = NULL;

	if (!en || !S_ISREG(en->mode))
		return err_set(e, ENOENT, "no file '%s' in the image", path);
	if (en->size_bytes > max_bytes)
		return err_set(
			e, EFBIG, "'%s' in the image is larger than %zu bytes", path, max_bytes);
	int r = tree_open(t, en, &s, e);
	if (r < 0)
		return r;
	size_t n = (size_t)s->size_bytes;
	autofree char *text = xcalloc(1, n + 1);
	r = source_read_at(s, text, n, 0, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	*out = take_ptr(text);
	if (len)
		*len = n;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	return -strverscmp(*(char *const *)a, *(char *const *)b);
}

/* Names right below folder that start with prefix, without it. */
static void add_children(
	const struct tree *t, const char *folder, const char *prefix, struct strv *out)
{
	const struct tree_entry *dir = image_resolve(t, folder);
	size_t len = dir ? strlen(dir->path) : 0;

	if (!dir || !S_ISDIR(dir->mode))
		return;
	for (size_t i = (size_t)(dir - t->entries) + 1; i < t->count; i++) {
		const char *path = t->entries[i].path;

		if (strncmp(path, dir->path, len) != 0 || (len > 0 && path[len] != '/'))
			break;
		const char *name = path + len + (len > 0);
		if (strchr(name, '/') || !str_starts(name, prefix))
			continue;
		name += strlen(prefix);
		if (*name && !strv_has(out, name))
			strv_add(out, name);
	}
}

void image_kernels(const struct tree *t, struct strv *out)
{
	add_children(t, "usr/lib/modules", "", out);
	add_children(t, "lib/modules", "", out);
	add_children(t, "boot", "vmlinuz-", out);
	if (out->count > 1)
		qsort(out->items, out->count, sizeof(*out->items), newest_first);
}

static const struct tree_entry *find_file(
	const struct tree *t, const char *const *patterns, size_t count, const char *release)
{
	for (size_t i = 0; i < count; i++) {
		const char *at = strchr(patterns[i], '%');
		autofree char *path = xasprintf(
			"%.*s%s%s", (int)(at - patterns[i]), patterns[i], release, at + 1);
		const struct tree_entry *en = image_resolve(t, path);

		if (en && S_ISREG(en->mode) && en->size_bytes > 0)
			return en;
	}
	return NULL;
}

int image_boot_entries(const struct tree *t, const struct tree_entry **kernel,
	const struct tree_entry **initramfs, char **release, struct err *e)
{
	static const char *const kernels[] = {"boot/vmlinuz-%", "usr/lib/modules/%/vmlinuz"};
	static const char *const initramfses[] = {"boot/initrd.img-%", "boot/initramfs-%.img",
		"boot/initrd-%", "usr/lib/modules/%/initrd", "usr/lib/modules/%/initramfs.img"};
	autostrv releases = {0};

	image_kernels(t, &releases);
	for (size_t i = 0; i < releases.count; i++) {
		const char *rel = releases.items[i];
		const struct tree_entry *en = find_file(t, kernels, ARRAY_LEN(kernels), rel);

		if (!en)
			continue;
		*kernel = en;
		*initramfs = find_file(t, initramfses, ARRAY_LEN(initramfses), rel);
		*release = xstrdup(rel);
		return 0;
	}
	return err_set(e, ENOENT, "no kernel in the image");
}

static int copy_entry(struct tree *t, const struct tree_entry *en, int fd, struct err *e)
{
	autoptr(source) s = NULL;
	int r = tree_open(t, en, &s, e);

	return r < 0 ? r : extract_source(s, fd, NULL, e);
}

int image_boot_files(struct image *img, int kernel_fd, int initramfs_fd, struct err *e)
{
	const struct tree_entry *kernel = NULL, *initramfs = NULL;
	struct tree *t = image_tree(img);
	autofree char *release = NULL;
	int r = image_boot_entries(t, &kernel, &initramfs, &release, e);

	if (r < 0)
		return r;
	if (!initramfs)
		return err_set(e, ENOENT, "no initramfs for kernel '%s' in the image", release);
	r = copy_entry(t, kernel, kernel_fd, e);
	return r < 0 ? r : copy_entry(t, initramfs, initramfs_fd, e);
}

int image_kernel_params(struct image *img, char **out, struct err *e)
{
	autofree char *conf = NULL;
	int r = image_read(image_tree(img), BOOT_CONF_PATH, CONF_MAX, &conf, NULL, e);
	const char *found = "";

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT && e)
		*e = (struct err){0};
	char *rest = conf;
	for (char *line; rest && !*found && (line = str_next_word(&rest, "\n"));)
		if (str_starts(line, "append="))
			found = str_trim(line + strlen("append="));
	*out = xstrdup(found);
	return 0;
}
