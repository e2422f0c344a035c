/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "storage/thin.h"
#include "upgrade/base-view.h"
#include "upgrade/commit.h"
#include "upgrade/layer-fresh.h"
#include "upgrade/layer-make.h"
#include "upgrade/open.h"
#include "upgrade/precheck.h"
#include "upgrade/run.h"

struct reset {
	struct site site;
	struct settings settings;
	struct strv paths;
	uint8_t root_hash[SHA256_BYTES];
	char *to, *title;
};

static void reset_fini(struct reset *r)
{
	strv_fini(&r->paths);
	free(r->to);
	free(r->title);
	site_fini(&r->site);
}

static int name_all(struct reset *t, struct err *e)
{
	const struct site *s = &t->site;
	autobaseview base = {0};
	int r = site_root_hash(s, s->layer, t->root_hash, e);

	if (r == 0)
		r = base_view_open(s, s->base, t->root_hash, BASE_VIEW_OLD, &base, e);
	if (r < 0)
		return err_wrap(e, r, "the node's own image");
	t->to = site_next_layer(s, s->base);
	t->title = plan_title(
		base.name ? base.name : s->base, base.version ? base.version : "", t->to);
	return 0;
}

/* Of the layer's entry: that of the new one is made out of the same base. */
static uint64_t boot_bytes(const struct site *s)
{
	static const char *const names[] = {"vmlinuz", "initramfs.img"};
	uint64_t bytes = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = xasprintf("%s/%s", s->layer, names[i]);
		struct stat st;

		if (fstatat(s->boot_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

static int check_rooms(const struct site *s, struct err *e)
{
	auto_with(upgrade_plan_fini) struct upgrade_plan plan = {0};
	struct pool_room room = {0};
	const struct precheck c = {.plan = &plan, .site = s, .room = &room};
	int r = pool_room(s->vg->name, s->pool->name, &room, e);

	if (r == 0)
		r = plan_boot(s, boot_bytes(s), &plan, e);
	if (r < 0)
		return r;
	plan_pool(s, &room, &plan);
	precheck_node(&c, &plan.problems);
	return precheck_result(&plan.problems, "reset", e);
}

static int make(const struct layer_job *job, struct journal *j, struct progress *p, struct err *e)
{
	automergereport report = {0};
	autolayerbases bases = {0};
	int r = step_begin(job->site, j, STEP_LAYER, e);

	if (r == 0)
		r = layer_bases_open(job, &bases, e);
	if (r == 0)
		r = layer_make(job, &bases, &report, p, e);
	if (r == 0)
		r = step_begin(job->site, j, STEP_BOOT, e);
	return r < 0 ? r : layer_make_bootable(job, &bases, p, e);
}

static int carry_out(struct reset *t, struct progress *p, struct err *e)
{
	struct site *s = &t->site;
	const struct layer_job job = {
		.site = s,
		.base = s->base,
		.layer = t->to,
		.root_hash = t->root_hash,
		.title = t->title,
		.fresh = &t->paths,
	};
	autojournal j = {
		.operation = OPERATION_RESET,
		.from = xstrdup(s->layer),
		.to = xstrdup(t->to),
		.base = xstrdup(s->base),
		.started = time(NULL),
	};
	const struct commit c = {.site = s, .journal = &j, .tries = t->settings.tries};
	int r = make(&job, &j, p, e);

	if (r == 0)
		r = commit_run(&c, e);
	if (r < 0) {
		take_back(s, &j);
		note_end(s, &j, "undone", e->msg);
	}
	return r;
}

int factory_reset_run(
	const struct strv *keep, bool dry_run, char **layer, struct progress *p, struct err *e)
{
	auto_with(reset_fini) struct reset t = {0};
	int r = fresh_paths(keep, &t.paths, e);

	if (r == 0)
		r = open_site(&t.site, &t.settings, e);
	if (r == 0)
		r = check_rooms(&t.site, e);
	if (r == 0)
		r = name_all(&t, e);
	if (r == 0 && !dry_run)
		r = drop_staged(&t.site, t.site.base, e);
	if (r == 0 && !dry_run)
		r = carry_out(&t, p, e);
	if (r == 0)
		*layer = take_ptr(t.to);
	return r;
}
