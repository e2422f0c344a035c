/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/input.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "fmt/ext4.h"
#include "fmt/iso9660.h"
#include "fmt/squashfs.h"
#include "image/extract.h"
#include "image/liveimg.h"
#include "netroot/vendor-line.h"

#define LIVE_SQUASHFS "LiveOS/squashfs.img"
#define LIVE_MANIFEST "LiveOS/manifest.json"
#define LIVE_EXT3FS   "LiveOS/ext3fs.img"
#define KERNEL_MAX    (512 * MIB)
#define NO_EXT3FS     110 /* dracut, from this version on */
#define NAME_CHARS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define UUID_BYTES    16
#define SECTOR_BYTES  512

struct boot_pair {
	const char *kernel, *initramfs;
};

/* Of live ISOs; some have two of them. */
static const struct boot_pair boot_pairs[] = {
	{"images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"},
	{"isolinux/vmlinuz", "isolinux/initrd.img"},
	{"isolinux/vmlinuz0", "isolinux/initrd0.img"},
	{"boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"},
	{"boot/aarch64/loader/linux", "boot/aarch64/loader/initrd"},
};

void netroot_input_fini(struct netroot_input *in)
{
	/* Each reads through a later one. */
	source_free(in->kernel);
	source_free(in->initramfs);
	source_free(in->squashfs);
	image_free(in->img);
	source_free(in->file);
	manifest_fini(&in->manifest);
	initramfs_info_fini(&in->initramfs_info);
	free(in->path);
	free(in->label);
	free(in->title);
	free(in->release);
	free(in->root);
	free(in->params);
}

static int hash(struct source *s, uint8_t out[SHA256_BYTES], struct progress *p, struct err *e)
{
	progress_begin(p, "checksum", s->size_bytes, "bytes");
	int r = sha256_source_progress(s, p, out, e);
	progress_end(p);
	return r;
}

/* What may stand in a label, from any text. */
static char *label_from(const char *text)
{
	char *label = xstrdup(text);

	for (char *p = label + strspn(label, NAME_CHARS); *p; p += strspn(p, NAME_CHARS))
		*p = '_';
	if (label[0] == '.' || label[0] == '-')
		label[0] = '_';
	return label;
}

static char *stem_of(const char *path)
{
	static const char *const endings[] = {LIVEIMG_SUFFIX, ".img", ".iso", ""};
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t i = 0;

	while (!str_ends(name, endings[i]))
		i++;
	return xstrndup(name, strlen(name) - strlen(endings[i]));
}

static int open_boot_entry(
	struct image *img, const struct tree_entry *en, struct source **out, struct err *e)
{
	return tree_open(image_tree(img), en, out, e);
}

/* Kernel and initramfs out of the image itself. */
static int open_boot_files(struct netroot_input *in, struct err *e)
{
	const struct tree_entry *kernel = NULL, *initramfs = NULL;
	int r = image_boot_entries(image_tree(in->img), &kernel, &initramfs, &in->release, e);

	if (r == 0 && !initramfs)
		r = err_set(e, ENOENT,
			"no initramfs for kernel '%s': the package 'dracut' is not in the image",
			in->release);
	if (r == 0)
		r = open_boot_entry(in->img, kernel, &in->kernel, e);
	if (r == 0)
		r = open_boot_entry(in->img, initramfs, &in->initramfs, e);
	return r;
}

