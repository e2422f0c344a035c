/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/records-text.h"
#include "boot/records.h"

static void version_fini(struct failed_version *v)
{
	free(v->name);
	free(v->version);
	free(v->layer);
	free(v->why);
	*v = (struct failed_version){0};
}
#define autoversion auto_with(version_fini) struct failed_version

void failed_versions_fini(struct failed_versions *f)
{
	for (size_t i = 0; i < f->count; i++)
		version_fini(&f->items[i]);
	free(f->items);
	*f = (struct failed_versions){0};
}

static bool is_hash(const char *text)
{
	return strlen(text) == 64 && text[strspn(text, "0123456789abcdef")] == '\0';
}

static int parse_hash(const json_t *o, struct failed_version *v, struct err *e)
{
	const char *hash = json_string_value(json_object_get(o, "root_hash"));

	if (!hash || !is_hash(hash))
		return err_set(e, EBADMSG, "'root_hash' is no hash of 64 digits");
	memcpy(v->root_hash, hash, sizeof(v->root_hash));
	return 0;
}

static int parse_version(const json_t *o, struct failed_version *out, struct err *e)
{
	autoversion v = {0};
	int r = record_text(o, "name", false, &v.name, e);

	if (r == 0)
		r = record_text(o, "version", false, &v.version, e);
	if (r == 0)
		r = record_layer(o, "layer", false, &v.layer, e);
	if (r == 0)
		r = record_text(o, "why", true, &v.why, e);
	if (r == 0)
		r = record_time(o, "time", &v.time, e);
	if (r == 0)
		r = parse_hash(o, &v, e);
	if (r < 0)
		return r;
	*out = v;
	v = (struct failed_version){0};
	return 0;
}

int failed_parse(const char *text, size_t len, struct failed_versions *out, struct err *e)
{
	autoptr(json_t) o = NULL;
	autofailed f = {0};
	int r = record_object(text, len, &o, e);

	if (r < 0)
		return r;
	const json_t *list = json_object_get(o, "versions");
	if (!json_is_array(list) || json_array_size(list) > FAILED_COUNT_MAX)
		return err_set(e, EBADMSG, "'versions' is no list of at most %d", FAILED_COUNT_MAX);
	f.items = xcalloc(json_array_size(list) + 1, sizeof(*f.items));
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		r = parse_version(json_array_get(list, i), &f.items[f.count], e);
		f.count += r == 0;
	}
	if (r < 0)
		return r;
	*out = f;
	f = (struct failed_versions){0};
	return 0;
}

char *failed_format(const struct failed_versions *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->count; i++) {
		const struct failed_version *v = &f->items[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:s, s:o, s:I, s:o}", "name", record_cut(v->name),
				"version", record_cut(v->version), "root_hash", v->root_hash,
				"layer", json_text(v->layer), "time", (json_int_t)v->time, "why",
				record_cut(v->why)));
	}
	autoptr(json_t) o = json_pack("{s:i, s:o}", "schema", 1, "versions", list);
	return json_format(o);
}

int failed_read(int boot_fd, struct failed_versions *out, struct err *e)
{
	autofree char *text = NULL;
	struct err why = {0};
	size_t len = 0;

	(void)e;
	if (record_load(boot_fd, FAILED_PATH, FAILED_MAX, &text, &len) &&
		failed_parse(text, len, out, &why) < 0)
		log_warning(
			"'/boot/" RECORDS_FOLDER "/" FAILED_PATH "' does not count: %s", why.msg);
	return 0;
}

static void drop(struct failed_versions *f, size_t at)
{
	version_fini(&f->items[at]);
	memmove(&f->items[at], &f->items[at + 1], (f->count - at - 1) * sizeof(*f->items));
	f->count--;
}

static bool drop_hash(struct failed_versions *f, const char *root_hash)
{
	bool dropped = false;

	for (size_t i = f->count; i-- > 0;)
		if (str_eq(f->items[i].root_hash, root_hash)) {
			drop(f, i);
			dropped = true;
		}
	return dropped;
}

int failed_add(int boot_fd, const struct failed_version *v, struct err *e)
{
	autofailed f = {0}, again = {0};

	if (!is_hash(v->root_hash))
		return err_set(e, EINVAL, "failed versions: bad root hash '%s'", v->root_hash);
	int r = failed_read(boot_fd, &f, e);
	if (r < 0)
		return r;
	drop_hash(&f, v->root_hash);
	if (f.count == FAILED_COUNT_MAX)
		drop(&f, 0);
	f.items = xrealloc(f.items, (f.count + 1) * sizeof(*f.items));
	struct failed_version *last = &f.items[f.count++];
	*last = (struct failed_version){
		.name = xstrdup_or_null(v->name),
		.version = xstrdup_or_null(v->version),
		.layer = xstrdup_or_null(v->layer),
		.why = xstrdup_or_null(v->why),
		.time = v->time ? v->time : time(NULL),
	};
	memcpy(last->root_hash, v->root_hash, sizeof(last->root_hash));
	autofree char *text = failed_format(&f);
	r = failed_parse(text, strlen(text), &again, e);
	if (r < 0)
		return err_wrap(e, r, "failed versions");
	while (strlen(text) > FAILED_MAX) {
		drop(&f, 0);
		free(text);
		text = failed_format(&f);
	}
	return record_save(boot_fd, FAILED_PATH, text, e);
}

int failed_remove(int boot_fd, const char *root_hash, struct err *e)
{
	autofailed f = {0};
	int r = failed_read(boot_fd, &f, e);

	if (r < 0 || !drop_hash(&f, root_hash))
		return r;
	if (f.count == 0)
		return record_drop(boot_fd, FAILED_PATH, e);
	autofree char *text = failed_format(&f);
	return record_save(boot_fd, FAILED_PATH, text, e);
}
