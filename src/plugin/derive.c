/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/derive.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "fmt/ext4.h"
#include "image/extract.h"
#include "image/files.h"
#include "image/finish.h"
#include "image/initramfs.h"
#include "image/liveimg.h"
#include "image/modules.h"
#include "image/rootfs.h"
#include "image/sign.h"
#include "plugin/undo.h"
#include "sys/chroot.h"

#define STAGING_NAME  ".bedplate-XXXXXX"
#define COMPARE_BYTES SQUASHFS_BLOCK_DEFAULT_BYTES

static void remove_folder(const char *path)
{
	struct err e = {0};

	if (file_remove_tree(path, &e) < 0)
		log_warning("%s", e.msg);
}

void derive_fini(struct derive *d)
{
	tree_free(d->before);
	tree_free(d->after);
	if (d->plain != d->image)
		image_free(d->plain);
	image_free(d->image);
	manifest_fini(&d->manifest);
	close_auto(&d->root_fd);
	close_auto(&d->log_fd);
	if (d->work)
		remove_folder(d->work);
	free(d->work);
	free(d->tree_path);
}

void derive_result_fini(struct derive_result *r)
{
	free(r->name);
	free(r->version);
	free(r->image);
	free(r->manifest);
}

/* ---- the image as it was ---- */

static int check_signature(
	struct derive *d, const char *path, const char *text, size_t len, struct err *e)
{
	autofree char *sig_path = xasprintf("%s" SIGN_SUFFIX, path);
	autofree char *sig = NULL, *signer = NULL;
	size_t sig_len;
	int r;

	if (d->spec->trust.count == 0)
		return 0;
	r = file_read(sig_path, SIGN_MAX_BYTES, &sig, &sig_len, e);
	if (r == -ENOENT)
		return err_set(e, EKEYREJECTED, "'%s' is not signed: no '%s'", path, sig_path);
	if (r == 0)
		r = sign_verify(text, len, sig, sig_len, &d->spec->trust, &signer, e);
	return r < 0 ? err_wrap(e, r, "'%s'", sig_path) : 0;
}

