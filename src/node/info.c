/* SPDX-License-Identifier: Apache-2.0 */
#include "node/info.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "node/layers.h"
#include "node/text.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const char *const running_ids[] = {
	[NODE_UNKNOWN] = "unknown",
	[NODE_LIVE] = "live",
	[NODE_INSTALLED] = "installed",
};

static const char *root_type(const struct node_state *s)
{
	const struct node_mount *root = node_mount_on(&s->mounts, "/");

	return root ? root->fstype : NULL;
}

static void put_running(const struct node_state *s, struct strbuf *b)
{
	const char *type = root_type(s);

	if (s->running == NODE_INSTALLED)
		text_line(b, "Running:   installed, layer %s%s", s->layer,
			s->stateless ? ", changes are lost at power-off" : "");
	else if (s->running == NODE_LIVE && type && str_eq(type, "overlay"))
		text_line(b, "Running:   live, changes are lost at power-off");
	else
		text_line(b, "Running:   %s", running_ids[s->running]);
}

static void put_uptime(uint64_t seconds, struct strbuf *b)
{
	strbuf_puts(b, "Uptime:    ");
	if (seconds >= DAY)
		strbuf_printf(b, "%" PRIu64 " d ", seconds / DAY);
	if (seconds >= HOUR)
		strbuf_printf(b, "%" PRIu64 " h ", seconds % DAY / HOUR);
	strbuf_printf(b, "%" PRIu64 " min\n", seconds % HOUR / MINUTE);
}

/* Format: docs/formats/factory.md. */
static void put_factory(const struct node_state *s, struct strbuf *b)
{
	const char *time = json_string_value(json_object_get(s->factory, "installed"));
	const json_t *image = json_object_get(s->factory, "image");
	const char *origin = json_string_value(json_object_get(image, "origin"));

	if (s->factory)
		text_line(b, "Installed: %s%s%s", time ? time : "at an unknown time",
			origin ? " from " : "", origin ? origin : "");
}

static void put_boot(const struct node_boot *boot, struct strbuf *b)
{
	if (boot->error) {
		text_line(b, "Boot:      %s", boot->error);
		return;
	}
	text_line(
		b, "Boot:      default %s", boot->default_layer ? boot->default_layer : "not set");
	for (size_t i = 0; i < boot->entries.count; i++) {
		const struct boot_entry *en = &boot->entries.items[i];

		text_line(b, "  %s: %s (%s)%s%s", en->layer, en->title, en->release,
			en->missing ? ", missing: " : "", en->missing ? en->missing : "");
		text_line(b, "    %s", en->cmd_line);
	}
}

static void put_trial(const struct node_state *s, struct strbuf *b)
{
	const struct node_boot *boot = &s->boot;

	if (boot->trial && s->layer && str_eq(boot->trial, s->layer))
		text_line(b, "Trial:     layer %s, it runs now", boot->trial);
	else if (boot->trial)
		text_line(b, "Trial:     layer %s, %u tries left", boot->trial, boot->tries);
	if (boot->staged)
		text_line(b, "Staged:    layer %s, for 'nodectl activate'", boot->staged);
	for (size_t i = 0; i < boot->failed.count; i++) {
		const struct failed_version *f = &boot->failed.items[i];
		autofree char *date = text_date(f->time);

		text_line(b, "Failed:    layer %s on %s: %s", f->layer, date, f->why);
	}
}

static void put_volumes(const struct lvm_report *lvm, const char *vg, struct strbuf *b)
{
	for (size_t i = 0; i < lvm->lv_count; i++) {
		const struct lvm_lv *lv = &lvm->lvs[i];
		const char *mount = lvm_tag_value(&lv->tags, LVM_TAG_MOUNT);

		if (!str_eq(lv->vg, vg) || !lvm_has_tag(&lv->tags, LVM_TAG_VOLUME))
			continue;
		autofree char *size = str_bytes(lv->size_bytes);
		autofree char *used = text_percent(lv->data_percent);
		text_line(b, "  %s: %s, %s used, on %s", lv->name, size, used, mount ? mount : "?");
	}
}

