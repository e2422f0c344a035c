/* SPDX-License-Identifier: Apache-2.0 */
/* The new layer: merged out of the old one, complete, with its kernel and entry on /boot. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "liveimg/get.h"
#include "upgrade/base-view.h"
#include "upgrade/merge.h"
#include "upgrade/site.h"

struct layer_job {
	struct site *site;
	const char *base, *layer;    /* the new ones; the base is there */
	const uint8_t *root_hash;    /* of the new base, 32 bytes */
	const char *title;           /* of the menu entry */
	const struct liveimg *image; /* that the base is of; NULL: the base is the old one */
	const char *const *tags;     /* more tags for the layer, NULL at the end; may be NULL */
	const struct carry_plan *plugins; /* that go over to it; NULL with fresh */
	const struct strv *fresh; /* NULL: merge; otherwise all that is kept: layer-fresh.h */
	const char *
		record; /* factory.json, of the same layer made before; NULL: out of the old one's */
};

/* What both steps read.  device-mapper opens a volume once: a reset has one base for both. */
struct layer_bases {
	struct base_view old, other;
	const struct base_view *new; /* one of the two */
};

int layer_bases_open(const struct layer_job *j, struct layer_bases *out, struct err *e) MUST_CHECK;
void layer_bases_fini(struct layer_bases *b);
#define autolayerbases auto_with(layer_bases_fini) struct layer_bases

/* LVM_TAG_LAYER; on failure removed again. */
int layer_make(const struct layer_job *j, const struct layer_bases *bases,
	struct merge_report *report, struct progress *p, struct err *e) MUST_CHECK;
/* /boot/LAYER with kernel and initramfs of its base, bedplate.cfg last. */
int layer_make_bootable(const struct layer_job *j, const struct layer_bases *bases,
	struct progress *p, struct err *e) MUST_CHECK;
