/* SPDX-License-Identifier: Apache-2.0 */
/* Whether plugins fit an image and each other, without asking what their packages depend on. */
#include "plugin/fit.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/version.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "image/package-db.h"

#define DPKG_CONF_FOLDER "etc/dpkg/dpkg.cfg.d/"
#define DPKG_CONF_MAX    (1 * MIB)

/* ---- the image ---- */

/* Ranges are about the image that was released, not about what was made of it. */
static const char *released_version(const struct manifest *m)
{
	return m->made_from.count > 0 ? m->made_from.items[0].version : m->version;
}

static int check_image(const struct plugin_manifest *m, const struct manifest *image, struct err *e)
{
	const char *version = released_version(image);
	const struct plugin_image *named = NULL;

	for (size_t i = 0; i < m->image_count; i++) {
		const struct plugin_image *im = &m->images[i];

		if (!str_eq(im->name, image->name))
			continue;
		named = im;
		if ((!im->from || version_compare(version, im->from) >= 0) &&
			(!im->before || version_compare(version, im->before) < 0))
			return 0;
	}
	if (!named)
		return err_set(e, EINVAL, "it is not for image '%s'", image->name);
	return err_set(e, EINVAL, "it is for '%s'%s%s%s%s, not for %s", image->name,
		named->from ? " from " : "", named->from ? named->from : "",
		named->before ? " before " : "", named->before ? named->before : "", version);
}

static bool fits_kernel(const struct plugin_module *module, const char *release)
{
	for (size_t i = 0; i < module->kernels.count; i++)
		if (fnmatch(module->kernels.items[i], release, 0) == 0)
			return true;
	return false;
}

static int check_modules(
	const struct plugin_manifest *m, const struct manifest *image, struct err *e)
{
	for (size_t i = 0; i < m->module_count; i++) {
		if (image->kernel_count == 0)
			return err_set(e, EINVAL, "module '%s': the image has no kernel",
				m->modules[i].name);
		for (size_t k = 0; k < image->kernel_count; k++)
			if (!fits_kernel(&m->modules[i], image->kernels[k].release))
				return err_set(e, EINVAL,
					"module '%s' is not for kernel %s of the image",
					m->modules[i].name, image->kernels[k].release);
	}
	return 0;
}

static int check_arch(const struct plugin_manifest *m, const struct manifest *image, struct err *e)
{
	for (size_t i = 0; i < m->package_count; i++)
		if (!str_eq(m->packages[i].arch, "all") &&
			!str_eq(m->packages[i].arch, image->arch))
			return err_set(e, EINVAL, "package '%s' is for %s, the image for %s",
				m->packages[i].name, m->packages[i].arch, image->arch);
	return 0;
}

/* ---- other plugins ---- */

static int check_names(const struct plugin_manifest *m, const struct plugin_manifest *other,
	const char *where, struct err *e)
{
	if (str_eq(m->name, other->name))
		return err_set(
			e, EEXIST, "plugin '%s' %s is %s already", m->name, other->version, where);
	if (strv_has(&m->conflicts, other->name) || strv_has(&other->conflicts, m->name))
		return err_set(e, ENOTUNIQ, "plugins '%s' and '%s' exclude each other", m->name,
			other->name);
	return 0;
}

static int check_packages(
	const struct plugin_manifest *m, const struct plugin_manifest *other, struct err *e)
{
	for (size_t i = 0; i < m->package_count; i++) {
		const struct plugin_package *p = &m->packages[i];
		const struct plugin_package *q = plugin_manifest_package(other, p->name);

		if (q && memcmp(p->member.sha256, q->member.sha256, SHA256_BYTES) != 0)
			return err_set(e, ENOTUNIQ,
				"plugins '%s' and '%s' bring different packages '%s': %s and %s",
				other->name, m->name, p->name, q->version, p->version);
	}
	return 0;
}

/* The same file in two packages; one package in both plugins is none. */
static int check_deb(
	const struct candidate *a, const struct candidate *b, size_t package, struct err *e)
{
	const struct plugin_manifest *m = &a->plugin.manifest, *other = &b->plugin.manifest;
	const struct deb_files *files = &a->debs[package];

	if (plugin_manifest_package(other, m->packages[package].name))
		return 0;
	for (size_t i = 0; i < files->count; i++) {
		if (files->items[i].is_folder)
			continue;
		for (size_t k = 0; k < other->package_count; k++)
			if (deb_files_find(&b->debs[k], files->items[i].path))
				return err_set(e, ENOTUNIQ,
					"plugins '%s' and '%s' both bring '/%s'", other->name,
					m->name, files->items[i].path);
	}
	return 0;
}

