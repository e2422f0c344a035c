/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/candidate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/xalloc.h"

void candidates_fini(struct candidates *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct candidate *x = &c->items[i];

		for (size_t k = 0; x->debs && k < x->plugin.manifest.package_count; k++)
			deb_files_fini(&x->debs[k]);
		free(x->debs);
		free(x->install);
		plugin_policy_free(x->policy);
		plugin_fini(&x->plugin);
		source_free(x->file);
		free(x->path);
	}
	free(c->items);
	*c = (struct candidates){0};
}

static int read_debs(struct candidate *x, struct err *e)
{
	const struct plugin_manifest *m = &x->plugin.manifest;
	int r = 0;

	x->debs = xcalloc(m->package_count + 1, sizeof(*x->debs));
	for (size_t i = 0; r == 0 && i < m->package_count; i++) {
		const struct plugin_package *p = &m->packages[i];
		uint64_t at;

		r = plugin_member_place(x->file, &x->plugin, &p->member, &at, e);
		if (r < 0)
			return r;
		autoptr(source) deb = source_slice(x->file, at, p->member.size_bytes);
		r = deb_files_read(deb, &x->debs[i], e);
		if (r < 0)
			return err_wrap(e, r, "package '%s'", p->name);
	}
	return r;
}

static int read_one(
	struct candidate *x, const struct plugin_demand *demand, struct progress *p, struct err *e)
{
	int r = source_open_path(x->path, &x->file, e);

	if (r < 0)
		return r;
	r = plugin_read(x->file, demand, p, &x->plugin, e);
	if (r == 0)
		r = sha256_source(x->file, x->sha256, e);
	if (r == 0)
		r = read_debs(x, e);
	return r < 0 ? err_wrap(e, r, "'%s'", x->path) : 0;
}

int candidates_read(const struct strv *paths, const struct plugin_demand *demand,
	struct progress *p, struct candidates *out, struct err *e)
{
	int r = 0;

	out->items = xcalloc(paths->count + 1, sizeof(*out->items));
	for (size_t i = 0; r == 0 && i < paths->count; i++) {
		out->items[i].path = xstrdup(paths->items[i]);
		out->count++;
		r = read_one(&out->items[i], demand, p, e);
	}
	if (r < 0)
		candidates_fini(out);
	return r;
}
