/* SPDX-License-Identifier: Apache-2.0 */
#include "node/check.h"

#include "base/xalloc.h"
#include "boot/entry.h"

#define USED_MAX_PERCENT 80

/* Why a check does not pass, which the caller frees; NULL: it passes. */
typedef char *reason_fn(const struct node_state *s);

struct rule {
	const char *id, *name;
	enum check_status when_not; /* what the check is when it does not pass */
	reason_fn *reason;
	bool (*applies)(const struct node_state *s); /* NULL: always */
};

/* Grows "what: a, b, c". */
static void add_name(struct strbuf *b, const char *what, const char *name)
{
	if (b->len == 0)
		strbuf_printf(b, "%s: %s", what, name);
	else
		strbuf_printf(b, ", %s", name);
}

static char *reason_or_null(struct strbuf *b)
{
	return b->len > 0 ? strbuf_take(b) : NULL;
}

/* What could not be looked at is not well. */
static const char *not_seen(const struct node_state *s)
{
	return s->boot.error ? s->boot.error : s->storage.error;
}

static bool is_ours(const struct node_state *s, const struct lvm_lv *lv, const char *tag)
{
	const struct lvm_vg *vg = lvm_node_vg(&s->storage.lvm);

	return vg && str_eq(lv->vg, vg->name) && lvm_has_tag(&lv->tags, tag);
}

/* A layer whose base is gone cannot boot and needs no entry; "nodectl layers" lists it. */
static char *layer_boot_entries(const struct node_state *s)
{
	autostrbuf b = {0};

	if (not_seen(s))
		return xstrdup(not_seen(s));
	for (size_t i = 0; i < s->storage.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->storage.lvm.lvs[i];

		if (is_ours(s, lv, LVM_TAG_LAYER) && node_has_base_of(&s->storage.lvm, lv->name) &&
			!node_boot_entry(&s->boot, lv->name))
			add_name(&b, "no boot entry of layer", lv->name);
	}
	return reason_or_null(&b);
}

static bool layer_exists(const struct node_state *s, const char *layer)
{
	return lvm_find(&s->storage.lvm, LVM_TAG_LAYER, layer) &&
		node_has_base_of(&s->storage.lvm, layer);
}

static char *valid_boot_entries(const struct node_state *s)
{
	if (not_seen(s))
		return xstrdup(not_seen(s));
	if (s->boot.entries.count == 0)
		return xstrdup("there is no boot entry");
	for (size_t i = 0; i < s->boot.entries.count; i++) {
		const struct boot_entry *en = &s->boot.entries.items[i];

		if (en->missing)
			return xasprintf("entry '%s': %s is missing", en->layer, en->missing);
		if (!layer_exists(s, en->layer))
			return xasprintf(
				"entry '%s': there is no such layer, or not its base", en->layer);
	}
	return NULL;
}

static char *default_boot_entry(const struct node_state *s)
{
	const char *name = s->boot.default_layer;

	if (not_seen(s))
		return xstrdup(not_seen(s));
	if (!name || !*name)
		return xstrdup("no default is set");
	if (!node_boot_entry(&s->boot, name))
		return xasprintf("the default is '%s', which has no boot entry", name);
	if (!layer_exists(s, name))
		return xasprintf("the default is '%s', and there is no such layer", name);
	return NULL;
}

static char *separate_var(const struct node_state *s)
{
	return node_mount_on(&s->mounts, "/var") ? NULL : xstrdup("/var is not mounted");
}

static bool must_be_mounted(const struct node_mount *m)
{
	return m->target[0] == '/' && !str_eq(m->fstype, "swap") && !node_mount_has(m, "noauto") &&
		!node_mount_has(m, "nofail");
}

/* Where a volume of ours belongs, or NULL. */
static const char *volume_mount(const struct node_state *s, const struct lvm_lv *lv)
{
	const char *target = lvm_tag_value(&lv->tags, LVM_TAG_MOUNT);

	return is_ours(s, lv, LVM_TAG_VOLUME) && target && target[0] == '/' ? target : NULL;
}