static int check_pair(const struct candidate *a, const struct candidate *b, struct err *e)
{
	int r = check_names(&a->plugin.manifest, &b->plugin.manifest, "given", e);

	if (r == 0)
		r = check_packages(&a->plugin.manifest, &b->plugin.manifest, e);
	for (size_t i = 0; r == 0 && i < a->plugin.manifest.package_count; i++)
		r = check_deb(a, b, i, e);
	return r;
}

static int check_others(
	struct candidates *c, size_t index, const struct candidates_place *place, struct err *e)
{
	const struct plugin_records *records = place->records;
	const char *where = place->where ? place->where : "in the image";
	const struct candidate *x = &c->items[index];
	int r = 0;

	for (size_t i = 0; r == 0 && i < records->count; i++)
		r = check_names(&x->plugin.manifest, &records->items[i].manifest, where, e);
	for (size_t i = 0; r == 0 && i < index; i++)
		r = check_pair(x, &c->items[i], e);
	return r;
}

/* ---- packages ---- */

/* dpkg's path-exclude and path-include, in the order of the files: the last one that fits counts. */
struct excludes {
	struct strv patterns; /* with a '-' or '+' in front */
};

static void take_patterns(struct excludes *x, char *text)
{
	char *rest = text;

	for (char *line; (line = str_next_word(&rest, "\n"));) {
		bool out = str_starts(line, "path-exclude"), in = str_starts(line, "path-include");
		const char *value = line + strlen("path-exclude");

		if (!out && !in)
			continue;
		value += strspn(value, " \t=");
		strv_take(&x->patterns, xasprintf("%c%s", out ? '-' : '+', value));
	}
}

static int read_excludes(struct tree *t, struct excludes *x, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];
		autofree char *text = NULL;

		if (!S_ISREG(en->mode) || !str_starts(en->path, DPKG_CONF_FOLDER))
			continue;
		int r = image_read(t, en->path, DPKG_CONF_MAX, &text, NULL, e);
		if (r < 0)
			return r;
		take_patterns(x, text);
	}
	return 0;
}

static bool is_excluded(const struct excludes *x, const char *path)
{
	autofree char *full = xasprintf("/%s", path);

	for (size_t i = x->patterns.count; i > 0; i--)
		if (fnmatch(x->patterns.items[i - 1] + 1, full, 0) == 0)
			return x->patterns.items[i - 1][0] == '-';
	return false;
}

static int check_file(const struct candidate *x, const struct plugin_package *p,
	const struct candidates_place *place, const char *path, struct err *e)
{
	autofree char *real = plugin_real_path(place->tree, path, false);
	const char *owner = real ? plugin_records_owner(place->records, real) : NULL;

	if (!real || !plugin_policy_declares(x->policy, real))
		return err_set(e, EACCES,
			"plugin '%s': package '%s' writes '/%s', which the plugin does not declare",
			x->plugin.manifest.name, p->name, real ? real : path);
	if (owner)
		return err_set(e, ENOTUNIQ, "plugins '%s' and '%s' both write '/%s'", owner,
			x->plugin.manifest.name, real);
	if (tree_find(place->tree, real))
		return err_set(e, EEXIST,
			"plugin '%s': package '%s' brings '/%s', which the image has already",
			x->plugin.manifest.name, p->name, real);
	return 0;
}

