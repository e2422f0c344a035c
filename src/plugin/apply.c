/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "plugin/candidate.h"
#include "plugin/install.h"

#define VERSION_MAX 200

struct application {
	struct derive d;
	struct candidates plugins;
	struct plugin_records records; /* of those that the image has */
	struct manifest_parts parts;   /* those, and these */
	struct strv *written;          /* by each of the new ones: files, sorted */
	struct tree *seen;             /* the tree after the last one */
	bool kernel;
};

static void application_fini(struct application *a)
{
	for (size_t i = 0; a->written && i < a->plugins.count; i++)
		strv_fini(&a->written[i]);
	free(a->written);
	for (size_t i = 0; i < a->parts.count; i++) {
		free(a->parts.items[i].name);
		free(a->parts.items[i].version);
	}
	free(a->parts.items);
	tree_free(a->seen);
	candidates_fini(&a->plugins);
	plugin_records_fini(&a->records);
	derive_fini(&a->d);
}

static bool is_in(const struct strv *sorted, const char *path)
{
	size_t low = 0, high = sorted->count;

	while (low < high) {
		size_t at = low + (high - low) / 2;
		int order = strcmp(sorted->items[at], path);

		if (order == 0)
			return true;
		if (order < 0)
			low = at + 1;
		else
			high = at;
	}
	return false;
}

/* The plugin that the file is of already, or NULL. */
static const char *owner_of(const struct application *a, size_t index, const char *path)
{
	for (size_t i = 0; i < index; i++)
		if (is_in(&a->written[i], path))
			return a->plugins.items[i].plugin.manifest.name;
	return plugin_records_owner(&a->records, path);
}

static int check_change(
	const struct application *a, size_t index, const struct change *c, struct err *e)
{
	const char *path = c->en->path;
	const char *owner = plugin_path_is_common(path) || S_ISDIR(c->en->mode) ||
			(c->kind == CHANGE_CHANGED && plugin_path_is_of_accounts(path))
		? NULL
		: owner_of(a, index, path);

	return plugin_policy_check(a->plugins.items[index].policy, c, owner, e);
}

static void note_written(struct strv *written, const struct changes *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->items[i].kind != CHANGE_REMOVED && !S_ISDIR(c->items[i].en->mode) &&
			!plugin_path_is_common(c->items[i].en->path))
			strv_add(written, c->items[i].en->path);
	strv_sort(written);
}

/* What it has done, and whether it may. */
static int judge(struct application *a, size_t index, struct err *e)
{
	struct derive *d = &a->d;
	const struct candidate *x = &a->plugins.items[index];
	autoptr(tree) now = NULL;
	autochanges c = {0};
	int r = tree_scan(d->tree_path, &now, e);

	if (r == 0)
		r = changes_find(image_tree(d->plain), a->seen ? a->seen : d->before, now, &c, e);
	for (size_t i = 0; r == 0 && i < c.count; i++)
		r = check_change(a, index, &c.items[i], e);
	if (r < 0)
		return r;
	a->kernel |= x->plugin.manifest.module_count > 0;
	for (size_t i = 0; i < c.count; i++)
		a->kernel |= derive_touches_kernel(c.items[i].en->path);
	note_written(&a->written[index], &c);
	r = plugin_record_write(d->root_fd, d->tree_path, &x->plugin.manifest, x->sha256, &c,
		d->manifest.source_date, e);
	changes_fini(&c);
	tree_free(a->seen);
	a->seen = take_ptr(now);
	return r;
}

static int install_one(struct application *a, size_t index, struct err *e)
{
	struct derive *d = &a->d;
	const struct plugin_place place = {.tree_path = d->tree_path,
		.root_fd = d->root_fd,
		.source_date = d->manifest.source_date,
		.log_fd = d->log_fd};
	int r = plugin_install(&a->plugins.items[index], &place, e);

	return r == 0 ? judge(a, index, e) : r;
}

static int install_all(struct application *a, struct err *e)
{
	int r = 0;

	a->written = xcalloc(a->plugins.count + 1, sizeof(*a->written));
	progress_begin(a->d.progress, "plugins", a->plugins.count, "steps");
	for (size_t i = 0; r == 0 && i < a->plugins.count; i++) {
		r = install_one(a, i, e);
		if (r == 0)
			r = progress_advance(a->d.progress, i + 1, e);
	}
	progress_end(a->d.progress);
	return r;
}

static int set_parts(struct application *a, char **version, struct err *e)
{
	const struct manifest *m = &a->d.manifest;
	autostrbuf b = {0};

	strbuf_puts(&b, m->version);
	for (size_t i = 0; i < m->plugins.count; i++)
		manifest_add_part(&a->parts, &m->plugins.items[i]);
	for (size_t i = 0; i < a->plugins.count; i++) {
		const struct candidate *x = &a->plugins.items[i];
		struct manifest_part part = {
			.name = x->plugin.manifest.name, .version = x->plugin.manifest.version};

		strbuf_printf(&b, "%c%s", i == 0 && m->made_from.count == 0 ? '+' : '.', part.name);
		memcpy(part.sha256, x->sha256, SHA256_BYTES);
		manifest_add_part(&a->parts, &part);
	}
	if (b.len > VERSION_MAX)
		return err_set(e, ENAMETOOLONG, "the version '%.40s...' would be too long", b.data);
	*version = strbuf_take(&b);
	return 0;
}

static int check(struct application *a, struct err *e)
{
	struct derive *d = &a->d;
	int r = plugin_records_read(image_tree(d->image), &a->records, e);
	const struct candidates_place place = {.image = &d->manifest,
		.tree = image_tree(d->image),
		.records = &a->records,
		.work = d->work};

	if (r < 0)
		return err_wrap(e, r, "'%s'", image_path(d->image));
	return candidates_check(&a->plugins, &place, e);
}

static uint64_t largest_root(const struct candidates *c)
{
	uint64_t size = 0;

	for (size_t i = 0; i < c->count; i++)
		size = MAX(size, c->items[i].plugin.recipe->root_size_bytes);
	return size;
}

int plugin_apply(const struct plugin_apply_spec *spec, struct derive_result *out,
	struct progress *p, struct err *e)
{
	struct derive_spec derive = spec->derive;
	auto_with(application_fini) struct application a = {
		.d = {.spec = &derive, .progress = p, .root_fd = -1, .log_fd = -1}};
	const struct plugin_demand demand = {.trust = spec->derive.trust};
	autofree char *version = NULL;
	int r = candidates_read(&spec->plugins, &demand, p, &a.plugins, e);

	if (spec->trust_plugins_only)
		derive.trust = (struct strv){0};
	if (r == 0)
		r = derive_open(&a.d, e);
	if (r == 0)
		r = check(&a, e);
	if (r == 0)
		r = set_parts(&a, &version, e);
	if (r == 0)
		r = derive_unpack(&a.d, e);
	if (r == 0)
		r = install_all(&a, e);
	if (r < 0)
		return r;
	const struct derive_change change = {.version = version,
		.plugins = &a.parts,
		.edited = a.d.manifest.edited,
		.kernel = a.kernel,
		.size_bytes = largest_root(&a.plugins)};
	return derive_finish(&a.d, &change, out, e);
}
