/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction-internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "plugin/record.h"

#define LIST_MAX_BYTES (256 * MIB)
#define LIST_FORMAT    1

void undo_list_fini(struct undo_list *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->items[i].path);
		free(u->items[i].copy);
		free(u->items[i].after);
		free(u->items[i].made);
	}
	free(u->items);
	free(u->operation);
	free(u->plugin);
	strv_fini(&u->services);
	strv_fini(&u->packages);
	*u = (struct undo_list){0};
}

struct undo_item *undo_list_add(struct undo_list *u, const char *path)
{
	u->items = xrealloc(u->items, (u->count + 1) * sizeof(*u->items));
	u->items[u->count] = (struct undo_item){.path = xstrdup(path)};
	return &u->items[u->count++];
}

static const char *const place_words[] = {[UNDO_OWN] = "own", [UNDO_WAY] = "way"};
static const char *const where_words[] = {[UNDO_ROOT] = "root", [UNDO_VOLUME] = "volume"};

/* The name as it is: a text with other characters in it would be another file. */
static void set_path(json_t *o, const char *path)
{
	size_t len = strlen(path);
	json_t *text = json_string(path);

	if (text) {
		json_object_set_new(o, "path", text);
		return;
	}
	autofree char *hex = xcalloc(len + 1, 2);
	hex_format((const uint8_t *)path, len, hex);
	json_object_set_new(o, "path_hex", json_string(hex));
}

static json_t *item_json(const struct undo_item *x)
{
	json_t *o = json_object();

	set_path(o, x->path);
	json_object_set_new(o, "copy", json_text(x->copy));
	json_object_set_new(o, "after", json_text(x->after));
	json_object_set_new(o, "made", json_text(x->made));
	json_object_set_new(o, "place", json_text(place_words[x->place]));
	json_object_set_new(o, "where", json_text(where_words[x->where]));
	return o;
}

int undo_list_save(int folder_fd, const struct undo_list *u, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/" UNDO_LIST, folder_fd);
	json_t *items = json_array();

	for (size_t i = 0; i < u->count; i++)
		json_array_append_new(items, item_json(&u->items[i]));
	json_t *o = json_pack("{s:i,s:s,s:s,s:o,s:o,s:o}", "format", LIST_FORMAT, "operation",
		u->operation, "plugin", u->plugin, "services", json_texts(&u->services), "packages",
		json_texts(&u->packages), "items", items);
	if (!o)
		return err_set(e, EINVAL, "a name is not UTF-8");
	autofree char *text = json_format(o);
	json_decref(o);
	return file_replace(path, text, strlen(text), 0600, e);
}

static int take_strings(const json_t *a, struct strv *out, struct err *e)
{
	return json_take_texts(a, out) ? 0 : err_set(e, EBADMSG, "a list is damaged");
}

/* It is ours and only root can write to it, but a disk may have bitten. */
static bool is_inside(const char *path)
{
	autofree char *copy = xstrdup(path);
	char *rest = copy;

	for (char *name; (name = str_next_word(&rest, "/"));)
		if (str_eq(name, "..") || str_eq(name, "."))
			return false;
	return path[0] != '/';
}

static char *take_path(const json_t *o)
{
	const char *path = json_string_value(json_object_get(o, "path"));
	const char *hex = json_string_value(json_object_get(o, "path_hex"));
	size_t len = hex ? strlen(hex) / 2 : 0;

	if (path || !hex)
		return xstrdup_or_null(path);
	autofree char *name = xcalloc(len + 1, 1);
	return hex_parse(hex, (uint8_t *)name, len, NULL) < 0 || strlen(name) != len
		? NULL
		: take_ptr(name);
}

static unsigned take_word(const json_t *o, const char *key, const char *const *words, unsigned max)
{
	const char *s = json_string_value(json_object_get(o, key));

	for (unsigned i = 1; s && i <= max; i++)
		if (str_eq(s, words[i]))
			return i;
	return 0;
}

static int take_items(const json_t *a, struct undo_list *u, struct err *e)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);
		autofree char *path = take_path(o);
		const char *copy = json_string_value(json_object_get(o, "copy"));
		const char *after = json_string_value(json_object_get(o, "after"));

		if (!path || !is_inside(path) || (copy && strchr(copy, '/')) ||
			(after && strchr(after, '/')))
			return err_set(e, EBADMSG, "item %zu is damaged", i);
		struct undo_item *item = undo_list_add(u, path);
		item->copy = xstrdup_or_null(copy);
		item->after = xstrdup_or_null(after);
		item->made = xstrdup_or_null(json_string_value(json_object_get(o, "made")));
		item->place = take_word(o, "place", place_words, UNDO_WAY);
		item->where = take_word(o, "where", where_words, UNDO_VOLUME);
	}
	return 0;
}

static int parse_list(const char *text, struct undo_list *u, struct err *e)
{
	json_error_t why;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	const char *operation = json_string_value(json_object_get(o, "operation"));
	const char *plugin = json_string_value(json_object_get(o, "plugin"));
	int r;

	if (!operation || !plugin ||
		json_integer_value(json_object_get(o, "format")) != LIST_FORMAT) {
		r = err_set(e, EBADMSG, "not a list of this format");
	} else {
		u->operation = xstrdup(operation);
		u->plugin = xstrdup(plugin);
		r = take_strings(json_object_get(o, "services"), &u->services, e);
		if (r == 0)
			r = take_strings(json_object_get(o, "packages"), &u->packages, e);
		if (r == 0)
			r = take_items(json_object_get(o, "items"), u, e);
	}
	json_decref(o);
	return r;
}

int undo_list_load(int root_fd, const char *folder, struct undo_list *out, struct err *e)
{
	autofree char *path = xasprintf(PLUGIN_RECORDS "/%s/" UNDO_LIST, folder);
	autofree char *text = NULL;
	int r = file_read_in_root(root_fd, path, LIST_MAX_BYTES, &text, e);

	if (r < 0)
		return r;
	r = parse_list(text, out, e);
	if (r < 0)
		undo_list_fini(out);
	return r < 0 ? err_wrap(e, r, "'/%s'", path) : 0;
}
