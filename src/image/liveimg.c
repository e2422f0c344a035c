/* SPDX-License-Identifier: Apache-2.0 */
#include "image/liveimg.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/files.h"
#include "image/manifest.h"
#include "image/package-db.h"
#include "image/rootfs.h"
#include "image/sbom.h"

/* Blocks to copy from an earlier image; all NULL when there is none. */
struct earlier {
	struct source *image;
	struct squashfs_index *index;
	struct squashfs_reuse *reuse;
};

static void earlier_fini(struct earlier *x)
{
	squashfs_reuse_free(x->reuse);
	squashfs_index_free(x->index);
	source_free(x->image);
}

static char *find_liveimg(const char *folder)
{
	autostrv names = {0};

	if (file_list(folder, &names, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < names.count; i++)
		if (str_ends(names.items[i], LIVEIMG_SUFFIX))
			return xasprintf("%s/%s", folder, names.items[i]);
	return NULL;
}

/*
 * What can be reused only saves time: an earlier image that is damaged is as good as none.  The
 * last build is looked at first because its index is at hand; a previous image has to be unpacked.
 */
static void open_earlier(const struct liveimg_spec *spec, struct earlier *x, struct progress *p)
{
	autofree char *path = spec->earlier_folder ? find_liveimg(spec->earlier_folder) : NULL;
	struct err why = {0};
	int r = -ENOENT;

	if (path) {
		autofree char *index = xasprintf("%s/" LIVEIMG_INDEX, spec->earlier_folder);

		r = source_open_path(path, &x->image, &why);
		if (r == 0)
			r = squashfs_index_load(index, &x->index, &why);
		if (r == 0)
			r = squashfs_reuse_load(x->image, x->index, &x->reuse, NULL, &why);
	}
	if (r < 0 && spec->previous)
		r = squashfs_reuse_load(image_file(spec->previous), NULL, &x->reuse, p, &why);
	if (r < 0)
		log_debug("no earlier blocks are reused: %s", why.msg);
}

static int write_image(const struct liveimg_spec *spec, struct tree *t, const char *path,
	const struct squashfs_reuse *reuse, struct squashfs_result *out, struct progress *p,
	struct err *e)
{
	const struct squashfs_params params = {.compressor = spec->compressor,
		.level = spec->level,
		.time = spec->source_date,
		.reuse = reuse,
		.keep = spec->keep};
	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	if (!spec->rootfs_folder)
		return squashfs_write_tree(t, &params, fd, out, p, e);

	autofree char *image = xasprintf("%s/" ROOTFS_IMAGE, spec->rootfs_folder);
	autoptr(source) rootfs = NULL;
	int r = source_open_path(image, &rootfs, e);
	return r < 0 ? r : squashfs_write_image(rootfs, &params, fd, out, p, e);
}

static int make_squashfs(const struct liveimg_spec *spec, struct tree *t, const char *path,
	struct progress *p, struct err *e)
{
	autofree char *index = xasprintf("%s/" LIVEIMG_INDEX, spec->folder);
	auto_with(earlier_fini) struct earlier earlier = {0};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	int r;

	if (!spec->keep)
		open_earlier(spec, &earlier, p);
	r = write_image(spec, t, path, earlier.reuse, &result, p, e);
	if (r < 0)
		return r;
	log_info("liveimg: %llu blocks, %llu of them copied from an earlier image",
		(unsigned long long)result.blocks, (unsigned long long)result.reused_blocks);
	if (result.lost_xattrs > 0)
		log_warning("squashfs cannot hold %llu attributes (ACLs) of %llu files",
			(unsigned long long)result.lost_xattrs,
			(unsigned long long)result.lossy_files);
	return squashfs_index_save(result.index, index, e);
}

/* The .files list: made with the rootfs image, or now for a flat one. */
static int make_files(const struct liveimg_spec *spec, struct tree *t, const char *path,
	struct progress *p, struct err *e)
{
	autoptr(files) files = NULL;
	autofree char *text = NULL;
	size_t len = 0;
	int r;

	if (spec->rootfs_folder) {
		autofree char *made = xasprintf("%s/" ROOTFS_FILES, spec->rootfs_folder);

		r = file_read(made, FILES_MAX_BYTES, &text, &len, e);
	} else {
		r = files_compute(t, &files, p, e);
		if (r == 0)
			text = files_format(files, &len);
	}
	return r < 0 ? r : file_replace(path, text, len, 0644, e);
}

static int describe_file(const char *path, struct manifest_file *out, struct err *e)
{
	autoptr(source) s = NULL;
	int r = source_open_path(path, &s, e);

	if (r < 0)
		return r;
	out->file = xstrdup(strrchr(path, '/') + 1);
	out->size_bytes = s->size_bytes;
	return sha256_source(s, out->sha256, e);
}

static void describe_kernels(const struct tree *t, struct manifest *m)
{
	autostrv releases = {0};

	image_kernels(t, &releases);
	for (size_t i = 0; i < releases.count; i++) {
		struct manifest_kernel *k = manifest_add_kernel(m);
		autofree char *kernel = xasprintf("boot/vmlinuz-%s", releases.items[i]);
		autofree char *initramfs = xasprintf("boot/initrd.img-%s", releases.items[i]);
		const struct tree_entry *en = tree_find(t, kernel);

		k->release = xstrdup(releases.items[i]);
		k->kernel_bytes = en ? en->size_bytes : 0;
		en = tree_find(t, initramfs);
		k->initramfs_bytes = en ? en->size_bytes : 0;
	}
}

static int describe_previous(const struct liveimg_spec *spec, struct manifest *m, struct err *e)
{
	if (!spec->previous)
		return 0;
	autofree char *path = image_sibling(spec->previous, MANIFEST_SUFFIX);
	automanifest old = {0};
	int r = manifest_load(path, &old, e);

	/* An image without a manifest has no name: its layout is kept all the same. */
	if (r == -ENOENT) {
		*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	m->previous_name = xstrdup(old.name);
	m->previous_version = xstrdup(old.version);
	return 0;
}

static void describe_recipe(const struct recipe *recipe, struct manifest *m)
{
	m->name = xstrdup(recipe->name);
	m->upgrades_from_min = xstrdup_or_null(recipe->upgrades_from_min);
	m->upgrades_from_max = xstrdup_or_null(recipe->upgrades_from_max);
	m->recipe.file = xstrdup(recipe->file);
	m->recipe.size_bytes = strlen(recipe->canonical);
	sha256_buffer(recipe->canonical, m->recipe.size_bytes, m->recipe.sha256);
}

static void describe_base(const struct manifest *base, struct manifest *m)
{
	m->name = xstrdup(base->name);
	m->upgrades_from_min = xstrdup_or_null(base->upgrades_from_min);
	m->upgrades_from_max = xstrdup_or_null(base->upgrades_from_max);
	m->recipe = base->recipe;
	m->recipe.file = xstrdup_or_null(base->recipe.file);
}

static int describe(
	const struct liveimg_spec *spec, struct tree *t, struct manifest *m, struct err *e)
{
	int r;

	if (spec->base)
		describe_base(spec->base, m);
	else
		describe_recipe(spec->recipe, m);
	m->version = xstrdup(spec->version);
	m->arch = xstrdup(spec->arch);
	m->source_date = spec->source_date;
	m->rootfs_type = xstrdup(spec->rootfs_folder ? "squashfs-ext4" : "squashfs");
	m->tool = xstrdup("bedplate " BEDPLATE_VERSION);
	describe_kernels(t, m);
	r = packages_read(t, m, e);
	if (r == 0)
		r = describe_previous(spec, m, e);
	if (r == 0 && spec->rootfs_folder)
		r = rootfs_describe(spec->rootfs_folder, m, e);
	return r;
}

int liveimg_make(const struct liveimg_spec *spec, struct progress *p, struct err *e)
{
	autofree char *prefix = xasprintf("%s/%s-%s", spec->folder,
		spec->base ? spec->base->name : spec->recipe->name, spec->version);
	autofree char *image = xasprintf("%s" LIVEIMG_SUFFIX, prefix);
	autofree char *files = xasprintf("%s" FILES_SUFFIX, prefix);
	autofree char *sbom = xasprintf("%s" SBOM_SUFFIX, prefix);
	autofree char *manifest = xasprintf("%s" MANIFEST_SUFFIX, prefix);
	autofree char *text = NULL;
	autoptr(tree) own = NULL;
	automanifest m = {0};
	int r = spec->scanned ? 0 : tree_scan(spec->tree, &own, e);
	struct tree *t = spec->scanned ? spec->scanned : own;

	if (r < 0)
		return r;
	tree_clamp_times(t, spec->source_date);
	r = describe(spec, t, &m, e);
	if (r == 0)
		r = make_squashfs(spec, t, image, p, e);
	if (r == 0)
		r = describe_file(image, &m.liveimg, e);
	if (r == 0)
		r = make_files(spec, t, files, p, e);
	if (r == 0)
		r = describe_file(files, &m.files, e);
	if (r < 0)
		return r;

	text = sbom_format(&m);
	r = file_replace(sbom, text, strlen(text), 0644, e);
	if (r == 0)
		r = describe_file(sbom, &m.sbom, e);
	if (r < 0)
		return r;
	free(text);
	text = manifest_format(&m);
	return file_replace(manifest, text, strlen(text), 0644, e);
}
