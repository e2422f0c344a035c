/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/applied.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/files.h"
#include "image/package-db.h"
#include "pkg/deb822.h"
#include "plugin/derive.h"
#include "plugin/policy.h"
#include "plugin/record.h"
#include "plugin/solve.h"
#include "plugin/undo.h"

struct verification {
	const struct plugin_verify_spec *spec;
	struct progress *progress;
	struct derive d;
	struct plugin_records records;
	struct plugin_policy **policies; /* of each record */
	struct files *original, *files;
	bool kernel; /* modules or what goes into an initramfs have changed */
	char *work;  /* folder for images on the way back, or NULL */
};

static void verification_fini(struct verification *v)
{
	struct err e = {0};

	for (size_t i = 0; v->policies && i < v->records.count; i++)
		plugin_policy_free(v->policies[i]);
	free(v->policies);
	plugin_records_fini(&v->records);
	files_free(v->original);
	files_free(v->files);
	derive_fini(&v->d);
	if (v->work && file_remove_tree(v->work, &e) < 0)
		log_warning("%s", e.msg);
	free(v->work);
}

PRINTF(2, 3)
static void passed(struct verification *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *what = xvasprintf(fmt, ap);
	va_end(ap);
	if (v->spec->passed)
		v->spec->passed(v->spec->ctx, what);
}

static int differs(struct err *e, const char *path, const char *how)
{
	autofree char *safe = str_printable(path);

	return err_set(e, EBADMSG, "'/%s' %s", safe, how);
}

/* ---- the records ---- */

static void note_kernel(struct verification *v, const struct plugin_record *rec)
{
	v->kernel |= rec->manifest.module_count > 0;
	for (size_t i = 0; i < rec->files->count; i++)
		v->kernel |= derive_touches_kernel(rec->files->entries[i].path);
	for (size_t i = 0; i < rec->removed.count; i++)
		v->kernel |= derive_touches_kernel(rec->removed.items[i]);
}

static int check_records(struct verification *v, struct err *e)
{
	const struct manifest *m = &v->d.manifest;
	int r = plugin_records_read(image_tree(v->d.image), &v->records, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < m->plugins.count; i++) {
		const struct manifest_part *part = &m->plugins.items[i];
		const struct plugin_record *rec = plugin_records_find(&v->records, part->name);

		if (!rec || !str_eq(rec->manifest.version, part->version) ||
			memcmp(rec->sha256, part->sha256, SHA256_BYTES) != 0)
			return err_set(e, EBADMSG,
				"plugin '%s' %s of the manifest is not recorded in the image",
				part->name, part->version);
	}
	for (size_t i = 0; i < v->records.count; i++)
		if (!manifest_find_part(&m->plugins, v->records.items[i].manifest.name))
			return err_set(e, EBADMSG,
				"plugin '%s' in the image is not in the manifest",
				v->records.items[i].manifest.name);
	for (size_t i = 0; i < v->records.count; i++)
		note_kernel(v, &v->records.items[i]);
	passed(v, "plugins: %zu", m->plugins.count);
	return 0;
}

/* ---- the image before them ---- */

static int parse_list(char *text, size_t len, struct files **out, struct err *e)
{
	int r = files_parse(text, len, out, e);

	return r < 0 ? err_wrap(e, r, "list of the original files") : 0;
}

static int take_original(
	struct verification *v, const struct derive *d, const char *undo, struct err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = undo_read(d->image, undo, FILES_SUFFIX, &text, &len, e);

	return r == 0 ? parse_list(text, len, &v->original, e) : r;
}

static int make_work(struct verification *v, struct err *e)
{
	return v->work ? 0 : file_make_temporary(NULL, "bedplate-verify", &v->work, e);
}

static int find_original(
	struct verification *v, const struct derive *d, unsigned number, struct err *e);

/* Make the image before this one again and look into that. */
static int go_back(struct verification *v, const struct derive *d, const char *undo,
	unsigned number, struct err *e)
{
	autofree char *folder = NULL, *path = NULL;
	int r = make_work(v, e);

	if (r < 0)
		return r;
	folder = xasprintf("%s/%u", v->work, number);
	r = file_make_folder(folder, 0700, e);
	if (r == 0)
		r = undo_apply(d->image, undo, folder, &path, v->progress, e);
	if (r < 0)
		return r;
	const struct derive_spec spec = {.image = path};
	autoderive before = {.spec = &spec, .progress = v->progress, .root_fd = -1, .log_fd = -1};
	r = derive_load(&before, e);
	if (r < 0)
		return r;
	if (before.manifest.made_from.count == 0)
		return files_compute(image_tree(before.image), &v->original, v->progress, e);
	return find_original(v, &before, number + 1, e);
}

