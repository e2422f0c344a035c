/* SPDX-License-Identifier: Apache-2.0 */
/* A healthy installed node, made up in memory. */
#pragma once

#include "base/xalloc.h"
#include "node/state-parts.h"
#include "node/state.h"
#include "test.h"

#define SCENE_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char scene_mountinfo[] =
	"20 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/run/bedplate/base\n"
	"21 20 253:4 / /run/bedplate/base ro - ext4 /dev/mapper/bedplate-base ro\n"
	"22 20 253:5 / /run/bedplate/layer rw shared:2 - ext4 /dev/mapper/vg-layer rw,discard\n"
	"23 20 253:6 / /var rw,nosuid shared:3 - ext4 /dev/mapper/vg-var rw,discard\n"
	"24 23 253:7 / /var/log rw shared:4 - ext4 /dev/mapper/vg-var_log rw,discard\n"
	"25 20 252:3 / /boot rw shared:5 - ext4 /dev/vda3 rw\n";

static const char scene_fstab[] = "# made by the installer\n"
				  "UUID=1 /boot ext4 defaults 0 2\n"
				  "/dev/bedplate/var /var ext4 defaults,discard 0 2\n"
				  "/dev/bedplate/swap none swap discard 0 0\n"
				  "/dev/sr0 /media/cd iso9660 noauto 0 0\n";

/* Tags are separated by blanks. */
static struct lvm_lv *scene_add_lv(struct node_state *s, const char *name, const char *tags)
{
	struct lvm_report *r = &s->storage.lvm;

	r->lvs = xrealloc(r->lvs, (r->lv_count + 1) * sizeof(*r->lvs));
	struct lvm_lv *lv = &r->lvs[r->lv_count++];
	*lv = (struct lvm_lv){
		.vg = xstrdup("bedplate"),
		.name = xstrdup(name),
		.path = xasprintf("/dev/bedplate/%s", name),
		.size_bytes = 5 * GIB,
		.is_thin = true,
		.active = true,
		.data_percent = 12.5,
		.metadata_percent = -1,
		.health = xstrdup(""),
	};
	autofree char *copy = xstrdup(tags);
	char *rest = copy;
	for (char *tag; (tag = str_next_word(&rest, " "));)
		strv_add(&lv->tags, tag);
	return lv;
}

static struct lvm_vg *scene_add_vg(struct node_state *s, const char *name, const char *tag)
{
	struct lvm_report *r = &s->storage.lvm;

	r->vgs = xrealloc(r->vgs, (r->vg_count + 1) * sizeof(*r->vgs));
	struct lvm_vg *vg = &r->vgs[r->vg_count++];
	*vg = (struct lvm_vg){
		.name = xstrdup(name),
		.uuid = xstrdup("u"),
		.size_bytes = 60 * GIB,
		.free_bytes = 10 * GIB,
		.extent_bytes = 4 * MIB,
	};
	strv_add(&vg->tags, tag);
	return vg;
}

static void scene_add_entry(struct node_state *s, const char *layer, const char *hash)
{
	struct boot_entries *all = &s->boot.entries;

	all->items = xrealloc(all->items, (all->count + 1) * sizeof(*all->items));
	all->items[all->count++] = (struct boot_entry){
		.layer = xstrdup(layer),
		.title = xasprintf("Node %s", layer),
		.release = xstrdup("6.12.0"),
		.cmd_line = xasprintf("quiet bedplate.layer=%s bedplate.roothash=%s", layer, hash),
	};
}

static inline struct lvm_lv *scene_lv(struct node_state *s, const char *name)
{
	for (size_t i = 0; i < s->storage.lvm.lv_count; i++)
		if (str_eq(s->storage.lvm.lvs[i].name, name))
			return &s->storage.lvm.lvs[i];
	abort();
}

static void scene_set(char **field, const char *value)
{
	free(*field);
	*field = value ? xstrdup(value) : NULL;
}

static void scene_storage(struct node_state *s)
{
	scene_add_vg(s, "bedplate", LVM_TAG_VG);
	struct lvm_lv *pool = scene_add_lv(s, "pool00", LVM_TAG_POOL);
	pool->is_pool = true;
	pool->has_discards = true;
	pool->error_if_full = true;
	pool->monitored = true;
	pool->size_bytes = 48 * GIB;
	pool->metadata_percent = 3.25;
	scene_add_lv(s, "node-1.2", LVM_TAG_BASE " bedplate:verity:1:0:0")->read_only = true;
	scene_add_lv(s, "node-1.2+1", LVM_TAG_LAYER);
	scene_add_lv(s, "var", LVM_TAG_VOLUME " bedplate:mount:/var");
	scene_add_lv(s, "var_log", LVM_TAG_VOLUME " bedplate:mount:/var/log");
	scene_add_lv(s, "swap", LVM_TAG_VOLUME " bedplate:mount:swap");
	scene_add_lv(s, "guest disk", "somebody");
	s->storage.extend_threshold = 70;
}

static void scene_healthy(struct node_state *s)
{
	*s = (struct node_state){
		.image = {xstrdup("node"), xstrdup("1.2"), xstrdup("amd64"), 1767225600},
		.running = NODE_INSTALLED,
		.layer = xstrdup("node-1.2+1"),
		.root_hash = xstrdup(SCENE_HASH),
		.kernel = xstrdup("6.12.0"),
		.uptime_seconds = 93784,
	};
	node_mounts_parse(scene_mountinfo, &s->mounts);
	node_mounts_parse(scene_fstab, &s->fstab);
	scene_add_entry(s, "node-1.2+1", SCENE_HASH);
	scene_set(&s->boot.default_layer, "node-1.2+1");
	scene_storage(s);
	s->verity.root_hash = xstrdup(SCENE_HASH);
	node_units_parse("Id=libvirtd.service\nLoadState=loaded\nActiveState=inactive\n"
			 "UnitFileState=enabled\n\n"
			 "Id=libvirtd.socket\nLoadState=loaded\nActiveState=active\n"
			 "UnitFileState=enabled\n",
		&s->units);
}
