/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/layer-again.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/xalloc.h"
#include "storage/thin.h"
#include "upgrade/carry.h"
#include "upgrade/commit.h"
#include "upgrade/layer-make.h"
#include "upgrade/layer-record.h"
#include "upgrade/place.h"
#include "upgrade/precheck.h"

static int activate(const struct site *s, const char *layer, struct err *e)
{
	const struct lvm_lv *lv = lvm_find(&s->lvm, LVM_TAG_LAYER, layer);
	autofree char *path = xasprintf("%s/%s", s->vg->name, layer);

	if (!lv)
		return err_set(e, ENOENT, "there is no volume '%s'", path);
	return lv->active ? 0 : lvm_run(e, "lvchange", "--activate=y", path, NULL);
}

/* What image it is of, and who signed that. */
static int read_record(const struct site *s, const char *layer, char **out, struct err *e)
{
	autofree char *device = xasprintf("/dev/%s/%s", s->vg->name, layer);
	autoplace place = PLACE_NONE;
	int r = activate(s, layer, e);

	if (r == 0)
		r = place_open(device, "staged", false, &place, e);
	if (r < 0)
		return r;
	autofd int upper_fd = file_open_beneath(place.fd, "upper", O_RDONLY | O_DIRECTORY, e);
	return upper_fd < 0 ? upper_fd : layer_record_read(upper_fd, out, e);
}

/* With what was added since, and without what was not to go into it.  named: part of drop, which is there. */
static int plan_plugins(struct site *s, const struct layer_bases *bases, const struct strv *drop,
	const struct strv *named, struct carry_plan *out, struct err *e)
{
	autostrv problems = {0};
	int r = carry_plan_check(s, image_tree(bases->new->img), drop, out, e);

	if (r < 0)
		return r;
	/* One that was dropped then may be gone by now. */
	carry_plan_problems(out, named, &problems);
	return precheck_result(&problems, "activation", e);
}

/* j stays STEP_STAGED as long as nothing has changed. */
static int make_again(struct layer_job *job, struct journal *j, const struct strv *named,
	struct merge_report *report, struct progress *p, struct err *e)
{
	autolayerbases bases = {0};
	autocarryplan plugins = {0};
	int r = layer_bases_open(job, &bases, e);

	if (r == 0)
		r = plan_plugins(job->site, &bases, &j->dropped_plugins, named, &plugins, e);
	if (r == 0)
		r = step_begin(job->site, j, STEP_LAYER, e);
	if (r < 0) {
		j->step = STEP_STAGED;
		return r;
	}
	job->plugins = &plugins;
	r = thin_remove(job->site->vg->name, job->layer, e);
	if (r == 0)
		r = layer_make(job, &bases, report, p, e);
	job->plugins = NULL;
	return r;
}

void layer_again_drop(struct strv *dropped, const struct strv *drop, struct strv *named)
{
	for (size_t i = 0; i < drop->count; i++) {
		if (strv_has(dropped, drop->items[i]))
			continue;
		strv_add(dropped, drop->items[i]);
		strv_add(named, drop->items[i]);
	}
}

int layer_again(struct site *s, struct journal *j, const struct strv *drop,
	struct merge_report *report, struct progress *p, struct err *e)
{
	uint8_t hash[SHA256_BYTES];
	autofree char *record = NULL;
	struct layer_job job = {
		.site = s,
		.base = j->base,
		.layer = j->to,
		.root_hash = hash,
	};
	autostrv named = {0};
	int r = site_root_hash(s, j->to, hash, e);

	layer_again_drop(&j->dropped_plugins, drop, &named);
	if (r == 0)
		r = read_record(s, j->to, &record, e);
	job.record = record;
	if (r == 0)
		r = make_again(&job, j, &named, report, p, e);
	if (r < 0 && j->step == STEP_STAGED)
		return r == -EPERM ? r : err_wrap(e, r, "staged layer '%s'", j->to);
	/* The bases are closed: they belong to what this replaces. */
	if (r == 0)
		r = site_refresh(s, e);
	if (r < 0) {
		take_back(s, j);
		note_end(s, j, "undone", e->msg);
	}
	return r;
}