/* The list that lay beside the first image; one that came from a medium had none. */
static int find_original(
	struct verification *v, const struct derive *d, unsigned number, struct err *e)
{
	autofree char *undo = NULL;
	int r = derive_undo_path(d, &undo, e);

	if (r == 0 && d->manifest.made_from.count == 1) {
		r = take_original(v, d, undo, e);
		if (r != -ENOENT)
			return r;
		*e = (struct err){0};
		r = 0;
	}
	return r == 0 ? go_back(v, d, undo, number, e) : r;
}

static struct tree_entry as_entry(const struct files_entry *en)
{
	return (struct tree_entry){.path = en->path, .target = en->target, .mode = en->mode};
}

/* Without content: for following links. */
static struct tree *names_of(const struct files *f)
{
	static const struct tree_ops no_content;
	struct tree *t = tree_new(&no_content, NULL);

	for (size_t i = 0; i < f->count; i++) {
		const struct files_entry *en = &f->entries[i];

		tree_add(t,
			&(struct tree_entry){.path = xstrdup(en->path),
				.target = xstrdup_or_null(en->target),
				.mode = en->mode,
				.link_of = i});
	}
	return t;
}

static bool same_file(const struct files_entry *a, const struct files_entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
		a->size_bytes == b->size_bytes && a->dev_major == b->dev_major &&
		a->dev_minor == b->dev_minor && memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0 &&
		!a->target == !b->target && (!a->target || str_eq(a->target, b->target)) &&
		xattrs_equal(a->xattrs, a->xattr_count, b->xattrs, b->xattr_count);
}

static bool is_allowed(const struct verification *v, const struct files_entry *en, bool is_new)
{
	struct tree_entry t = as_entry(en);

	for (size_t i = 0; i < v->records.count; i++)
		if (plugin_policy_allows(v->policies[i], &t, is_new))
			return true;
	return plugin_path_is_common(en->path) || (v->kernel && derive_is_kernels(en->path));
}

static int compare_lists(struct verification *v, struct err *e)
{
	size_t i = 0, k = 0;

	while (i < v->original->count || k < v->files->count) {
		const struct files_entry *was = i < v->original->count ? &v->original->entries[i]
								       : NULL;
		const struct files_entry *is = k < v->files->count ? &v->files->entries[k] : NULL;
		int order = !was ? 1 : !is ? -1 : tree_path_compare(was->path, is->path);

		if (order < 0 && !is_allowed(v, was, false))
			return differs(e, was->path, "of the original image is not there");
		if (order > 0 && !is_allowed(v, is, true))
			return differs(e, is->path, "is of no plugin");
		if (order == 0 && !same_file(was, is) && !is_allowed(v, is, false))
			return differs(e, is->path, "of the original image has changed");
		i += order <= 0;
		k += order >= 0;
	}
	passed(v, "original: %zu files", v->original->count);
	return 0;
}

static int check_original(struct verification *v, struct err *e)
{
	int r;

	if (v->d.manifest.edited) {
		passed(v, "original: not compared, the image was edited");
		return 0;
	}
	r = find_original(v, &v->d, 0, e);
	if (r < 0)
		return r;
	autoptr(tree) names = names_of(v->original);
	v->policies = xcalloc(v->records.count + 1, sizeof(struct plugin_policy *));
	for (size_t i = 0; i < v->records.count; i++)
		v->policies[i] = plugin_policy_new(&v->records.items[i].manifest, names);
	return compare_lists(v, e);
}

/* ---- what they wrote ---- */

/* The firewall's rules, the boot configuration and folders belong to several. */
static bool is_shared(const struct verification *v, size_t index, const char *path)
{
	for (size_t i = 0; i < v->records.count; i++)
		if (i != index && files_find(v->records.items[i].files, path))
			return true;
	return false;
}