static int check_writes(const struct candidate *x, const struct candidates_place *place,
	const struct excludes *excluded, struct err *e)
{
	const struct plugin_manifest *m = &x->plugin.manifest;

	for (size_t i = 0; i < x->install_count; i++) {
		const struct plugin_package *p = x->install[i];
		const struct deb_files *files = &x->debs[p - m->packages];

		for (size_t k = 0; k < files->count; k++) {
			const struct deb_file *f = &files->items[k];
			int r = f->is_folder || is_excluded(excluded, f->path)
				? 0
				: check_file(x, p, place, f->path, e);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int fit_read_status(struct tree *t, struct strbuf *out, struct err *e)
{
	static const char *const places[] = {"var/lib/dpkg/status", "usr/lib/bedplate/dpkg/status"};
	autofree char *text = NULL;
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (!image_resolve(t, places[i]))
			continue;
		int r = image_read(t, places[i], DPKG_STATUS_MAX_BYTES, &text, &len, e);
		if (r == 0)
			strbuf_printf(out, "%s%s", text, str_ends(text, "\n\n") ? "" : "\n");
		return r;
	}
	return err_set(e, ENOENT, "the image has no package database of dpkg");
}

static const struct manifest_package *installed(const struct manifest *db, const char *name)
{
	for (size_t i = 0; i < db->package_count; i++)
		if (str_eq(db->packages[i].name, name))
			return &db->packages[i];
	return NULL;
}

static int err_replaces(
	const struct plugin_package *p, const struct manifest_package *q, struct err *e)
{
	return err_set(e, EEXIST,
		"it brings package '%s' %s, the image has %s: a plugin does not replace packages",
		p->name, p->version, q->version);
}

/* A package that the recipe names is that of the plugin, or the same one of the image. */
int fit_check_versions(
	const struct candidate *x, const char *status, const struct strv *names, struct err *e)
{
	automanifest db = {0};
	int r = packages_parse(status, &db, e);

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		const struct plugin_package *p = plugin_manifest_package(
			&x->plugin.manifest, names->items[i]);
		const struct manifest_package *q = installed(&db, names->items[i]);

		if (p && q && !str_eq(p->version, q->version))
			r = err_replaces(p, q, e);
	}
	return r;
}

static int check_versions_of(
	const struct plugin_manifest *m, const struct manifest *image, struct err *e)
{
	for (size_t i = 0; i < m->package_count; i++) {
		const struct plugin_package *p = &m->packages[i];
		const struct manifest_package *q = installed(image, p->name);

		if (q && !str_eq(p->version, q->version))
			return err_replaces(p, q, e);
	}
	return 0;
}

int plugin_fits_manifest(
	const struct plugin_manifest *m, const struct manifest *image, struct err *e)
{
	int r = check_image(m, image, e);

	if (r == 0)
		r = check_arch(m, image, e);
	if (r == 0)
		r = check_modules(m, image, e);
	for (size_t i = 0; r == 0 && i < image->plugins.count; i++)
		if (strv_has(&m->conflicts, image->plugins.items[i].name))
			r = err_set(e, ENOTUNIQ, "it excludes plugin '%s' of the image",
				image->plugins.items[i].name);
	return r == 0 ? check_versions_of(m, image, e) : r;
}

static int check_one(
	struct candidates *c, size_t i, const struct candidates_place *place, struct err *e)
{
	const struct plugin_manifest *m = &c->items[i].plugin.manifest;
	int r = check_image(m, place->image, e);

	if (r == 0)
		r = check_arch(m, place->image, e);
	if (r == 0)
		r = check_modules(m, place->image, e);
	if (r < 0)
		return err_wrap(e, r, "plugin '%s' %s", m->name, m->version);
	return check_others(c, i, place, e);
}

int fit_check_names(struct candidates *c, const struct candidates_place *place, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		r = check_one(c, i, place, e);
		c->items[i].policy = plugin_policy_new(&c->items[i].plugin.manifest, place->tree);
	}
	return r;
}

int fit_check_writes(
	const struct candidates *c, const struct candidates_place *place, struct err *e)
{
	struct excludes excluded = {0};
	int r = read_excludes(place->tree, &excluded, e);

	for (size_t i = 0; r == 0 && i < c->count; i++)
		r = check_writes(&c->items[i], place, &excluded, e);
	strv_fini(&excluded.patterns);
	return r;
}

bool fit_has_packages(const struct candidates *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->items[i].plugin.manifest.package_count > 0)
			return true;
	return false;
}

/* Those that are not there in the same version. */
static int choose_all(struct candidate *x, const char *status, struct err *e)
{
	const struct plugin_manifest *m = &x->plugin.manifest;
	automanifest db = {0};
	autostrv names = {0};
	int r = packages_parse(status, &db, e);

	for (size_t i = 0; i < m->package_count; i++)
		strv_add(&names, m->packages[i].name);
	if (r == 0)
		r = fit_check_versions(x, status, &names, e);
	if (r < 0)
		return err_wrap(e, r, "plugin '%s'", m->name);
	x->install = xcalloc(m->package_count + 1, sizeof(*x->install));
	for (size_t i = 0; i < m->package_count; i++)
		if (!installed(&db, m->packages[i].name))
			x->install[x->install_count++] = &m->packages[i];
	return 0;
}

int candidates_check_all(struct candidates *c, const struct candidates_place *place, struct err *e)
{
	autostrbuf status = {0};
	int r = fit_check_names(c, place, e);

	if (r == 0 && fit_has_packages(c))
		r = fit_read_status(place->tree, &status, e);
	for (size_t i = 0; r == 0 && i < c->count; i++)
		if (c->items[i].plugin.manifest.package_count > 0)
			r = choose_all(&c->items[i], status.data, e);
	return r == 0 ? fit_check_writes(c, place, e) : r;
}
