/* SPDX-License-Identifier: Apache-2.0 */
#include "node/layers.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "node/text.h"

void node_layers_fini(struct node_layers *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->bases[i].layers);
	free(l->bases);
	free(l->orphans.layers);
	free(l->unknown);
	*l = (struct node_layers){0};
}

static bool is_it(const char *layer, const struct lvm_lv *lv)
{
	return layer && str_eq(layer, lv->name);
}

static bool has_failed(const struct node_boot *boot, const struct lvm_lv *lv)
{
	for (size_t i = 0; i < boot->failed.count; i++)
		if (is_it(boot->failed.items[i].layer, lv))
			return true;
	return false;
}

static void add_layer(const struct node_state *s, const struct lvm_lv *lv, struct node_base *b)
{
	b->layers = xrealloc(b->layers, (b->count + 1) * sizeof(*b->layers));
	b->layers[b->count++] = (struct node_layer){
		.lv = lv,
		.current = is_it(s->layer, lv),
		.is_default = is_it(s->boot.default_layer, lv),
		.has_entry = node_boot_entry(&s->boot, lv->name) != NULL,
		.on_trial = is_it(s->boot.trial, lv),
		.staged = is_it(s->boot.staged, lv),
		.failed = has_failed(&s->boot, lv),
	};
}

static struct node_base *base_of(struct node_layers *l, const char *layer)
{
	size_t len = node_base_len(layer);

	for (size_t i = 0; i < l->count; i++) {
		const char *name = l->bases[i].lv->name;

		if (strlen(name) == len && strncmp(name, layer, len) == 0)
			return &l->bases[i];
	}
	return &l->orphans;
}

/* Names that differ only in digits are in the order of their numbers: 2 before 10. */
static int compare_bases(const void *a, const void *b)
{
	return strverscmp(
		((const struct node_base *)a)->lv->name, ((const struct node_base *)b)->lv->name);
}

static int compare_layers(const void *a, const void *b)
{
	return strverscmp(
		((const struct node_layer *)a)->lv->name, ((const struct node_layer *)b)->lv->name);
}

static void sort_layers(struct node_base *b)
{
	if (b->count > 1)
		qsort(b->layers, b->count, sizeof(*b->layers), compare_layers);
}

static void find_bases(const struct node_state *s, const char *vg, struct node_layers *out)
{
	for (size_t i = 0; i < s->storage.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->storage.lvm.lvs[i];

		if (!str_eq(lv->vg, vg) || !lvm_has_tag(&lv->tags, LVM_TAG_BASE))
			continue;
		out->bases = xrealloc(out->bases, (out->count + 1) * sizeof(*out->bases));
		out->bases[out->count++] = (struct node_base){.lv = lv};
	}
	if (out->count > 1)
		qsort(out->bases, out->count, sizeof(*out->bases), compare_bases);
}

void node_layers_find(const struct node_state *s, struct node_layers *out)
{
	const struct lvm_vg *vg = lvm_node_vg(&s->storage.lvm);

	if (!vg)
		return;
	find_bases(s, vg->name, out);
	for (size_t i = 0; i < s->storage.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->storage.lvm.lvs[i];

		if (!str_eq(lv->vg, vg->name) || !lvm_has_tag(&lv->tags, LVM_TAG_LAYER))
			continue;
		if (node_base_len(lv->name) > 0) {
			add_layer(s, lv, base_of(out, lv->name));
			continue;
		}
		out->unknown = xrealloc(
			out->unknown, (out->unknown_count + 1) * sizeof(*out->unknown));
		out->unknown[out->unknown_count++] = lv;
	}
	for (size_t i = 0; i < out->count; i++)
		sort_layers(&out->bases[i]);
	sort_layers(&out->orphans);
}

static char *size_text(const struct lvm_lv *lv)
{
	autofree char *size = str_bytes(lv->size_bytes);
	autofree char *used = text_percent(lv->data_percent);

	if (lv->data_percent < 0)
		return take_ptr(size);
	return xasprintf("%s, %s used", size, used);
}

static void put_layers(const struct node_base *b, struct strbuf *out)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct node_layer *l = &b->layers[i];
		autofree char *size = size_text(l->lv);

		text_line(out, " +- %s (%s%s%s%s%s%s%s)", l->lv->name, size,
			l->current ? ", current" : "", l->is_default ? ", default" : "",
			l->on_trial ? ", on trial" : "", l->staged ? ", staged" : "",
			l->failed ? ", failed its trial" : "",
			l->has_entry ? "" : ", no boot entry");
	}
}

void node_layers_text(const struct node_layers *l, struct strbuf *out)
{
	for (size_t i = 0; i < l->count; i++) {
		autofree char *size = size_text(l->bases[i].lv);

		text_line(out, "%s (%s%s)", l->bases[i].lv->name, size,
			l->bases[i].count > 0 ? "" : ", no layer");
		put_layers(&l->bases[i], out);
	}
	if (l->orphans.count > 0)
		text_line(out, "Without a base:");
	put_layers(&l->orphans, out);
	if (l->unknown_count > 0)
		text_line(out, "Not named like a layer:");
	for (size_t i = 0; i < l->unknown_count; i++)
		text_line(out, " +- %s", l->unknown[i]->name);
}

static json_t *layers_json(const struct node_base *b)
{
	json_t *list = json_array();

	for (size_t i = 0; i < b->count; i++) {
		const struct node_layer *l = &b->layers[i];

		json_array_append_new(list,
			json_pack("{s:o, s:I, s:o, s:b, s:b, s:b, s:b, s:b, s:b}", "name",
				json_text(l->lv->name), "size", (json_int_t)l->lv->size_bytes,
				"used_percent", text_percent_json(l->lv->data_percent), "current",
				l->current, "default", l->is_default, "boot_entry", l->has_entry,
				"trial", l->on_trial, "staged", l->staged, "failed", l->failed));
	}
	return list;
}

json_t *node_layers_json(const struct node_layers *l)
{
	json_t *bases = json_array();
	json_t *unknown = json_array();

	for (size_t i = 0; i < l->count; i++) {
		const struct lvm_lv *lv = l->bases[i].lv;

		json_array_append_new(bases,
			json_pack("{s:o, s:I, s:o, s:o}", "name", json_text(lv->name), "size",
				(json_int_t)lv->size_bytes, "used_percent",
				text_percent_json(lv->data_percent), "layers",
				layers_json(&l->bases[i])));
	}
	for (size_t i = 0; i < l->unknown_count; i++)
		json_array_append_new(unknown, json_text(l->unknown[i]->name));
	return json_pack("{s:o, s:o, s:o}", "bases", bases, "without_base",
		layers_json(&l->orphans), "unknown", unknown);
}
