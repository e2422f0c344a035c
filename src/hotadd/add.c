/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "hotadd/hotadd.h"
#include "hotadd/image.h"
#include "hotadd/run.h"
#include "image/extract.h"
#include "image/intree.h"
#include "image/manifest.h"
#include "plugin/candidate.h"
#include "plugin/install.h"

struct adding {
	struct run run;
	const struct hotadd_spec *spec;
	struct manifest image; /* as far as it is asked for */
	struct candidates plugins;
	struct progress *progress;
};

static void adding_fini(struct adding *a)
{
	run_fini(&a->run);
	manifest_fini(&a->image);
	candidates_fini(&a->plugins);
}

static int view_debs(struct adding *a, const struct candidate *x, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < x->plugin.manifest.package_count; i++)
		for (size_t k = 0; r == 0 && k < x->debs[i].count; k++)
			r = view_add(&a->run.view, x->debs[i].items[k].path, e);
	return r;
}

static int check(struct adding *a, struct err *e)
{
	struct candidate *x = &a->plugins.items[0];
	struct run *run = &a->run;
	int r = run_view(run, &x->plugin.manifest, e);

	if (r == 0)
		r = view_debs(a, x, e);
	if (r < 0)
		return r;
	view_end(&run->view);
	r = plugin_records_read(run->view.tree, &run->records, e);
	const struct candidates_place place = {.image = &a->image,
		.tree = run->view.tree,
		.records = &run->records,
		.where = "on this node"};
	if (r == 0)
		r = candidates_check_all(&a->plugins, &place, e);
	run->policy = x->policy;
	run->manifest = &x->plugin.manifest;
	return r;
}

static bool is_installed_by(const struct candidate *x, const struct plugin_package *p)
{
	for (size_t i = 0; i < x->install_count; i++)
		if (x->install[i] == p)
			return true;
	return false;
}

static void note_restart(const struct candidate *x, struct hotadd_plan *plan)
{
	const struct plugin_manifest *m = &x->plugin.manifest;
	autostrbuf words = {0};

	for (size_t i = 0; i < m->kernel_remove.count; i++)
		strbuf_printf(&words, " !%s", m->kernel_remove.items[i]);
	for (size_t i = 0; i < m->kernel_add.count; i++)
		strbuf_printf(&words, " %s", m->kernel_add.items[i]);
	if (words.len > 0)
		strv_take(&plan->notes,
			xasprintf("kernel arguments need a restart, and are not set by this:%s",
				words.data));
	for (size_t i = 0; i < m->module_count; i++)
		strv_take(&plan->notes,
			xasprintf("kernel module '%s' is not loaded by this: it is at the next "
				  "restart, or with modprobe",
				m->modules[i].name));
	if (x->plugin.recipe->root_size_bytes > 0)
		strv_add(&plan->notes, "the size of / is that of the node, and stays");
}

static void fill_plan(const struct candidate *x, struct hotadd_plan *plan)
{
	const struct plugin_manifest *m = &x->plugin.manifest;

	plan->name = xstrdup(m->name);
	plan->version = xstrdup(m->version);
	for (size_t i = 0; i < m->package_count; i++)
		strv_take(is_installed_by(x, &m->packages[i]) ? &plan->install : &plan->present,
			xasprintf("%s %s", m->packages[i].name, m->packages[i].version));
	strv_add_all(&plan->services, &m->services);
	strv_add_all(&plan->ports, &m->ports);
	note_restart(x, plan);
}

void hotadd_texts_fini(struct hotadd_texts *t)
{
	strv_fini(&t->paths);
	strv_fini(&t->texts);
}

int hotadd_text_write(int root_fd, const char *path, const char *text, struct err *e)
{
	autofd int fd = file_open_in_root(root_fd, path, O_WRONLY | O_TRUNC | O_NOFOLLOW, 0, e);

	return fd < 0 ? fd : io_write(fd, text, strlen(text), e);
}

static int write_texts(const struct adding *a, struct err *e)
{
	const struct hotadd_texts *t = a->spec->texts;
	int r = 0;

	for (size_t i = 0; t && r == 0 && i < t->paths.count; i++)
		r = hotadd_text_write(
			a->run.stage.tree_fd, t->paths.items[i], t->texts.items[i], e);
	return r;
}

/* Into the copy, as into an image. */
static int install(struct adding *a, struct err *e)
{
	struct run *run = &a->run;
	const struct candidate *x = &a->plugins.items[0];
	struct plugin_place place;
	int r = run_open_stage(run, &place, e);

	if (r == 0)
		r = write_texts(a, e);
	if (r < 0)
		return r;
	progress_begin(a->progress, "trying it on a copy", 0, "steps");
	r = plugin_install(x, &place, e);
	progress_end(a->progress);
	return r;
}

/* For the next layer: docs/plugin.md. */
static int keep_file(const struct adding *a, struct err *e)
{
	const struct candidate *x = &a->plugins.items[0];
	int root_fd = a->run.stage.tree_fd;
	autofree char *path = hotadd_file_path(x->plugin.manifest.name);
	autofree char *full = xasprintf("/%s", path);
	int r = intree_remove(root_fd, full, e);

	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(
		root_fd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, e);
	return fd < 0 ? fd : extract_source(x->file, fd, NULL, e);
}

/* The record is one of the files that are brought over. */
static int write_record(struct adding *a, struct err *e)
{
	struct run *run = &a->run;
	const struct candidate *x = &a->plugins.items[0];
	autodelta own = {0};
	int r = delta_find(&run->stage, &own, e);

	return r < 0 ? r
		     : plugin_record_write_of(run->stage.tree_fd, own.after, &x->plugin.manifest,
			       x->sha256, &run->delta.changes, e);
}

static int carry_out(struct adding *a, struct err *e)
{
	const struct candidate *x = &a->plugins.items[0];
	autostrv packages = {0};

	for (size_t i = 0; i < x->install_count; i++)
		strv_add(&packages, x->install[i]->name);
	progress_begin(a->progress, "changing the node", 0, "steps");
	int r = run_carry_out(&a->run, &packages, e);
	progress_end(a->progress);
	return r;
}

int hotadd_add(const struct hotadd_site *s, const struct hotadd_image *image,
	const struct hotadd_spec *spec, struct hotadd_plan *plan, struct progress *p, struct err *e)
{
	auto_with(adding_fini) struct adding a = {
		.run = {.site = s, .plan = plan, .stage = STAGE_NONE}, .spec = spec, .progress = p};
	autostrv files = {0};

	strv_add(&files, spec->file);
	hotadd_image_manifest(image, &a.image);
	int r = candidates_read(&files, &spec->demand, p, &a.plugins, e);
	if (r == 0)
		r = run_begin(&a.run, e);
	if (r == 0)
		r = check(&a, e);
	if (r < 0)
		return r;
	fill_plan(&a.plugins.items[0], plan);
	if (spec->show)
		spec->show(spec->show_ctx, plan);
	r = install(&a, e);
	if (r == 0)
		r = run_judge(&a.run, e);
	if (r == 0)
		r = write_record(&a, e);
	if (r == 0)
		r = keep_file(&a, e);
	if (r == 0)
		r = run_judge(&a.run, e);
	return r < 0 || spec->dry_run ? r : carry_out(&a, e);
}