static char *volumes_mounted(const struct node_state *s)
{
	autostrv wanted = {0};
	autostrbuf b = {0};

	for (size_t i = 0; i < s->storage.lvm.lv_count; i++) {
		const char *target = volume_mount(s, &s->storage.lvm.lvs[i]);

		if (target && !strv_has(&wanted, target))
			strv_add(&wanted, target);
	}
	for (size_t i = 0; i < s->fstab.count; i++) {
		const struct node_mount *m = &s->fstab.items[i];

		if (must_be_mounted(m) && !strv_has(&wanted, m->target))
			strv_add(&wanted, m->target);
	}
	for (size_t i = 0; i < wanted.count; i++)
		if (!node_mount_on(&s->mounts, wanted.items[i]))
			add_name(&b, "not mounted", wanted.items[i]);
	return reason_or_null(&b);
}

static void need_discard(const struct node_state *s, const char *target, struct strbuf *b)
{
	const struct node_mount *m = node_mount_on(&s->mounts, target);

	if (m && !node_mount_has(m, "discard"))
		add_name(b, "mounted without discard", target);
}

static char *discard_used(const struct node_state *s)
{
	const struct lvm_lv *pool = lvm_node_pool(&s->storage.lvm);
	autostrbuf b = {0};

	if (s->storage.error)
		return xstrdup(s->storage.error);
	if (!s->stateless && !node_mount_on(&s->mounts, NODE_LAYER_DIR))
		return xstrdup("the layer is not mounted on " NODE_LAYER_DIR);
	if (!s->stateless)
		need_discard(s, NODE_LAYER_DIR, &b);
	for (size_t i = 0; i < s->storage.lvm.lv_count; i++) {
		const char *target = volume_mount(s, &s->storage.lvm.lvs[i]);

		if (target)
			need_discard(s, target, &b);
	}
	if (b.len == 0 && pool && !pool->has_discards)
		return xasprintf("thin pool '%s' ignores discards", pool->name);
	return reason_or_null(&b);
}

static char *group_there(const struct node_state *s)
{
	size_t ours = 0;

	if (s->storage.error)
		return xstrdup(s->storage.error);
	if (lvm_node_vg(&s->storage.lvm))
		return NULL;
	for (size_t i = 0; i < s->storage.lvm.vg_count; i++)
		ours += lvm_has_tag(&s->storage.lvm.vgs[i].tags, LVM_TAG_VG);
	return ours > 1 ? xasprintf("%zu volume groups have the tag " LVM_TAG_VG, ours)
			: xstrdup("no volume group has the tag " LVM_TAG_VG);
}

static char *disks_there(const struct node_state *s)
{
	const struct lvm_vg *vg = lvm_node_vg(&s->storage.lvm);

	if (!vg)
		return group_there(s);
	return vg->partial ? xasprintf("volume group '%s' misses a physical volume", vg->name)
			   : NULL;
}

static char *unwell(const struct lvm_lv *lv)
{
	if (lv->health && *lv->health)
		return xasprintf("'%s': %s", lv->name, lv->health);
	return NULL;
}

static char *pool_there(const struct node_state *s)
{
	const struct lvm_lv *pool = lvm_node_pool(&s->storage.lvm);

	if (!lvm_node_vg(&s->storage.lvm))
		return group_there(s);
	if (!pool)
		return xstrdup("no thin pool has the tag " LVM_TAG_POOL);
	return unwell(pool);
}

/* What the running system stands on: its base and its layer. */
static char *running_volumes(const struct node_state *s)
{
	autofree char *base = xstrndup(s->layer, node_base_len(s->layer));
	const struct lvm_lv *base_lv = lvm_find(&s->storage.lvm, LVM_TAG_BASE, base);

	if (!*base)
		return xasprintf("'%s' is no name of a layer", s->layer);
	if (!lvm_find(&s->storage.lvm, LVM_TAG_LAYER, s->layer))
		return xasprintf("no volume of layer '%s'", s->layer);
	if (!base_lv)
		return xasprintf("no volume of base '%s'", base);
	if (!base_lv->read_only)
		return xasprintf("base '%s' is not read-only", base);
	return NULL;
}