/* The signature first: nothing in the manifest is looked at before. */
static int read_manifest(struct derive *d, struct err *e)
{
	autofree char *path = image_sibling(d->image, MANIFEST_SUFFIX);
	autofree char *text = NULL;
	size_t len;
	int r = file_read(path, MANIFEST_MAX_BYTES, &text, &len, e);

	if (r == -ENOENT)
		return err_set(e, ENOENT,
			"'%s' has no manifest beside it (NAME-VERSION" MANIFEST_SUFFIX
			"): only images of 'bedplate image build' can be changed",
			image_path(d->image));
	if (r == 0)
		r = check_signature(d, path, text, len, e);
	if (r < 0)
		return r;
	r = manifest_parse(text, len, &d->manifest, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static int check_image(struct derive *d, struct err *e)
{
	const struct manifest_file *want = &d->manifest.liveimg;
	struct source *s = image_file(d->image);
	uint8_t sum[SHA256_BYTES];
	int r = 0;

	progress_begin(d->progress, "check", s->size_bytes, "bytes");
	if (s->size_bytes == want->size_bytes)
		r = sha256_source(s, sum, e);
	progress_end(d->progress);
	if (r < 0)
		return err_wrap(e, r, "'%s'", image_path(d->image));
	if (s->size_bytes != want->size_bytes || memcmp(sum, want->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG,
			"'%s' is not the image that its manifest describes: it is damaged or was "
			"changed",
			image_path(d->image));
	return 0;
}

static int make_work(struct derive *d, struct err *e)
{
	int r = file_make_temporary(NULL, "bedplate-plugin", &d->work, e);

	if (r < 0)
		return r;
	autofree char *log = xasprintf("%s/log", d->work);
	d->log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return d->log_fd < 0 ? err_errno(e, "'%s'", log) : 0;
}

static int check_spec(const struct derive_spec *spec, struct err *e)
{
	int r = sign_check_files(spec->sign_key, spec->sign_cert, e);

	if (r < 0)
		return r;
	if (geteuid() != 0)
		return err_set(e, EPERM,
			"changing an image needs root: it unpacks the image and runs scripts in it");
	return 0;
}

int derive_load(struct derive *d, struct err *e)
{
	int r = image_open(d->spec->image, &d->image, e);

	if (r == 0 && image_kind(d->image) == IMAGE_EXT4)
		r = err_set(e, EINVAL, "'%s' is a bare file system, a liveimg is needed",
			image_path(d->image));
	if (r == 0)
		r = read_manifest(d, e);
	return r == 0 ? check_image(d, e) : r;
}

int derive_open(struct derive *d, struct err *e)
{
	int r = check_spec(d->spec, e);

	if (r == 0)
		r = chroot_enter_namespace(e);
	if (r == 0)
		r = derive_load(d, e);
	return r == 0 ? make_work(d, e) : r;
}

int derive_undo_path(const struct derive *d, char **path, struct err *e)
{
	const struct manifest_file *want = &d->manifest.undo;
	autofree char *file = image_sibling(d->image, UNDO_SUFFIX);
	uint8_t sum[SHA256_BYTES];
	int r;

	if (!want->file)
		return err_set(
			e, ENOENT, "'%s' was not made from another image", image_path(d->image));
	r = sha256_file(file, sum, e);
	if (r == 0 && memcmp(sum, want->sha256, SHA256_BYTES) != 0)
		r = err_set(e, EBADMSG, "'%s' is damaged, or not that of the image", file);
	if (r == 0)
		*path = take_ptr(file);
	return r;
}

/* ---- unpacking ---- */

struct unpacking {
	int fd;
};

static int put_piece(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	const struct unpacking *u = ctx;

	return io_pwrite(u->fd, data, len, off, e);
}

/* rootfs.img as a file: read once with all processors, and from then on without unpacking. */
static int unpack_rootfs(struct derive *d, struct err *e)
{
	autofree char *path = xasprintf("%s/before.img", d->work);
	struct source *rootfs = image_rootfs(d->image), *file = NULL;
	autofd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct unpacking u = {.fd = fd};
	const struct squashfs_stream_spec spec = {.data = put_piece, .ctx = &u};
	int r;

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	if (ftruncate(fd, (off_t)rootfs->size_bytes) < 0)
		return err_errno(e, "'%s'", path);
	progress_begin(d->progress, "unpack", rootfs->size_bytes, "bytes");
	r = squashfs_stream(rootfs, &spec, d->progress, e);
	progress_end(d->progress);
	if (r == 0)
		r = source_open_fd(take_fd(&fd), &file, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", image_path(d->image));
	return image_open_source(file, image_path(d->image), &d->plain, e);
}

int derive_unpack(struct derive *d, struct err *e)
{
	int r = 0;

	d->tree_path = xasprintf("%s/tree", d->work);
	d->plain = d->image;
	if (image_kind(d->image) != IMAGE_FLAT)
		r = unpack_rootfs(d, e);
	if (r < 0) {
		d->plain = NULL;
		return r;
	}
	const struct extract_spec spec = {.tree = image_tree(d->plain), .dest = d->tree_path};
	struct extract_result done = {0};
	r = extract_tree(&spec, &done, d->progress, e);
	if (r == 0 && done.lost_xattrs + done.lost_devices + done.lost_owners > 0)
		r = err_set(e, ENOTSUP,
			"'%s': the file system there cannot hold all attributes of the image's "
			"files, set TMPDIR to one that can",
			d->work);
	if (r < 0)
		return r;
	d->root_fd = open(d->tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d->root_fd < 0)
		return err_errno(e, "'%s'", d->tree_path);
	return tree_scan(d->tree_path, &d->before, e);
}

/* ---- writing ---- */

bool derive_touches_kernel(const char *path)
{
	static const char *const places[] = {"boot/vmlinuz-", "etc/dracut.conf", "etc/modprobe.d/",
		"usr/lib/dracut/", "usr/lib/firmware/", "usr/lib/modprobe.d/", "usr/lib/modules/",
		"usr/lib/modules-load.d/"};

	for (size_t k = 0; k < ARRAY_LEN(places); k++)
		if (str_starts(path, places[k]))
			return true;
	return false;
}

bool derive_is_kernels(const char *path)
{
	static const char *const patterns[] = {"boot/initrd.img-*", "usr/lib/modules/*/modules.*",
		"usr/lib/dracut/dracut.conf.d/50-bedplate.conf"};

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		if (fnmatch(patterns[i], path, FNM_PATHNAME) == 0)
			return true;
	return false;
}

static int renew_kernel(struct derive *d, struct err *e)
{
	autofree char *cache = xasprintf("%s/cache", d->work);
	int r;

	progress_begin(d->progress, "initramfs", 0, "steps");
	r = modules_decompress(d->tree_path, d->log_fd, e);
	if (r == 0)
		r = modules_index(d->tree_path, d->log_fd, e);
	if (r == 0)
		r = initramfs_build(d->tree_path, cache, d->manifest.source_date, d->log_fd, e);
	progress_end(d->progress);
	return r;
}

static int finish(struct derive *d, const struct derive_change *change, struct err *e)
{
	autostrv names = {0};
	const struct finish_params params = {.image_name = d->manifest.name,
		.image_version = change->version,
		.recipe = d->manifest.recipe.file ? d->manifest.recipe.file : "",
		.built_with = "bedplate " BEDPLATE_VERSION,
		.source_date = d->manifest.source_date,
		.plugins = &names,
		.edited = change->edited};

	for (size_t i = 0; i < change->plugins->count; i++)
		strv_add(&names, change->plugins->items[i].name);
	return finish_tree(d->tree_path, &params, e);
}

/* What was only written anew is as it was: a file with the same content has its old time. */
static int restore_times(struct derive *d, struct err *e)
{
	autochanges changes = {0};
	int r = tree_scan(d->tree_path, &d->after, e);

	if (r == 0)
		r = changes_find(image_tree(d->plain), d->before, d->after, &changes, e);
	if (r == 0)
		r = changes_restore_times(image_tree(d->plain), d->after, &changes, d->root_fd, e);
	return r;
}

/* The list of files of the image, when it is the one that the manifest means. */
static int load_known(struct derive *d, struct files **out, struct err *e)
{
	autofree char *path = image_sibling(d->image, FILES_SUFFIX);
	autofree char *text = NULL;
	uint8_t sum[SHA256_BYTES];
	size_t len;
	int r = d->manifest.files.file ? file_read(path, FILES_MAX_BYTES, &text, &len, e) : -ENOENT;

	if (r == -ENOENT) {
		*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	sha256_buffer(text, len, sum);
	if (memcmp(sum, d->manifest.files.sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "'%s' is not the list of the image's manifest", path);
	r = files_parse(text, len, out, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static bool is_untouched(void *ctx, const struct tree_entry *en)
{
	const struct derive *d = ctx;
	const struct tree_entry *was = tree_find(d->before, en->path);

	return was && was->inode == en->inode && was->changed_ns == en->changed_ns &&
		was->mode == en->mode && was->size_bytes == en->size_bytes;
}

static int make_rootfs(struct derive *d, const struct derive_change *change,
	struct rootfs_changed *changed, struct err *e)
{
	uint64_t size = 0, kept, fresh;
	autoptr(files) known = NULL;
	struct rootfs_spec spec = {.tree = d->tree_path,
		.scanned = d->after,
		.layout_tree = d->tree_path,
		.previous = d->plain,
		.image_name = d->manifest.name,
		.source_date = d->manifest.source_date,
		.folder = d->work,
		.is_update = true,
		.changed = changed,
		.is_known = is_untouched,
		.ctx = d};
	int r = ext4_size(image_rootfs(d->plain), &size, e);

	if (r < 0)
		return r;
	r = load_known(d, &known, e);
	if (r < 0)
		return r;
	spec.known = known;
	spec.size_bytes = MAX(size, change->size_bytes);
	r = rootfs_make(&spec, &kept, &fresh, d->progress, e);
	if (r != -ENOSPC || change->size_bytes != 0)
		return r;
	spec.size_bytes = 0;
	return rootfs_make(&spec, &kept, &fresh, d->progress, e);
}

/* Of the liveimg's blocks, those that lie in what was compared already. */
static uint64_t take_compared(const struct rootfs_changed *changed, uint8_t *same)
{
	uint64_t step = COMPARE_BYTES / EXT4_BLOCK_BYTES, i = 0;

	for (; (i + 1) * step <= changed->blocks; i++) {
		bool differs = false;

		for (uint64_t k = i * step; k < (i + 1) * step; k++)
			differs |= changed->bits[k / 8] >> k % 8 & 1;
		if (!differs)
			same[i / 8] |= (uint8_t)(1 << i % 8);
	}
	return i;
}

/* Which blocks of the new file system image are those of the old one. */
static int compare_rootfs(struct source *a, struct source *b, const struct rootfs_changed *changed,
	uint8_t *same, struct err *e)
{
	autofree char *x = xcalloc(1, COMPARE_BYTES), *y = xcalloc(1, COMPARE_BYTES);
	uint64_t i = take_compared(changed, same);

	for (uint64_t off = i * COMPARE_BYTES; off < a->size_bytes && off < b->size_bytes;
		off += COMPARE_BYTES, i++) {
		size_t n = (size_t)MIN(COMPARE_BYTES, a->size_bytes - off);
		int r;

		if (n != MIN(COMPARE_BYTES, b->size_bytes - off))
			break;
		r = source_read_at(a, x, n, off, e);
		if (r == 0)
			r = source_read_at(b, y, n, off, e);
		if (r < 0)
			return r;
		if (memcmp(x, y, n) == 0)
			same[i / 8] |= (uint8_t)(1 << i % 8);
	}
	return 0;
}

static int make_liveimg(struct derive *d, const struct derive_change *change,
	const struct squashfs_keep *keep, const char *folder, struct err *e)
{
	struct liveimg_spec spec = {.tree = d->tree_path,
		.scanned = d->after,
		.rootfs_folder = image_kind(d->image) == IMAGE_FLAT ? NULL : d->work,
		.base = &d->manifest,
		.version = change->version,
		.arch = d->manifest.arch,
		.source_date = d->manifest.source_date,
		.previous = d->image,
		.keep = keep,
		.folder = folder};
	int r = squashfs_compressor_parse(
		image_squashfs(d->image)->compressor, &spec.compressor, e);

	if (r == 0)
		r = liveimg_make(&spec, d->progress, e);
	if (r < 0)
		return r;
	autofree char *index = xasprintf("%s/" LIVEIMG_INDEX, folder);
	return unlink(index) < 0 ? err_errno(e, "'%s'", index) : 0;
}

static int make_live(struct derive *d, const struct derive_change *change,
	const struct rootfs_changed *changed, const char *folder, struct err *e)
{
	autofree char *path = xasprintf("%s/" ROOTFS_IMAGE, d->work);
	autoptr(source) rootfs = NULL;
	int r = source_open_path(path, &rootfs, e);

	if (r < 0)
		return r;
	struct source *old = image_rootfs(d->plain);
	uint64_t count = MIN(rootfs->size_bytes, old->size_bytes) / COMPARE_BYTES + 1;
	autofree uint8_t *same = xcalloc(1, (size_t)(count / 8 + 1));
	const struct squashfs_keep keep = {.image = image_file(d->image),
		.file = image_rootfs(d->image),
		.same = same,
		.count = count};
	bool fits = image_squashfs(d->image)->block_bytes == COMPARE_BYTES;
	r = fits ? compare_rootfs(old, rootfs, changed, same, e) : 0;
	return r == 0 ? make_liveimg(d, change, fits ? &keep : NULL, folder, e) : r;
}

static int add_origin(struct derive *d, const struct derive_change *change, const char *stem,
	struct image *after, struct err *e)
{
	autofree char *manifest = xasprintf("%s" MANIFEST_SUFFIX, stem);
	autofree char *undo = xasprintf("%s" UNDO_SUFFIX, stem);
	struct manifest_part base = {.name = d->manifest.name, .version = d->manifest.version};
	automanifest m = {0};
	int r = undo_write(d->image, after, undo, d->progress, e);

	if (r == 0)
		r = manifest_load(manifest, &m, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d->manifest.made_from.count; i++)
		manifest_add_part(&m.made_from, &d->manifest.made_from.items[i]);
	memcpy(base.sha256, d->manifest.liveimg.sha256, SHA256_BYTES);
	manifest_add_part(&m.made_from, &base);
	for (size_t i = 0; i < change->plugins->count; i++)
		manifest_add_part(&m.plugins, &change->plugins->items[i]);
	m.edited = change->edited;

	autoptr(source) s = NULL;
	r = source_open_path(undo, &s, e);
	if (r == 0)
		r = sha256_source(s, m.undo.sha256, e);
	if (r < 0)
		return r;
	m.undo.file = xstrdup(strrchr(undo, '/') + 1);
	m.undo.size_bytes = s->size_bytes;
	autofree char *text = manifest_format(&m);
	r = file_replace(manifest, text, strlen(text), 0644, e);
	if (r == 0 && d->spec->sign_key)
		r = sign_file(manifest, d->spec->sign_key, d->spec->sign_cert, e);
	return r;
}

static int make_image(
	struct derive *d, const struct derive_change *change, const char *folder, struct err *e)
{
	struct rootfs_changed changed = {0};
	int r;

	if (image_kind(d->image) == IMAGE_FLAT)
		return make_liveimg(d, change, NULL, folder, e);
	r = make_rootfs(d, change, &changed, e);
	if (r == 0)
		r = make_live(d, change, &changed, folder, e);
	free(changed.bits);
	return r;
}

static int make_files(
	struct derive *d, const struct derive_change *change, const char *folder, struct err *e)
{
	autofree char *stem = xasprintf("%s/%s-%s", folder, d->manifest.name, change->version);
	autofree char *path = xasprintf("%s" LIVEIMG_SUFFIX, stem);
	autoptr(image) after = NULL;
	int r = make_image(d, change, folder, e);

	if (r == 0)
		r = image_open(path, &after, e);
	return r == 0 ? add_origin(d, change, stem, after, e) : r;
}

int derive_staging(const char *output, char **folder, bool *made, struct err *e)
{
	autofree char *path = xasprintf("%s/" STAGING_NAME, output);
	int r;

	*made = !file_exists(output);
	r = file_make_folder(output, 0755, e);
	if (r < 0)
		return r;
	if (!mkdtemp(path))
		return err_errno(e, "'%s'", path);
	*folder = take_ptr(path);
	return 0;
}

/* The manifest behind all others, its signature right before it. */
static unsigned rank(const char *name)
{
	if (str_ends(name, MANIFEST_SUFFIX))
		return 2;
	return str_ends(name, MANIFEST_SUFFIX SIGN_SUFFIX);
}

static int sync_file(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_errno(e, "syncing '%s'", path) : 0;
}

int derive_publish(const char *folder, const char *output, struct err *e)
{
	autostrv names = {0};
	int r = file_list(folder, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *from = xasprintf("%s/%s", folder, names.items[i]);

		r = sync_file(from, e);
	}
	for (unsigned pass = 0; pass < 3; pass++) {
		for (size_t i = 0; r == 0 && i < names.count; i++) {
			autofree char *from = xasprintf("%s/%s", folder, names.items[i]);
			autofree char *to = xasprintf("%s/%s", output, names.items[i]);

			if (rank(names.items[i]) != pass)
				continue;
			if (rename(from, to) < 0)
				r = err_errno(e, "renaming '%s' to '%s'", from, to);
		}
	}
	return r;
}

static int set_result(struct derive *d, const struct derive_change *change,
	struct derive_result *out, struct err *e)
{
	autofree char *stem = xasprintf(
		"%s/%s-%s", d->spec->output, d->manifest.name, change->version);
	autofree char *path = xasprintf("%s" MANIFEST_SUFFIX, stem);
	automanifest m = {0};
	int r = manifest_load(path, &m, e);

	if (r < 0)
		return r;
	out->name = xstrdup(m.name);
	out->version = xstrdup(m.version);
	out->image = xasprintf("%s" LIVEIMG_SUFFIX, stem);
	out->manifest = take_ptr(path);
	out->image_bytes = m.liveimg.size_bytes;
	out->rootfs_bytes = m.rootfs.size_bytes;
	return 0;
}

int derive_finish(struct derive *d, const struct derive_change *change, struct derive_result *out,
	struct err *e)
{
	autofree char *staging = NULL;
	bool made = false;
	int r = change->kernel ? renew_kernel(d, e) : 0;

	if (r == 0)
		r = finish(d, change, e);
	if (r == 0)
		r = restore_times(d, e);
	if (r == 0)
		r = derive_staging(d->spec->output, &staging, &made, e);
	if (r < 0)
		return r;
	r = make_files(d, change, staging, e);
	if (r == 0)
		r = derive_publish(staging, d->spec->output, e);
	remove_folder(staging);
	if (r < 0 && made)
		(void)!rmdir(d->spec->output);
	return r == 0 ? set_result(d, change, out, e) : r;
}
