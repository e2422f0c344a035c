/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "image/intree.h"
#include "plugin/policy.h"

#define RECORD_FORMAT    1
#define RECORD_MAX_BYTES (8 * MIB)
#define LIST_MAX_BYTES   (256 * MIB)
#define JSON_SUFFIX      ".json"
#define LIST_SUFFIX      ".files"

void plugin_records_fini(struct plugin_records *r)
{
	for (size_t i = 0; i < r->count; i++) {
		plugin_manifest_fini(&r->items[i].manifest);
		files_free(r->items[i].files);
		strv_fini(&r->items[i].removed);
	}
	free(r->items);
	*r = (struct plugin_records){0};
}

const struct plugin_record *plugin_records_find(const struct plugin_records *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (str_eq(r->items[i].manifest.name, name))
			return &r->items[i];
	return NULL;
}

const char *plugin_records_owner(const struct plugin_records *r, const char *path)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct files_entry *en = files_find(r->items[i].files, path);

		if (en && !S_ISDIR(en->mode))
			return r->items[i].manifest.name;
	}
	return NULL;
}

static int take_removed(const json_t *a, struct plugin_record *out, struct err *e)
{
	if (!json_is_array(a))
		return err_set(e, EBADMSG, "'removed' is not a list");
	if (!json_take_texts(a, &out->removed))
		return err_set(e, EBADMSG, "'removed' is not a list of paths");
	return 0;
}

static int parse_record(const json_t *o, struct plugin_record *out, struct err *e)
{
	const char *sum = json_string_value(json_object_get(o, "sha256"));
	const json_t *format = json_object_get(o, "format");
	const json_t *manifest = json_object_get(o, "manifest");
	int r;

	if (!json_is_integer(format) || json_integer_value(format) != RECORD_FORMAT)
		return err_set(e, EBADMSG, "not a record of this format");
	if (!sum || hex_parse(sum, out->sha256, SHA256_BYTES, NULL) < 0 ||
		!json_is_object(manifest))
		return err_set(e, EBADMSG, "'sha256' or 'manifest' is wrong");
	autofree char *text = json_format(manifest);
	r = plugin_manifest_parse(text, strlen(text), &out->manifest, e);
	return r == 0 ? take_removed(json_object_get(o, "removed"), out, e) : r;
}

static int read_list(
	struct tree *t, const char *json_path, struct plugin_record *out, struct err *e)
{
	autofree char *path = xasprintf(
		"%.*s" LIST_SUFFIX, (int)(strlen(json_path) - strlen(JSON_SUFFIX)), json_path);
	autofree char *text = NULL;
	size_t len;
	int r = image_read(t, path, LIST_MAX_BYTES, &text, &len, e);

	return r == 0 ? files_parse(text, len, &out->files, e) : r;
}

static int read_record(struct tree *t, const char *path, struct plugin_record *out, struct err *e)
{
	autofree char *text = NULL;
	json_error_t why;
	size_t len;
	int r = image_read(t, path, RECORD_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	r = o ? parse_record(o, out, e) : err_set(e, EBADMSG, "line %d: %s", why.line, why.text);
	json_decref(o);
	if (r == 0)
		r = read_list(t, path, out, e);
	return r < 0 ? err_wrap(e, r, "'/%s'", path) : 0;
}

static bool is_record(const char *path)
{
	static const char folder[] = PLUGIN_RECORDS "/";

	return str_starts(path, folder) && str_ends(path, JSON_SUFFIX) &&
		!strchr(path + strlen(folder), '/');
}

int plugin_records_read(struct tree *t, struct plugin_records *out, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->count; i++) {
		if (!S_ISREG(t->entries[i].mode) || !is_record(t->entries[i].path))
			continue;
		out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
		out->items[out->count] = (struct plugin_record){0};
		r = read_record(t, t->entries[i].path, &out->items[out->count++], e);
	}
	if (r < 0)
		plugin_records_fini(out);
	return r;
}

static int compare_change(const void *key, const void *item)
{
	return tree_path_compare(key, ((const struct change *)item)->en->path);
}

static bool is_written(const struct tree_entry *en, const void *ctx)
{
	const struct changes *c = ctx;
	const struct change *found = c->count == 0
		? NULL
		: bsearch(en->path, c->items, c->count, sizeof(*c->items), compare_change);

	return found && found->kind != CHANGE_REMOVED && !plugin_path_is_common(en->path);
}

static json_t *list_removed(const struct changes *c)
{
	json_t *a = json_array();

	for (size_t i = 0; i < c->count; i++)
		if (c->items[i].kind == CHANGE_REMOVED &&
			!plugin_path_is_common(c->items[i].en->path))
			json_array_append_new(a, json_text(c->items[i].en->path));
	return a;
}

static int write_list(
	int root_fd, struct tree *t, const char *path, const struct changes *c, struct err *e)
{
	autoptr(files) files = NULL;
	size_t len;

	tree_keep(t, is_written, c);
	int r = files_compute(t, &files, NULL, e);
	if (r < 0)
		return r;
	autofree char *text = files_format(files, &len);
	return intree_write(root_fd, path, text, 0644, e);
}

int plugin_record_write_of(int root_fd, struct tree *t, const struct plugin_manifest *m,
	const uint8_t sha256[SHA256_BYTES], const struct changes *c, struct err *e)
{
	autofree char *json_path = xasprintf("/" PLUGIN_RECORDS "/%s" JSON_SUFFIX, m->name);
	autofree char *list_path = xasprintf("/" PLUGIN_RECORDS "/%s" LIST_SUFFIX, m->name);
	autofree char *manifest = plugin_manifest_format(m);
	char hex[SHA256_HEX_BYTES];

	hex_format(sha256, SHA256_BYTES, hex);
	json_t *o = json_pack("{s:i,s:s,s:o,s:o}", "format", RECORD_FORMAT, "sha256", hex,
		"manifest", json_loads(manifest, 0, NULL), "removed", list_removed(c));
	autofree char *text = json_format(o);
	json_decref(o);
	int r = intree_write(root_fd, json_path, text, 0644, e);

	return r == 0 ? write_list(root_fd, t, list_path, c, e) : r;
}

int plugin_record_write(int root_fd, const char *tree_path, const struct plugin_manifest *m,
	const uint8_t sha256[SHA256_BYTES], const struct changes *c, int64_t source_date,
	struct err *e)
{
	autoptr(tree) t = NULL;
	int r = tree_scan(tree_path, &t, e);

	if (r < 0)
		return r;
	/* What is written next is of the record itself, and not in the list. */
	tree_clamp_times(t, source_date);
	return plugin_record_write_of(root_fd, t, m, sha256, c, e);
}