static char *volumes_there(const struct node_state *s)
{
	if (!lvm_node_vg(&s->storage.lvm))
		return group_there(s);

	char *reason = running_volumes(s);
	if (reason)
		return reason;
	for (size_t i = 0; i < s->storage.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->storage.lvm.lvs[i];

		if (is_ours(s, lv, LVM_TAG_BASE) || is_ours(s, lv, LVM_TAG_LAYER) ||
			is_ours(s, lv, LVM_TAG_VOLUME))
			reason = unwell(lv);
		if (reason)
			return reason;
	}
	return NULL;
}

static char *pool_space(const struct node_state *s)
{
	const struct lvm_lv *pool = lvm_node_pool(&s->storage.lvm);

	if (!pool)
		return pool_there(s);
	if (pool->data_percent < 0 || pool->metadata_percent < 0)
		return xasprintf(
			"the use of thin pool '%s' is not known, is it active?", pool->name);
	if (pool->data_percent >= USED_MAX_PERCENT)
		return xasprintf("data of thin pool '%s' is %.1f %% full, from %d %% on it is "
				 "too full",
			pool->name, pool->data_percent, USED_MAX_PERCENT);
	if (pool->metadata_percent >= USED_MAX_PERCENT)
		return xasprintf("metadata of thin pool '%s' is %.1f %% full, from %d %% on it is "
				 "too full",
			pool->name, pool->metadata_percent, USED_MAX_PERCENT);
	return NULL;
}

static char *pool_extension(const struct node_state *s)
{
	const struct lvm_lv *pool = lvm_node_pool(&s->storage.lvm);

	if (!pool)
		return pool_there(s);
	if (s->storage.extend_error)
		return xstrdup(s->storage.extend_error);
	if (s->storage.extend_threshold >= 100)
		return xasprintf("thin_pool_autoextend_threshold is %u, below 100 is expected",
			s->storage.extend_threshold);
	if (!pool->monitored)
		return xasprintf("dmeventd does not watch thin pool '%s'", pool->name);
	return NULL;
}

static char *pool_when_full(const struct node_state *s)
{
	const struct lvm_lv *pool = lvm_node_pool(&s->storage.lvm);

	if (!pool)
		return pool_there(s);
	return pool->error_if_full
		? NULL
		: xasprintf("with thin pool '%s' full, programs that write would wait: run "
			    "'lvchange --errorwhenfull y %s/%s'",
			  pool->name, pool->vg, pool->name);
}

static char *base_opened(const struct node_state *s)
{
	const struct node_mount *base = node_mount_on(&s->mounts, NODE_BASE_DIR);
	const struct node_mount *root = node_mount_on(&s->mounts, "/");

	if (s->verity.error)
		return xstrdup(s->verity.error);
	if (!base || !str_eq(base->source, "/dev/mapper/" NODE_VERITY_NAME))
		return xstrdup("/dev/mapper/" NODE_VERITY_NAME
			       " is not what is mounted on " NODE_BASE_DIR);
	if (!root || !str_eq(root->fstype, "overlay"))
		return xstrdup("the root file system is no overlay");
	return NULL;
}

static char *base_clean(const struct node_state *s)
{
	if (s->verity.error)
		return xstrdup(s->verity.error);
	return s->verity.corrupted
		? xstrdup("dm-verity has met a block that is not as it was installed")
		: NULL;
}

