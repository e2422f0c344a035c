/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/layer-again.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/xalloc.h"
#include "storage/thin.h"
#include "upgrade/commit.h"
#include "upgrade/layer-make.h"
#include "upgrade/layer-record.h"
#include "upgrade/place.h"

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

static int make_again(
	struct layer_job *job, struct merge_report *report, struct progress *p, struct err *e)
{
	autolayerbases bases = {0};
	int r = layer_bases_open(job, &bases, e);

	if (r == 0)
		r = thin_remove(job->site->vg->name, job->layer, e);
	if (r == 0)
		r = layer_make(job, &bases, report, p, e);
	return r;
}

int layer_again(struct site *s, struct journal *j, struct merge_report *report, struct progress *p,
	struct err *e)
{
	uint8_t hash[SHA256_BYTES];
	autofree char *record = NULL;
	int r = site_root_hash(s, j->to, hash, e);

	if (r == 0)
		r = read_record(s, j->to, &record, e);
	if (r == 0)
		r = step_begin(s, j, STEP_LAYER, e);
	if (r < 0) {
		j->step = STEP_STAGED;
		return err_wrap(e, r, "staged layer '%s'", j->to);
	}
	struct layer_job job = {
		.site = s,
		.base = j->base,
		.layer = j->to,
		.root_hash = hash,
		.record = record,
	};
	r = make_again(&job, report, p, e);
	if (r == 0)
		r = site_refresh(s, e);
	if (r < 0) {
		take_back(s, j);
		note_end(s, j, "undone", e->msg);
	}
	return r;
}
