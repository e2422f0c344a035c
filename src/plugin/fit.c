/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages of a plugin an image lacks. */
#include "plugin/fit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "pkg/deb822.h"
#include "plugin/solve.h"

static int save_index(const struct candidate *x, const char *path, struct err *e)
{
	const struct plugin_manifest *m = &x->plugin.manifest;
	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	for (size_t i = 0; i < m->file_count; i++)
		if (str_eq(m->files[i].file, PLUGIN_INDEX))
			return plugin_extract(x->file, &x->plugin, &m->files[i], fd, e);
	return 0;
}

static int compare_steps(const void *a, const void *b)
{
	const struct plugin_need *x = a, *y = b;

	return (x->step > y->step) - (x->step < y->step);
}

static void take_install(struct candidate *x, struct plugin_needs *needs)
{
	x->install = xcalloc(needs->count + 1, sizeof(*x->install));
	if (needs->count > 1)
		qsort(needs->items, needs->count, sizeof(*needs->items), compare_steps);
	for (size_t i = 0; i < needs->count; i++) {
		const struct plugin_package *p = plugin_manifest_package(
			&x->plugin.manifest, needs->items[i].name);

		if (p)
			x->install[x->install_count++] = p;
	}
}

/* For the next plugin the packages of this one are there. */
static int add_status(
	const struct candidate *x, const char *index, struct strbuf *status, struct err *e)
{
	static const char *const fields[] = {"Package"};
	autofree char *text = NULL;
	size_t len;
	struct slice name;
	int r = file_read(index, PLUGIN_INDEX_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	struct deb822 d = {.at = text, .end = text + len};
	for (const char *start = d.at; deb822_next(&d, fields, &name, 1); start = d.at) {
		for (size_t i = 0; i < x->install_count; i++) {
			if (!slice_eq(name, x->install[i]->name))
				continue;
			strbuf_puts(status, "Status: install ok installed\n");
			size_t skip = strspn(start, "\n");
			strbuf_add(status, start + skip, (size_t)(d.at - start) - skip);
			strbuf_puts(status, str_ends(status->data, "\n\n") ? "" : "\n");
		}
	}
	return 0;
}

static int choose_packages(struct candidate *x, const struct candidates_place *place,
	struct strbuf *status, struct err *e)
{
	const struct plugin_manifest *m = &x->plugin.manifest;
	autofree char *index = xasprintf("%s/index-%s", place->work, m->name);
	auto_plugin_needs needs = {0};
	autostrv names = {0}, indexes = {0};
	bool all = x->plugin.recipe->packages.count == 0;
	int r = m->package_count > 0 ? save_index(x, index, e) : 0;

	if (r < 0 || m->package_count == 0)
		return r;
	strv_add(&indexes, index);
	strv_add_all(&names, &x->plugin.recipe->packages);
	for (size_t i = 0; all && i < m->package_count; i++)
		strv_add(&names, m->packages[i].name);

	const struct plugin_solve_spec solve = {.status = status->data,
		.indexes = indexes,
		.names = names,
		.arch = place->image->arch};
	r = fit_check_versions(x, status->data, &names, e);
	if (r == 0)
		r = plugin_solve(&solve, &needs, e);
	if (r < 0)
		return err_wrap(e, r, "plugin '%s'", m->name);
	take_install(x, &needs);
	return add_status(x, index, status, e);
}

int candidates_check(struct candidates *c, const struct candidates_place *place, struct err *e)
{
	autostrbuf status = {0};
	int r = fit_check_names(c, place, e);

	if (r == 0 && fit_has_packages(c))
		r = fit_read_status(place->tree, &status, e);
	for (size_t i = 0; r == 0 && i < c->count; i++)
		r = choose_packages(&c->items[i], place, &status, e);
	return r == 0 ? fit_check_writes(c, place, e) : r;
}
