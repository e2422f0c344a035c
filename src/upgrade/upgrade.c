/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "upgrade/base-make.h"
#include "upgrade/commit.h"
#include "upgrade/hooks.h"
#include "upgrade/layer-again.h"
#include "upgrade/layer-make.h"
#include "upgrade/open.h"
#include "upgrade/precheck.h"
#include "upgrade/run.h"

#define DOWNLOADS      "/var/lib/bedplate/download"
#define LIVE_DOWNLOADS "/run/bedplate/upgrade"

static void run_fini(struct upgrade_run *u)
{
	journal_fini(&u->before);
	liveimg_fini(&u->image);
	failed_versions_fini(&u->failed);
	site_fini(&u->site);
}

static int open_all(struct upgrade_run *u, struct err *e)
{
	int r = open_site(&u->site, &u->settings, e);

	if (r < 0)
		return r;
	r = journal_read(u->site.boot_fd, &u->before, e);
	if (r < 0)
		return r;
	if (r == 0 || u->before.step != STEP_STAGED) {
		journal_fini(&u->before);
		u->before = (struct journal){0};
	}
	return 0;
}

/* By its manifest: what is refused is not downloaded, and of what never would be taken nothing stays. */
static int judge_image(void *ctx, const struct liveimg *l, struct err *e)
{
	struct upgrade_run *u = ctx;

	u->about = l;
	int r = plan_make(u, e);
	if (r == 0 && u->plan->already)
		r = err_set(e, EALREADY, "this image runs already");
	if (u->unwanted || u->plan->already)
		liveimg_drop_part(&u->from, &l->manifest);
	u->about = &u->image;
	return r;
}

static int get_image(struct upgrade_run *u, struct err *e)
{
	u->from = u->spec->from;
	u->from.folder = u->site.running ? DOWNLOADS : LIVE_DOWNLOADS;
	u->from.to_disk = u->site.running;
	u->from.signed_only = true;
	u->from.judge = judge_image;
	u->from.ctx = u;
	int r = liveimg_get(&u->from, &u->image, u->p, e);
	if (r == 0)
		r = plan_fit(u, e);
	if (r == -EPERM)
		liveimg_drop_download(&u->image);
	/* With another plugin out of the way the same image is good. */
	return r == 0 ? plan_plugins(u, e) : r;
}

static int make_base(struct upgrade_run *u, struct journal *j, struct err *e)
{
	const struct upgrade_plan *plan = u->plan;
	const struct base_job job = {
		.lvm = &u->site.lvm,
		.vg = u->site.vg->name,
		.pool = u->site.pool->name,
		.base = plan->base,
		.like = plan_like(&u->site, &u->image.manifest),
		.image = &u->image,
		.limit_bytes = plan_base_limit(plan, u->layer_bytes),
	};
	struct base_cost cost = {0};

	if (plan->base_is_there)
		return 0;
	int r = step_begin(&u->site, j, STEP_BASE, e);
	if (r == 0)
		r = base_make(&job, &cost, u->p, e);
	if (r < 0)
		return r;
	u->plan->measured = true;
	u->plan->write_bytes = cost.changed_bytes;
	u->plan->pool_growth_bytes = cost.chunk_bytes + u->layer_bytes;
	return site_refresh(&u->site, e);
}

static int make_layer(struct upgrade_run *u, struct journal *j, struct err *e)
{
	const struct upgrade_plan *plan = u->plan;
	autofree char *title = plan_title(plan->new_name, plan->new_version, plan->to);
	const struct layer_job job = {
		.site = &u->site,
		.base = plan->base,
		.layer = plan->to,
		.root_hash = u->image.manifest.verity.root_hash,
		.title = title,
		.image = &u->image,
		.plugins = &plan->plugins,
	};
	autolayerbases bases = {0};
	int r = step_begin(&u->site, j, STEP_LAYER, e);

	if (r == 0)
		r = layer_bases_open(&job, &bases, e);
	if (r == 0)
		r = layer_make(&job, &bases, &u->plan->merge, u->p, e);
	if (r == 0)
		r = step_begin(&u->site, j, STEP_BOOT, e);
	return r < 0 ? r : layer_make_bootable(&job, &bases, u->p, e);
}

static int stage(struct upgrade_run *u, struct journal *j, struct err *e)
{
	int r = step_begin(&u->site, j, STEP_STAGED, e);

	if (r == 0)
		note_history(&u->site, j, "staged", u->image.signer, !u->image.signer);
	return r;
}

static int finish(struct upgrade_run *u, struct journal *j, struct err *e)
{
	const struct commit c = {
		.site = &u->site,
		.journal = j,
		.tries = u->settings.tries,
		.signer = u->image.signer,
		.is_unsigned = !u->image.signer,
	};

	return u->spec->stage ? stage(u, j, e) : commit_run(&c, e);
}