static void put_pool(const struct lvm_lv *pool, struct strbuf *b)
{
	autofree char *size = str_bytes(pool->size_bytes);
	autofree char *data = text_percent(pool->data_percent);
	autofree char *metadata = text_percent(pool->metadata_percent);

	text_line(b, "  thin pool %s: %s, data %s, metadata %s", pool->name, size, data, metadata);
}

static void put_storage(const struct node_storage *st, struct strbuf *b)
{
	const struct lvm_vg *vg = lvm_node_vg(&st->lvm);
	const struct lvm_lv *pool = lvm_node_pool(&st->lvm);

	if (!vg) {
		text_line(
			b, "Storage:   %s", st->error ? st->error : "no volume group of this node");
		return;
	}
	autofree char *size = str_bytes(vg->size_bytes);
	autofree char *unused = str_bytes(vg->free_bytes);
	text_line(b, "Storage:   volume group %s, %s, %s free%s", vg->name, size, unused,
		vg->partial ? ", a physical volume is missing" : "");
	if (pool)
		put_pool(pool, b);
	put_volumes(&st->lvm, vg->name, b);
}

static void put_layers(const struct node_state *s, struct strbuf *b)
{
	autonodelayers layers = {0};

	node_layers_find(s, &layers);
	if (layers.count == 0 && layers.orphans.count == 0 && layers.unknown_count == 0)
		return;
	text_line(b, "Layers:");
	node_layers_text(&layers, b);
}

static void put_origin(const struct node_image *image, struct strbuf *b)
{
	autostrbuf names = {0};

	for (size_t i = 0; i < image->plugins.count; i++)
		strbuf_printf(&names, "%s%s", i > 0 ? ", " : "", image->plugins.items[i]);
	if (names.len > 0)
		text_line(b, "Plugins:   %s", names.data);
	if (image->edited)
		text_line(b, "Edited:    yes, with 'bedplate image edit'");
}

static void put_added(const struct node_plugins *p, struct strbuf *b)
{
	if (p->error)
		text_line(b, "Added:     %s", p->error);
	for (size_t i = 0; i < p->count; i++)
		text_line(b, "%s%s %s", i == 0 ? "Added:     plugin " : "           plugin ",
			p->items[i].name, p->items[i].version);
}

char *node_info_text(const struct node_state *s)
{
	autofree char *date = text_date(s->image.source_date);
	autostrbuf b = {0};

	text_line(&b, "Image:     %s %s (%s)", s->image.name, s->image.version, s->image.arch);
	put_origin(&s->image, &b);
	put_added(&s->added, &b);
	text_line(&b, "Date:      %s", date);
	put_running(s, &b);
	if (*s->kernel) {
		text_line(&b, "Kernel:    %s", s->kernel);
		put_uptime(s->uptime_seconds, &b);
	}
	if (s->running != NODE_INSTALLED)
		return strbuf_take(&b);
	put_factory(s, &b);
	text_line(&b, "Base:      root hash %s", s->root_hash ? s->root_hash : "not known");
	put_boot(&s->boot, &b);
	put_trial(s, &b);
	put_storage(&s->storage, &b);
	put_layers(s, &b);
	return strbuf_take(&b);
}

static json_t *trial_json(const struct node_state *s)
{
	const struct node_boot *boot = &s->boot;

	if (!boot->trial)
		return json_null();
	return json_pack("{s:o, s:i, s:b}", "layer", json_text(boot->trial), "tries_left",
		(int)boot->tries, "running", s->layer && str_eq(s->layer, boot->trial));
}

static json_t *failed_json(const struct failed_versions *failed)
{
	json_t *list = json_array();

	for (size_t i = 0; i < failed->count; i++) {
		const struct failed_version *f = &failed->items[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "layer", json_text(f->layer),
				"name", json_text(f->name), "version", json_text(f->version),
				"root_hash", json_text(f->root_hash), "time", (json_int_t)f->time,
				"why", json_text(f->why)));
	}
	return list;
}

