/* SPDX-License-Identifier: Apache-2.0 */
/* A node as lvm and /boot tell of it, made up in memory. */
#pragma once

#include "base/xalloc.h"
#include "test.h"
#include "upgrade/site.h"

#define SCENE_VG   "bedplate"
#define SCENE_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Tags are separated by blanks. */
static struct lvm_lv *scene_add_lv(struct site *s, const char *name, const char *tags)
{
	struct lvm_report *r = &s->lvm;
	autofree char *copy = xstrdup(tags);
	char *rest = copy;

	r->lvs = xrealloc(r->lvs, (r->lv_count + 1) * sizeof(*r->lvs));
	struct lvm_lv *lv = &r->lvs[r->lv_count++];
	*lv = (struct lvm_lv){.vg = xstrdup(SCENE_VG), .name = xstrdup(name), .is_thin = true};
	for (char *tag; (tag = str_next_word(&rest, " "));)
		strv_add(&lv->tags, tag);
	s->pool = lvm_node_pool(r);
	return lv;
}

static void scene_add_entry(struct site *s, const char *layer)
{
	struct boot_entries *all = &s->entries;

	all->items = xrealloc(all->items, (all->count + 1) * sizeof(*all->items));
	all->items[all->count++] = (struct boot_entry){
		.layer = xstrdup(layer),
		.cmd_line = xasprintf("bedplate.layer=%s bedplate.roothash=" SCENE_HASH, layer),
	};
}

/* A group with a pool, and nothing else. */
static void scene_begin(struct site *s)
{
	*s = (struct site){.boot_fd = -1, .lock_fd = -1};
	s->lvm.vgs = xcalloc(1, sizeof(*s->lvm.vgs));
	s->lvm.vg_count = 1;
	s->lvm.vgs[0] = (struct lvm_vg){.name = xstrdup(SCENE_VG), .uuid = xstrdup("u")};
	strv_add(&s->lvm.vgs[0].tags, LVM_TAG_VG);
	s->vg = s->lvm.vgs;
	scene_add_lv(s, "pool00", LVM_TAG_POOL)->is_pool = true;
}