/* The image was taken: neither its download nor its failure is needed any more. */
static void tidy(struct upgrade_run *u)
{
	char hash[SHA256_HEX_BYTES];
	struct err e = {0};

	hex_format(u->image.manifest.verity.root_hash, SHA256_BYTES, hash);
	if (u->spec->retry_failed && failed_remove(u->site.boot_fd, hash, &e) < 0)
		log_warning("%s", e.msg);
	liveimg_drop_download(&u->image);
}

static int carry_out(struct upgrade_run *u, struct err *e)
{
	const struct upgrade_plan *plan = u->plan;
	const struct hook_event event = {.name = "pre-upgrade", .from = plan->from, .to = plan->to};
	autojournal j = {
		.operation = OPERATION_UPGRADE,
		.from = xstrdup(plan->from),
		.to = xstrdup(plan->to),
		.base = xstrdup(plan->base),
		.new_base = !plan->base_is_there,
		.started = time(NULL),
	};
	strv_add_all(&j.dropped_plugins, &u->spec->drop_plugins);
	int r = hooks_run(&event, e);

	if (r == 0)
		r = drop_staged(&u->site, plan->base_is_there ? plan->base : NULL, e);
	if (r < 0)
		return r;
	r = make_base(u, &j, e);
	if (r == 0)
		r = make_layer(u, &j, e);
	if (r == 0)
		r = finish(u, &j, e);
	if (r < 0) {
		take_back(&u->site, &j);
		note_end(&u->site, &j, "undone", e->msg);
	} else {
		tidy(u);
	}
	return r;
}

static int run(struct upgrade_run *u, struct err *e)
{
	int r = open_all(u, e);

	if (r == 0)
		r = get_image(u, e);
	if (u->plan->already) {
		*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	if (u->spec->plan_only || !u->spec->yes)
		r = plan_measure(u, e);
	if (r < 0 || u->spec->plan_only)
		return r;
	if (!u->spec->yes)
		return err_set(e, ECANCELED, "nothing was changed; add --yes to upgrade");
	return carry_out(u, e);
}

int upgrade_run(const struct upgrade_spec *spec, struct upgrade_plan *out, struct progress *p,
	struct err *e)
{
	auto_with(run_fini) struct upgrade_run u = {
		.spec = spec,
		.p = p,
		.plan = out,
	};

	return run(&u, e);
}

/* Who signed it is in the line that it was staged with. */
static void find_signer(const struct history *h, const char *layer, struct commit *c)
{
	for (size_t i = h->count; i > 0; i--) {
		const struct transition *t = &h->items[i - 1];

		if (!str_eq(t->result, "staged") || !str_eq(t->to, layer))
			continue;
		c->signer = t->signer;
		c->is_unsigned = t->is_unsigned;
		return;
	}
}

static int check_staged(
	const struct site *s, const struct journal *j, bool allow_running_vms, struct err *e)
{
	autostrv problems = {0};
	int r = 0;

	if (!lvm_find(&s->lvm, LVM_TAG_LAYER, j->to))
		return err_set(e, ENOENT, "the staged layer '%s' is gone: upgrade again", j->to);
	if (!str_eq(j->from, s->layer))
		return err_set(e, ESTALE,
			"'%s' was made out of layer '%s', and '%s' is what would be left now: upgrade "
			"again",
			j->to, j->from, s->layer);
	if (!allow_running_vms && s->running)
		r = precheck_machines(&problems, e);
	return r < 0 ? r : precheck_result(&problems, "upgrade", e);
}

int upgrade_activate(const struct activate_spec *spec, struct merge_report *report, char **layer,
	struct progress *p, struct err *e)
{
	autosite s = {0};
	struct settings settings;
	autojournal j = {0};
	autohistory history = {0};
	int r = open_site(&s, &settings, e);

	if (r == 0)
		r = journal_read(s.boot_fd, &j, e);
	if (r < 0)
		return r;
	if (r == 0 || j.step != STEP_STAGED)
		return err_set(e, ENOENT, "nothing is staged: 'nodectl upgrade --stage' does that");
	struct commit c = {.site = &s, .journal = &j, .tries = settings.tries};
	r = check_staged(&s, &j, spec->allow_running_vms, e);
	if (r == 0)
		r = history_read(s.boot_fd, &history, e);
	if (r < 0)
		return r;
	find_signer(&history, j.to, &c);
	const struct hook_event event = {.name = "pre-upgrade", .from = j.from, .to = j.to};
	r = hooks_run(&event, e);
	/* Of the node as it is by now. */
	if (r == 0)
		r = layer_again(&s, &j, &spec->drop_plugins, report, p, e);
	if (r < 0)
		return r;
	r = commit_run(&c, e);
	if (r < 0) {
		struct err own = {0};

		/* It stays staged. */
		j.step = STEP_STAGED;
		free(j.snapshot);
		j.snapshot = NULL;
		if (journal_write(s.boot_fd, &j, &own) < 0)
			log_warning("%s", own.msg);
		note_end(&s, &j, "undone", e->msg);
		return r;
	}
	*layer = xstrdup(j.to);
	return 0;
}
