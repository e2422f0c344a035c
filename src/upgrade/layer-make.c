/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/layer-make.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/cmd-line.h"
#include "boot/entry-manifest.h"
#include "image/entry-files.h"
#include "storage/apply.h"
#include "storage/thin.h"
#include "upgrade/base-make.h"
#include "upgrade/base-view.h"
#include "upgrade/carry.h"
#include "upgrade/layer-fresh.h"
#include "upgrade/layer-record.h"
#include "upgrade/old-layer.h"

/* How much is written before the pool is asked again. */
#define WATCH_BYTES (64 * MIB)

int layer_bases_open(const struct layer_job *j, struct layer_bases *out, struct err *e)
{
	const struct site *s = j->site;
	uint8_t hash[SHA256_BYTES];
	int r = site_root_hash(s, s->layer, hash, e);

	if (r == 0)
		r = base_view_open(s, s->base, hash, BASE_VIEW_OLD, &out->old, e);
	out->new = &out->old;
	if (r == 0 && !str_eq(j->base, s->base)) {
		r = base_view_open(s, j->base, j->root_hash, BASE_VIEW_NEW, &out->other, e);
		out->new = &out->other;
	}
	return r < 0 ? err_wrap(e, r, "new layer '%s'", j->layer) : 0;
}

void layer_bases_fini(struct layer_bases *b)
{
	base_view_fini(&b->other);
	base_view_fini(&b->old);
}

/* How the pool is while the layer is written into it. */
struct watch {
	const struct layer_job *j;
	int upper_fd;
	uint64_t allowed_bytes; /* until it is asked again */
};

static int watch_pool(void *ctx, uint64_t bytes, struct err *e)
{
	struct watch *w = ctx;
	const struct site *s = w->j->site;
	uint64_t room;

	if (bytes <= w->allowed_bytes)
		return 0;
	/* What is not written back yet has no place in the pool. */
	if (w->allowed_bytes > 0 && syncfs(w->upper_fd) < 0)
		return err_errno(e, "writing to layer '%s'", w->j->layer);
	int r = base_look(s->vg->name, s->pool->name, &room, e);
	if (r == 0)
		w->allowed_bytes = bytes + MIN(room, WATCH_BYTES);
	return r;
}

static int merge_into(const struct layer_job *j, const struct layer_bases *bases,
	struct old_layer *old, int upper_fd, struct merge_report *report, struct progress *p,
	struct err *e)
{
	if (j->fresh)
		fresh_filter(old->upper, j->fresh);
	struct watch watch = {.j = j, .upper_fd = upper_fd};
	const struct merge_trees trees = {
		.old_base = image_tree(bases->old.img),
		.upper = old->upper,
		.new_base = image_tree(bases->new->img),
		.grow = watch_pool,
		.ctx = &watch,
	};
	int r = merge_layer(&trees, upper_fd, report, p, e);
	return r < 0 ? r : layer_record(j, old->fd, upper_fd, e);
}

static int fill(const struct layer_job *j, const struct layer_bases *bases, struct old_layer *old,
	struct merge_report *report, struct progress *p, struct err *e)
{
	autofree char *device = xasprintf("/dev/%s/%s", j->site->vg->name, j->layer);
	autoplace place = PLACE_NONE;
	int r = place_open(device, "new", true, &place, e);

	if (r < 0)
		return r;
	autofd int upper_fd = file_open_beneath(place.fd, "upper", O_RDONLY | O_DIRECTORY, e);
	if (upper_fd < 0)
		return upper_fd;
	r = merge_into(j, bases, old, upper_fd, report, p, e);
	close_auto(&upper_fd);
	upper_fd = -1;
	const struct carry_job carry = {
		.site = j->site,
		.plan = j->plugins,
		.old = &old->plugins,
		.base = bases->new,
		.layer = &place,
	};
	if (r == 0 && j->plugins)
		r = carry_into(&carry, p, e);
	return r < 0 ? r : place_close(&place, e);
}

static int accept_layer(const struct layer_job *j, struct err *e)
{
	const char *tags[8] = {LVM_TAG_LAYER};

	for (size_t i = 0; j->tags && j->tags[i]; i++) {
		if (i + 2 == ARRAY_LEN(tags))
			return err_set(e, E2BIG, "too many tags for layer '%s'", j->layer);
		tags[i + 1] = j->tags[i];
	}
	return thin_accept(j->site->vg->name, j->layer, false, tags, e);
}