/* Of the image that the installer wrote, if that is the base in use; else NULL. */
static const char *installed_hash(const struct node_state *s)
{
	const char *layer = json_string_value(json_object_get(s->factory, "layer"));
	const json_t *image = json_object_get(s->factory, "image");
	size_t len = node_base_len(s->layer);

	if (!layer || len == 0 || node_base_len(layer) != len || strncmp(layer, s->layer, len) != 0)
		return NULL;
	return json_string_value(json_object_get(image, "root_hash"));
}

static char *base_hash(const struct node_state *s)
{
	const char *installed = installed_hash(s);
	const struct boot_entry *en = node_boot_entry(&s->boot, s->layer);

	if (s->verity.error)
		return xstrdup(s->verity.error);
	if (!s->root_hash || !str_eq(s->root_hash, s->verity.root_hash))
		return xstrdup("it is not the root hash on the kernel command line");
	if (!en)
		return s->boot.error ? xstrdup(s->boot.error)
				     : xasprintf("no boot entry of '%s'", s->layer);

	autofree char *wanted = node_kernel_param(en->cmd_line, BOOT_ROOTHASH_PARAM);
	if (!wanted || strcasecmp(wanted, s->verity.root_hash) != 0)
		return xasprintf("the boot entry of '%s' has another root hash", s->layer);
	return installed && !str_eq(installed, s->verity.root_hash)
		? xstrdup("it is not the root hash of the image that was installed")
		: NULL;
}

static char *no_failed_units(const struct node_state *s)
{
	autostrbuf b = {0};

	if (s->units.error)
		return xstrdup(s->units.error);
	for (size_t i = 0; i < s->units.failed.count; i++)
		add_name(&b, "failed", s->units.failed.items[i]);
	return reason_or_null(&b);
}

static const struct node_unit *find_unit(const struct node_state *s, const char *name)
{
	for (size_t i = 0; i < s->units.count; i++)
		if (str_eq(s->units.items[i].name, name) &&
			str_eq(s->units.items[i].load, "loaded"))
			return &s->units.items[i];
	return NULL;
}

static bool is_in(const struct node_unit *u, const char *active)
{
	return u && str_eq(u->active, active);
}

static bool is_enabled(const struct node_unit *u)
{
	return u && str_starts(u->file_state, "enabled");
}

/* Switched off is the administrator's choice.  With the socket listening, it starts when asked. */
static char *libvirtd_well(const struct node_state *s)
{
	const struct node_unit *service = find_unit(s, "libvirtd.service");
	const struct node_unit *listener = find_unit(s, "libvirtd.socket");

	if (is_in(service, "failed") || is_in(listener, "failed"))
		return xstrdup("it has failed, see 'systemctl status libvirtd'");
	if ((is_enabled(service) || is_enabled(listener)) && !is_in(service, "active") &&
		!is_in(service, "activating") && !is_in(listener, "active"))
		return xstrdup("it is enabled, and does not run");
	return NULL;
}

static bool has_libvirtd(const struct node_state *s)
{
	return find_unit(s, "libvirtd.service") != NULL;
}

static const struct rule bootloader[] = {
	{"layer_boot_entries", "Layer boot entries", CHECK_FAILED, layer_boot_entries},
	{"valid_boot_entries", "Valid boot entries", CHECK_FAILED, valid_boot_entries},
	{"default_boot_entry", "Default boot entry", CHECK_FAILED, default_boot_entry},
};
static const struct rule mounts[] = {
	{"separate_var", "Separate /var", CHECK_FAILED, separate_var},
	{"volumes_mounted", "Volumes are mounted", CHECK_FAILED, volumes_mounted},
	{"discard", "Discard is used", CHECK_FAILED, discard_used},
};
static const struct rule storage[] = {
	{"vg", "Initialized VG", CHECK_FAILED, group_there},
	{"pvs", "All physical volumes", CHECK_FAILED, disks_there},
	{"pool", "Initialized Thin Pool", CHECK_FAILED, pool_there},
	{"lvs", "Initialized LVs", CHECK_FAILED, volumes_there},
};
static const struct rule thin[] = {
	{"space", "Checking available space in thinpool", CHECK_FAILED, pool_space},
	{"autoextend", "Checking thinpool auto-extend", CHECK_FAILED, pool_extension},
	{"when_full", "Checking what a full thinpool does", CHECK_WARN, pool_when_full},
};
static const struct rule base[] = {
	{"verity", "Opened through dm-verity", CHECK_FAILED, base_opened},
	{"corruption", "No corruption seen", CHECK_FAILED, base_clean},
	{"root_hash", "Root hash of the boot entry", CHECK_FAILED, base_hash},
};
static const struct rule services[] = {
	{"failed_units", "No failed units", CHECK_WARN, no_failed_units},
	{"libvirtd", "libvirtd", CHECK_FAILED, libvirtd_well, has_libvirtd},
};