/* A UUID that the file system around the liveimg gets, and that dracut waits for. */
static void make_uuid(const uint8_t sha256[SHA256_BYTES], uint8_t out[UUID_BYTES])
{
	memcpy(out, sha256, UUID_BYTES);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x80); /* version 8: our own */
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static char *format_root(const uint8_t uuid[UUID_BYTES])
{
	char hex[2 * UUID_BYTES + 1];

	hex_format(uuid, UUID_BYTES, hex);
	return xasprintf(
		"live:UUID=%.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static bool has_file(const struct tree *t, const char *path)
{
	const struct tree_entry *en = tree_find(t, path);

	return en && S_ISREG(en->mode);
}

/* All versions of dracut agree on that. */
static bool is_flat_root(const struct tree *t)
{
	return tree_find(t, "usr") && tree_find(t, "proc") && !tree_find(t, "LiveOS");
}

/* The image is open, its manifest read if it has one. */
static int take_image(struct netroot_input *in, struct progress *p, struct err *e)
{
	const struct manifest *m = &in->manifest;
	uint8_t uuid[UUID_BYTES];

	if (image_kind(in->img) == IMAGE_EXT4)
		return err_set(e, EBADMSG,
			"a bare file system: netroot needs a liveimg (*" LIVEIMG_SUFFIX
			") or a live ISO");
	int r = hash(image_file(in->img), in->sha256, p, e);
	if (r < 0)
		return r;
	if (in->ours && memcmp(m->liveimg.sha256, in->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG,
			"it is not the image that its manifest describes: it is damaged or was changed");
	make_uuid(in->sha256, uuid);
	in->root = format_root(uuid);
	in->flat = image_kind(in->img) == IMAGE_FLAT;
	if (in->flat && !is_flat_root(image_tree(in->img)))
		return err_set(e, EBADMSG,
			"dracut does not take it for a root file system: there is no usr/ or no "
			"proc/, or there is LiveOS/");
	in->ext3fs = !in->flat && !has_file(image_outer(in->img), SQUASHFS_ROOTFS_PATH);
	in->needs = NEEDS(MODULE_EXT4) | NEEDS(MODULE_SQUASHFS) | NEEDS(MODULE_OVERLAY);
	autofree char *stem = stem_of(in->path);
	autofree char *name = in->ours ? xasprintf("%s-%s", m->name, m->version) : NULL;
	in->label = label_from(name ? name : stem);
	in->title = in->ours ? xasprintf("%s %s", m->name, m->version) : xstrdup(stem);
	r = image_kernel_params(in->img, &in->params, e);
	return r < 0 ? r : open_boot_files(in, e);
}

static int open_image_file(struct netroot_input *in, struct progress *p, struct err *e)
{
	int r = image_open(in->path, &in->img, e);

	if (r < 0)
		return r;
	autofree char *manifest = image_sibling(in->img, MANIFEST_SUFFIX);
	free(in->path);
	in->path = xstrdup(image_path(in->img));
	r = manifest_load(manifest, &in->manifest, e);
	in->ours = r == 0;
	if (r == -ENOENT)
		*e = (struct err){0};
	else if (r < 0)
		return r;
	r = take_image(in, p, e);
	return r < 0 ? err_wrap(e, r, "'%s'", in->path) : 0;
}

/* 1: it is an ISO of ours, whose manifest is read; 0: it is not. */
static int read_manifest(struct netroot_input *in, struct err *e)
{
	autoptr(source) s = NULL;
	struct err none = {0};

	if (iso9660_open(in->file, LIVE_MANIFEST, &s, &none) < 0)
		return 0;
	if (s->size_bytes > MANIFEST_MAX_BYTES)
		return err_set(e, EFBIG, "'" LIVE_MANIFEST "' is too large");
	size_t len = (size_t)s->size_bytes;
	autofree char *text = xcalloc(1, len + 1);
	int r = source_read_at(s, text, len, 0, e);
	if (r == 0)
		r = manifest_parse(text, len, &in->manifest, e);
	return r < 0 ? err_wrap(e, r, "'" LIVE_MANIFEST "'") : 1;
}

/* The same result as for the liveimg itself. */
static int open_our_iso(struct netroot_input *in, struct progress *p, struct err *e)
{
	struct source *s = NULL;
	int r = iso9660_open(in->file, LIVE_SQUASHFS, &s, e);

	if (r == 0)
		r = image_open_source(s, LIVE_SQUASHFS, &in->img, e);
	in->ours = true;
	return r < 0 ? r : take_image(in, p, e);
}

/* Others than ours may be EROFS under the same name, which dracut finds out by itself. */
static bool is_erofs(struct source *s)
{
	static const uint8_t want[4] = {0xe2, 0xe1, 0xf5, 0xe0};
	uint8_t magic[4];

	return s->size_bytes > 2048 && source_read_at(s, magic, sizeof(magic), 1024, NULL) == 0 &&
		memcmp(magic, want, sizeof(want)) == 0;
}

/* The decision of dracut's dmsquash-live-root. */
static int look_into_squashfs(struct netroot_input *in, struct err *e)
{
	autoptr(tree) t = NULL;

	if (is_erofs(in->squashfs)) {
		in->flat = true;
		in->needs |= NEEDS(MODULE_EROFS);
		return 0;
	}
	in->needs |= NEEDS(MODULE_SQUASHFS);
	int r = squashfs_tree_open(in->squashfs, &t, e);
	if (r < 0)
		return err_wrap(e, r, "'" LIVE_SQUASHFS "'");
	if (has_file(t, SQUASHFS_ROOTFS_PATH))
		return 0;
	in->ext3fs = has_file(t, LIVE_EXT3FS);
	if (in->ext3fs)
		return 0;
	in->flat = is_flat_root(t);
	if (!in->flat)
		return err_set(e, EBADMSG,
			"'" LIVE_SQUASHFS
			"' holds neither LiveOS/rootfs.img, nor LiveOS/ext3fs.img, "
			"nor a root file system");
	return 0;
}

static int find_live_file(struct netroot_input *in, struct err *e)
{
	autoptr(source) s = NULL;
	int r = iso9660_open(in->file, LIVE_SQUASHFS, &in->squashfs, e);

	if (r == 0)
		return look_into_squashfs(in, e);
	if (r == -ENOENT && iso9660_open(in->file, "LiveOS/rootfs.img", &s, NULL) == 0) {
		*e = (struct err){0};
		return 0;
	}
	return r == -ENOENT ? err_set(e, EBADMSG,
				      "it is not a live ISO: there is no " LIVE_SQUASHFS
				      " and no LiveOS/rootfs.img")
			    : r;
}

static int find_boot_files(struct netroot_input *in, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(boot_pairs); i++) {
		int r = iso9660_open(in->file, boot_pairs[i].kernel, &in->kernel, e);

		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		r = iso9660_open(in->file, boot_pairs[i].initramfs, &in->initramfs, e);
		if (r == 0)
			*e = (struct err){0};
		return r;
	}
	return err_set(e, ENOENT,
		"there is no kernel on it: neither in images/pxeboot/, nor in isolinux/, nor in "
		"boot/ARCH/loader/");
}

/* udev escapes other characters in its links, and each boot loader has its own idea of a backslash. */
static int find_root(struct netroot_input *in, struct iso9660_id *id, struct err *e)
{
	if (*id->label && !id->label[strspn(id->label, NAME_CHARS "+:=@")])
		in->root = xasprintf("live:CDLABEL=%s", id->label);
	else if (*id->uuid)
		in->root = xasprintf("live:UUID=%s", id->uuid);
	else
		return err_set(e, EBADMSG,
			"it has neither a volume label that can be used nor a time: nothing finds it");
	return 0;
}

static int open_foreign_iso(struct netroot_input *in, struct progress *p, struct err *e)
{
	struct iso9660_id id = {0};
	int r = iso9660_identify(in->file, &id, e);

	if (r == 0 && id.size_bytes > in->file->size_bytes)
		r = err_set(e, EBADMSG, "it is damaged: it was cut off");
	if (r == 0)
		r = find_live_file(in, e);
	in->needs |= NEEDS(MODULE_ISOFS) | NEEDS(in->flat ? MODULE_OVERLAY : MODULE_SNAPSHOT);
	if (r == 0)
		r = find_boot_files(in, e);
	if (r == 0)
		r = find_root(in, &id, e);
	if (r == 0)
		r = vendor_line_read(in->file, &in->params, e);
	if (r < 0)
		return r;
	autofree char *stem = stem_of(in->path);
	in->label = label_from(*id.label ? id.label : stem);
	in->title = str_printable(*id.label ? id.label : stem);
	in->release = kernel_release(in->kernel);
	return hash(in->file, in->sha256, p, e);
}

static int open_iso(struct netroot_input *in, struct progress *p, struct err *e)
{
	int r = read_manifest(in, e);

	if (r >= 0)
		r = r > 0 ? open_our_iso(in, p, e) : open_foreign_iso(in, p, e);
	return r < 0 ? err_wrap(e, r, "'%s'", in->path) : 0;
}

/* The whole squashfs is what a client reads, and each block of its root is verified. */
static bool boots_by_own_module(const struct netroot_input *in)
{
	return in->ours && in->img && !in->flat && in->initramfs_info.own &&
		in->manifest.verity.present && image_file(in->img)->size_bytes % SECTOR_BYTES == 0;
}

static void take_own_root(struct netroot_input *in)
{
	const struct manifest_verity *v = &in->manifest.verity;

	in->own = true;
	free(in->root);
	in->root = xasprintf(NETROOT_VERITY "%" PRIu64 ":%" PRIu64 ":%" PRIu32, v->hash_offset,
		v->fec_offset, v->fec_roots);
}

static int preflight(struct netroot_input *in, struct err *e)
{
	if (in->kernel->size_bytes > KERNEL_MAX)
		return err_set(e, EFBIG, "'%s': its kernel has more than %llu bytes", in->path,
			KERNEL_MAX);
	int r = initramfs_look(in->initramfs, &in->initramfs_info, e);

	if (r < 0)
		return err_wrap(e, r, "'%s': its initramfs", in->path);
	if (boots_by_own_module(in))
		take_own_root(in);
	else
		in->needs |= NEEDS_LIVE;
	if (in->ext3fs && in->initramfs_info.dracut_version >= NO_EXT3FS)
		return err_set(e, ENOTSUP,
			"'%s': its dracut %u does not know " LIVE_EXT3FS
			": it takes LiveOS/rootfs.img or a flat squashfs",
			in->path, in->initramfs_info.dracut_version);
	r = initramfs_judge(&in->initramfs_info, in->needs, in->release, e);
	return r < 0 ? err_wrap(e, r, "'%s'", in->path) : 0;
}

int netroot_input_open(
	const char *path, struct netroot_input *in, struct progress *p, struct err *e)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return err_errno(e, "'%s'", path);
	in->path = xstrdup(path);
	if (!S_ISDIR(st.st_mode))
		r = source_open_path(path, &in->file, e);
	if (r < 0)
		return r;
	if (in->file && iso9660_is(in->file)) {
		r = open_iso(in, p, e);
	} else {
		if (str_ends(path, ".iso"))
			return err_set(e, EBADMSG, "'%s' is not an ISO", path);
		r = open_image_file(in, p, e);
	}
	return r < 0 ? r : preflight(in, e);
}

static int open_liveimg(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e UNUSED)
{
	*out = source_slice(t->ctx, 0, en->size_bytes);
	return 0;
}

/* dracut finds a medium by the UUID of its file system, and a squashfs has none. */
static int write_ext4(struct netroot_input *in, int fd, struct progress *p, struct err *e)
{
	static const struct tree_ops ops = {.open = open_liveimg};
	struct source *s = image_file(in->img);
	autoptr(tree) t = tree_new(&ops, s);
	struct ext4_params params = {.label = "LIVE", .time = in->manifest.source_date};
	struct ext4_result done = {0};

	/* Tables take a 64th; the writer alone would fill up the last 128 MiB. */
	params.size_bytes = (s->size_bytes + s->size_bytes / 32 + 8 * MIB) / EXT4_BLOCK_BYTES *
		EXT4_BLOCK_BYTES;
	make_uuid(in->sha256, params.uuid);
	memcpy(params.hash_seed, in->sha256 + UUID_BYTES, UUID_BYTES);
	tree_add(t, &(struct tree_entry){.path = xstrdup(""), .mode = S_IFDIR | 0755});
	tree_add(t, &(struct tree_entry){.path = xstrdup("LiveOS"), .mode = S_IFDIR | 0755});
	tree_add(t,
		&(struct tree_entry){.path = xstrdup(LIVE_SQUASHFS),
			.mode = S_IFREG | 0644,
			.size_bytes = s->size_bytes});
	tree_sort(t);
	return ext4_write(t, &params, fd, &done, p, e);
}

int netroot_input_write(struct netroot_input *in, int fd, struct progress *p, struct err *e)
{
	if (in->own)
		return extract_source(image_file(in->img), fd, p, e);
	return in->img ? write_ext4(in, fd, p, e) : extract_source(in->file, fd, p, e);
}