static int make_volume(const struct layer_job *j, const struct layer_bases *bases,
	struct old_layer *old, struct merge_report *report, struct progress *p, struct err *e)
{
	const struct site *s = j->site;
	const struct lvm_lv *lv = lvm_find(&s->lvm, LVM_TAG_LAYER, s->layer);
	struct err removing = {0};
	int r = thin_create(s->vg->name, s->pool->name, j->layer, lv->size_bytes, e);

	if (r < 0)
		return r;
	r = layer_format(s->vg->name, j->layer, e);
	if (r == 0)
		r = fill(j, bases, old, report, p, e);
	if (r == 0)
		r = accept_layer(j, e);
	if (r == 0)
		return 0;
	interrupt_defer();
	if (thin_remove(s->vg->name, j->layer, &removing) < 0)
		log_warning("'%s' stays until 'nodectl recover': %s", j->layer, removing.msg);
	interrupt_resume();
	return r;
}

int layer_make(const struct layer_job *j, const struct layer_bases *bases,
	struct merge_report *report, struct progress *p, struct err *e)
{
	autooldlayer old = OLD_LAYER_NONE;
	int r = j->fresh ? old_layer_open_all(j->site, j->site->layer, &old, e)
			 : old_layer_open(j->site, j->site->layer, &old, e);

	if (r == 0)
		r = make_volume(j, bases, &old, report, p, e);
	return r < 0 ? err_wrap(e, r, "new layer '%s'", j->layer) : 0;
}

static int make_cmd_line(
	const struct layer_job *j, const struct layer_bases *bases, char **out, struct err *e)
{
	const struct site *s = j->site;
	const struct boot_entry *old = boot_entries_find(&s->entries, s->layer);
	autofree char *old_params = NULL, *new_params = NULL;
	char hash[SHA256_HEX_BYTES];

	if (!old)
		return err_set(e, ENOENT, "layer '%s' has no boot entry", s->layer);
	int r = image_kernel_params(bases->old.img, &old_params, e);
	if (r == 0)
		r = image_kernel_params(bases->new->img, &new_params, e);
	if (r < 0)
		return r;
	hex_format(j->root_hash, SHA256_BYTES, hash);
	*out = cmd_line_carry(old->cmd_line, old_params, new_params, j->layer, hash);
	return 0;
}

/* For 'nodectl verify'; of a base that was installed without there is none to carry on. */
static int write_manifest(const struct layer_job *j, struct err *e)
{
	const struct liveimg *l = j->image;
	autobootmanifest old = {0};

	if (l) {
		const struct boot_manifest m = {
			.text = l->manifest_text,
			.len = l->manifest_len,
			.sig = l->sig,
			.sig_len = l->sig_len,
		};

		return boot_manifest_write(j->site->boot_fd, j->layer, &m, e);
	}
	int r = boot_manifest_read(j->site->boot_fd, j->site->layer, &old, e);
	if (r == -ENOENT) {
		*e = (struct err){0};
		return 0;
	}
	return r < 0 ? r : boot_manifest_write(j->site->boot_fd, j->layer, &old, e);
}

int layer_make_bootable(const struct layer_job *j, const struct layer_bases *bases,
	struct progress *p, struct err *e)
{
	autoplace place = PLACE_NONE;
	autobootentry entry = {.layer = xstrdup(j->layer), .title = xstrdup(j->title)};

	progress_begin(p, "boot entry", 1, "steps");
	int r = make_cmd_line(j, bases, &entry.cmd_line, e);
	if (r == 0)
		r = place_open(bases->new->device, "base", false, &place, e);
	if (r == 0)
		r = entry_files_write(
			image_tree(bases->new->img), place.fd, j->site->boot_fd, &entry, e);
	if (r == 0)
		r = write_manifest(j, e);
	if (r == 0)
		r = progress_advance(p, 1, e);
	progress_end(p);
	return r < 0 ? err_wrap(e, r, "boot entry of '%s'", j->layer) : 0;
}