static const struct {
	const char *id, *name;
	const struct rule *rules;
	size_t count;
} groups[] = {
	{"bootloader", "Bootloader", bootloader, ARRAY_LEN(bootloader)},
	{"mounts", "Mount points", mounts, ARRAY_LEN(mounts)},
	{"storage", "Basic storage", storage, ARRAY_LEN(storage)},
	{"thin", "Thin storage", thin, ARRAY_LEN(thin)},
	{"base", "Base", base, ARRAY_LEN(base)},
	{"services", "Services", services, ARRAY_LEN(services)},
};

static void apply(const struct rule *rule, const struct node_state *s, struct check_group *g)
{
	struct check *c = &g->items[g->count];

	if (rule->applies && !rule->applies(s))
		return;
	*c = (struct check){.id = rule->id, .name = rule->name, .reason = rule->reason(s)};
	c->status = c->reason ? rule->when_not : CHECK_OK;
	g->status = MAX(g->status, c->status);
	g->count++;
}

void node_check(const struct node_state *s, struct check_result *out)
{
	out->groups = xcalloc(ARRAY_LEN(groups), sizeof(*out->groups));
	out->count = ARRAY_LEN(groups);
	for (size_t i = 0; i < out->count; i++) {
		struct check_group *g = &out->groups[i];

		g->id = groups[i].id;
		g->name = groups[i].name;
		g->items = xcalloc(groups[i].count, sizeof(*g->items));
		for (size_t n = 0; n < groups[i].count; n++)
			apply(&groups[i].rules[n], s, g);
		out->status = MAX(out->status, g->status);
	}
}

static bool is_known(const char *id)
{
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (str_eq(groups[i].id, id))
			return true;
		for (size_t n = 0; n < groups[i].count; n++)
			if (str_eq(groups[i].rules[n].id, id))
				return true;
	}
	return false;
}

static void select_checks(struct check_group *g, const struct strv *ids)
{
	size_t kept = 0;

	g->status = CHECK_OK;
	for (size_t i = 0; i < g->count; i++) {
		if (!strv_has(ids, g->items[i].id)) {
			free(g->items[i].reason);
			continue;
		}
		g->status = MAX(g->status, g->items[i].status);
		g->items[kept++] = g->items[i];
	}
	g->count = kept;
}

int check_select(struct check_result *r, const struct strv *ids, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < ids->count; i++)
		if (!is_known(ids->items[i]))
			return err_set(e, EINVAL, "there is no check '%s'", ids->items[i]);
	r->status = CHECK_OK;
	for (size_t i = 0; i < r->count; i++) {
		struct check_group *g = &r->groups[i];

		if (!strv_has(ids, g->id))
			select_checks(g, ids);
		if (g->count == 0) {
			free(g->items);
			continue;
		}
		r->status = MAX(r->status, g->status);
		r->groups[kept++] = *g;
	}
	r->count = kept;
	return 0;
}

void check_result_fini(struct check_result *r)
{
	for (size_t i = 0; i < r->count; i++) {
		for (size_t n = 0; n < r->groups[i].count; n++)
			free(r->groups[i].items[n].reason);
		free(r->groups[i].items);
	}
	free(r->groups);
	*r = (struct check_result){0};
}