static int check_plugin(struct verification *v, size_t index, struct err *e)
{
	const struct plugin_record *rec = &v->records.items[index];

	for (size_t i = 0; i < rec->files->count; i++) {
		const struct files_entry *want = &rec->files->entries[i];
		const struct files_entry *got = files_find(v->files, want->path);
		autofree char *safe = str_printable(want->path);

		if (!got)
			return err_set(e, EBADMSG, "'/%s' of plugin '%s' is not there", safe,
				rec->manifest.name);
		if (!same_file(want, got) && !is_shared(v, index, want->path) &&
			!derive_is_kernels(want->path))
			return err_set(e, EBADMSG, "'/%s' is not as plugin '%s' wrote it", safe,
				rec->manifest.name);
	}
	passed(v, "%s %s: %zu files", rec->manifest.name, rec->manifest.version, rec->files->count);
	return 0;
}

/* ---- the package database ---- */

static int check_states(const char *status, struct err *e)
{
	static const char *const fields[] = {"Package", "Status"};
	struct deb822 d = {.at = status, .end = status + strlen(status)};
	struct slice v[ARRAY_LEN(fields)];

	while (deb822_next(&d, fields, v, ARRAY_LEN(fields))) {
		autofree char *name = slice_dup(v[0]), *state = slice_dup(v[1]);
		autofree char *safe = str_printable(name);

		if (!str_ends(state, " installed") && !str_ends(state, " config-files") &&
			!str_ends(state, " not-installed"))
			return err_set(e, EBADMSG, "package '%s' is not completely installed: %s",
				safe, state);
	}
	return 0;
}

static int check_installed(struct verification *v, const char *status, struct err *e)
{
	automanifest db = {0};
	int r = packages_parse(status, &db, e);

	manifest_sort(&db);
	for (size_t i = 0; r == 0 && i < v->records.count; i++) {
		const struct plugin_manifest *m = &v->records.items[i].manifest;

		for (size_t k = 0; r == 0 && k < m->package_count; k++) {
			const char *name = m->packages[k].name;
			autofree char *list = xasprintf("var/lib/dpkg/info/%s.list", name);
			autofree char *arch_list = xasprintf(
				"var/lib/dpkg/info/%s:%s.list", name, m->packages[k].arch);
			bool is_there = false;

			for (size_t n = 0; n < db.package_count; n++)
				is_there |= str_eq(db.packages[n].name, name);
			/* What nobody needed was not installed. */
			if (is_there && !image_resolve(image_tree(v->d.image), list) &&
				!image_resolve(image_tree(v->d.image), arch_list))
				r = err_set(
					e, EBADMSG, "package '%s' has no list of its files", name);
		}
	}
	return r;
}

static int check_packages(struct verification *v, struct err *e)
{
	struct tree *t = image_tree(v->d.image);
	autofree char *status = NULL;
	int r = image_read(t, "var/lib/dpkg/status", DPKG_STATUS_MAX_BYTES, &status, NULL, e);

	if (r == -ENOENT) {
		*e = (struct err){0};
		passed(v, "packages: no database");
		return 0;
	}
	if (r == 0)
		r = check_states(status, e);
	if (r == 0)
		r = check_installed(v, status, e);
	if (r == 0)
		r = plugin_solve_check(status, v->d.manifest.arch, e);
	if (r == 0)
		passed(v, "packages: complete, nothing is missing for them");
	return r;
}

static int verify(struct verification *v, struct err *e)
{
	int r = derive_load(&v->d, e);

	if (r < 0)
		return r;
	passed(v, "image: %s %s", v->d.manifest.name, v->d.manifest.version);
	r = check_records(v, e);
	if (r < 0)
		return r;
	r = files_compute(image_tree(v->d.image), &v->files, v->progress, e);
	if (r == 0 && v->records.count > 0)
		r = check_original(v, e);
	for (size_t i = 0; r == 0 && i < v->records.count; i++)
		r = check_plugin(v, i, e);
	return r == 0 ? check_packages(v, e) : r;
}

int plugin_verify(const struct plugin_verify_spec *spec, struct progress *p, struct err *e)
{
	const struct derive_spec derive = {.image = spec->image, .trust = spec->trust};
	auto_with(verification_fini) struct verification v = {.spec = spec,
		.progress = p,
		.d = {.spec = &derive, .progress = p, .root_fd = -1, .log_fd = -1}};
	struct err own = {0};
	int r = verify(&v, &own);

	if (r < 0 && e)
		*e = own;
	return r;
}