static json_t *boot_json(const struct node_state *s)
{
	const struct node_boot *boot = &s->boot;
	json_t *list = json_array();

	for (size_t i = 0; i < boot->entries.count; i++) {
		const struct boot_entry *en = &boot->entries.items[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "layer", json_text(en->layer),
				"title", json_text(en->title), "kernel", json_text(en->release),
				"args", json_text(en->cmd_line), "missing",
				json_text(en->missing)));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "default",
		json_text(boot->default_layer), "entries", list, "error", json_text(boot->error),
		"trial", trial_json(s), "staged", json_text(boot->staged), "failed",
		failed_json(&boot->failed));
}

static json_t *volumes_json(const struct lvm_report *lvm, const char *vg)
{
	json_t *list = json_array();

	for (size_t i = 0; i < lvm->lv_count; i++) {
		const struct lvm_lv *lv = &lvm->lvs[i];

		if (!str_eq(lv->vg, vg) || !lvm_has_tag(&lv->tags, LVM_TAG_VOLUME))
			continue;
		json_array_append_new(list,
			json_pack("{s:o, s:o, s:I, s:o}", "name", json_text(lv->name), "mount",
				json_text(lvm_tag_value(&lv->tags, LVM_TAG_MOUNT)), "size",
				(json_int_t)lv->size_bytes, "used_percent",
				text_percent_json(lv->data_percent)));
	}
	return list;
}

static json_t *pool_json(const struct lvm_lv *pool)
{
	if (!pool)
		return json_null();
	return json_pack("{s:o, s:I, s:o, s:o}", "name", json_text(pool->name), "size",
		(json_int_t)pool->size_bytes, "data_percent", text_percent_json(pool->data_percent),
		"metadata_percent", text_percent_json(pool->metadata_percent));
}

static json_t *storage_json(const struct node_storage *st)
{
	const struct lvm_vg *vg = lvm_node_vg(&st->lvm);

	if (!vg)
		return json_pack("{s:n, s:o}", "vg", "error", json_text(st->error));
	return json_pack("{s:o, s:I, s:I, s:b, s:o, s:o, s:n}", "vg", json_text(vg->name), "size",
		(json_int_t)vg->size_bytes, "free", (json_int_t)vg->free_bytes, "partial",
		vg->partial, "pool", pool_json(lvm_node_pool(&st->lvm)), "volumes",
		volumes_json(&st->lvm, vg->name), "error");
}

static void add_installed(const struct node_state *s, json_t *out)
{
	autonodelayers layers = {0};

	node_layers_find(s, &layers);
	json_object_set_new(out, "root_hash", json_text(s->root_hash));
	json_object_set_new(out, "stateless", json_boolean(s->stateless));
	json_object_set_new(out, "bootloader", boot_json(s));
	json_object_set_new(out, "storage", storage_json(&s->storage));
	json_object_set_new(out, "layers", node_layers_json(&layers));
	json_object_set(out, "factory", s->factory ? s->factory : json_null());
}

static json_t *added_json(const struct node_plugins *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->count; i++)
		json_array_append_new(list,
			json_pack("{s:o, s:o}", "name", json_text(p->items[i].name), "version",
				json_text(p->items[i].version)));
	return list;
}

json_t *node_info_json(const struct node_state *s)
{
	json_t *image = json_pack("{s:o, s:o, s:o, s:I}", "name", json_text(s->image.name),
		"version", json_text(s->image.version), "arch", json_text(s->image.arch),
		"source_date", (json_int_t)s->image.source_date);
	if (s->image.plugins.count > 0)
		json_object_set_new(image, "plugins", json_texts(&s->image.plugins));
	if (s->image.edited)
		json_object_set_new(image, "edited", json_true());
	json_t *out = json_pack("{s:i, s:o, s:s, s:o, s:o, s:o, s:I}", "schema", 1, "image", image,
		"running", running_ids[s->running], "layer", json_text(s->layer), "root_type",
		json_text(root_type(s)), "kernel", json_text(s->kernel), "uptime_seconds",
		(json_int_t)s->uptime_seconds);

	if (s->added.count > 0)
		json_object_set_new(out, "added_plugins", added_json(&s->added));
	if (s->added.error)
		json_object_set_new(out, "added_plugins_error", json_text(s->added.error));
	if (s->running == NODE_INSTALLED)
		add_installed(s, out);
	return out;
}
