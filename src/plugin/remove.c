/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/remove.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "plugin/apply.h"
#include "plugin/undo.h"

struct removal {
	const struct plugin_remove_spec *spec;
	struct progress *progress;
	char *staging;               /* folder in the output folder */
	bool made;                   /* the output folder is new */
	struct manifest_parts again; /* to be applied again, in this order */
};

static void remove_folder(const char *path)
{
	struct err e = {0};

	if (file_remove_tree(path, &e) < 0)
		log_warning("%s", e.msg);
}

static void removal_fini(struct removal *r)
{
	for (size_t i = 0; i < r->again.count; i++) {
		free(r->again.items[i].name);
		free(r->again.items[i].version);
	}
	free(r->again.items);
	if (r->staging)
		remove_folder(r->staging);
	/* Not when there is something in it. */
	if (r->made)
		(void)!rmdir(r->spec->derive.output);
	free(r->staging);
}

/* The image before d, in a folder of its own.  The caller frees *path. */
static int step_back(
	struct removal *x, const struct derive *d, unsigned number, char **path, struct err *e)
{
	autofree char *folder = xasprintf("%s/%u", x->staging, number);
	autofree char *undo = NULL;
	int r = derive_undo_path(d, &undo, e);

	if (r == 0)
		r = file_make_folder(folder, 0755, e);
	return r == 0 ? undo_apply(d->image, undo, folder, path, x->progress, e) : r;
}

/* Go back until the plugin is not there; *path is the image then. */
static int go_back(struct removal *x, const char *image, unsigned number, char **path,
	const struct manifest *newest, struct err *e)
{
	/* What was made here is what its digest said. */
	const struct derive_spec spec = {.image = image};
	autoderive d = {.spec = &spec, .progress = x->progress, .root_fd = -1, .log_fd = -1};
	autofree char *before = NULL;
	int r = derive_load(&d, e);

	if (r < 0)
		return r;
	if (!manifest_find_part(&d.manifest.plugins, x->spec->name)) {
		if (newest->edited && !d.manifest.edited)
			return err_set(e, EINVAL,
				"the image was edited since: what was edited would be lost");
		for (size_t i = d.manifest.plugins.count; i < newest->plugins.count; i++)
			if (!str_eq(newest->plugins.items[i].name, x->spec->name))
				manifest_add_part(&x->again, &newest->plugins.items[i]);
		*path = xstrdup(image);
		return 0;
	}
	r = step_back(x, &d, number, &before, e);
	return r == 0 ? go_back(x, before, number + 1, path, newest, e) : r;
}

/* The file of a plugin, found by its digest. */
static int find_plugin(
	const struct removal *x, const struct manifest_part *part, struct strv *out, struct err *e)
{
	uint8_t sum[SHA256_BYTES];

	for (size_t i = 0; i < x->spec->plugins.count; i++) {
		int r = sha256_file(x->spec->plugins.items[i], sum, e);

		if (r < 0)
			return r;
		if (memcmp(sum, part->sha256, SHA256_BYTES) == 0) {
			strv_add(out, x->spec->plugins.items[i]);
			return 0;
		}
	}
	return err_set(e, ENOENT,
		"plugin '%s' %s came with '%s' or after it and has to be applied again: give its "
		"file with --plugin",
		part->name, part->version, x->spec->name);
}

static int apply_again(
	struct removal *x, const char *image, struct derive_result *out, struct err *e)
{
	struct plugin_apply_spec spec = {.derive = x->spec->derive};
	autostrv files = {0};
	int r = 0;

	/* The image was checked where it came from, and may have been signed by nobody. */
	spec.derive.image = image;
	spec.trust_plugins_only = true;
	for (size_t i = 0; r == 0 && i < x->again.count; i++)
		r = find_plugin(x, &x->again.items[i], &files, e);
	spec.plugins = files;
	return r == 0 ? plugin_apply(&spec, out, x->progress, e) : r;
}

static int publish(struct removal *x, const char *image, struct derive_result *out, struct err *e)
{
	autofree char *folder = xstrndup(image, (size_t)(strrchr(image, '/') - image));
	autofree char *path = xasprintf("%s%s", x->spec->derive.output, strrchr(image, '/'));
	autoptr(image) img = NULL;
	automanifest m = {0};
	int r = derive_publish(folder, x->spec->derive.output, e);

	if (r == 0)
		r = image_open(path, &img, e);
	if (r < 0)
		return r;
	autofree char *manifest = image_sibling(img, MANIFEST_SUFFIX);
	r = manifest_load(manifest, &m, e);
	if (r < 0)
		return r;
	*out = (struct derive_result){.name = xstrdup(m.name),
		.version = xstrdup(m.version),
		.image = take_ptr(path),
		.manifest = take_ptr(manifest),
		.image_bytes = m.liveimg.size_bytes,
		.rootfs_bytes = m.rootfs.size_bytes};
	return 0;
}

static int run(struct removal *x, const struct derive *d, struct derive_result *out, struct err *e)
{
	autofree char *first = NULL, *image = NULL;
	int r = derive_staging(x->spec->derive.output, &x->staging, &x->made, e);

	if (r == 0)
		r = step_back(x, d, 0, &first, e);
	if (r == 0)
		r = go_back(x, first, 1, &image, &d->manifest, e);
	if (r < 0)
		return r;
	return x->again.count > 0 ? apply_again(x, image, out, e) : publish(x, image, out, e);
}

int plugin_remove(const struct plugin_remove_spec *spec, struct derive_result *out,
	struct progress *p, struct err *e)
{
	auto_with(removal_fini) struct removal x = {.spec = spec, .progress = p};
	autoderive d = {.spec = &spec->derive, .progress = p, .root_fd = -1, .log_fd = -1};
	int r = derive_load(&d, e);

	if (r < 0)
		return r;
	if (!manifest_find_part(&d.manifest.plugins, spec->name))
		return err_set(
			e, ENOENT, "no plugin '%s' in '%s'", spec->name, image_path(d.image));
	return run(&x, &d, out, e);
}
