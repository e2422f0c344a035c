/* SPDX-License-Identifier: Apache-2.0 */
/* From text to manifest.  Nothing is taken that is not known and well-formed. */
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "plugin/manifest.h"
#include "plugin/words.h"

#define VENDOR_MAX      255
#define DESCRIPTION_MAX 4096
#define WHERE_MAX       64

/* One object.  What is wrong is told once, by the first that finds it: r stays negative. */
struct object {
	char where[WHERE_MAX]; /* "images[2]." or "" */
	const json_t *o;
	int r;
	struct err *e;
};

typedef bool (*word_check)(const char *s);

static void wrong(struct object *ob, const char *key, const char *what)
{
	autofree char *safe = str_printable(key);

	if (ob->r == 0)
		ob->r = err_set(ob->e, EBADMSG, "'%s%.80s' %s", ob->where, safe, what);
}

/* keys end with NULL. */
static void open_object(struct object *ob, const json_t *o, const char *const keys[])
{
	const char *key;
	json_t *value;

	ob->o = o;
	if (!json_is_object(o)) {
		ob->r = err_set(ob->e, EBADMSG, "'%.*s' is not an object",
			(int)MAX(strlen(ob->where), 1) - 1, ob->where);
		return;
	}
	/* jansson wants to change what it looks through, though this does not. */
	json_object_foreach((json_t *)(uintptr_t)o, key, value)
	{
		size_t i = 0;

		while (keys[i] && !str_eq(keys[i], key))
			i++;
		if (!keys[i])
			wrong(ob, key, "is not a known key");
	}
}

static const json_t *get(struct object *ob, const char *key, bool optional)
{
	const json_t *j = ob->r < 0 ? NULL : json_object_get(ob->o, key);

	if (!j && !optional)
		wrong(ob, key, "is missing");
	return j;
}

/* The text of j without control characters, NULL when it is none. */
static const char *plain_text(const json_t *j, size_t max)
{
	const char *s = json_is_string(j) ? json_string_value(j) : NULL;

	if (!s || json_string_length(j) > max || strlen(s) != json_string_length(j))
		return NULL;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return NULL;
	return s;
}

static char *get_text(struct object *ob, const char *key, size_t max)
{
	const json_t *j = get(ob, key, false);
	const char *s = plain_text(j, max);

	if (j && (!s || !*s))
		wrong(ob, key, "is not a line of text");
	return s && *s ? xstrdup(s) : NULL;
}

static char *get_word(struct object *ob, const char *key, word_check is_right, bool optional)
{
	const json_t *j = get(ob, key, optional);
	const char *s = plain_text(j, PLUGIN_PATH_MAX);

	if (!j)
		return NULL;
	if (!s || !is_right(s)) {
		wrong(ob, key, "has a wrong form");
		return NULL;
	}
	return xstrdup(s);
}

static uint64_t get_number(struct object *ob, const char *key, uint64_t max)
{
	const json_t *j = get(ob, key, false);

	if (!j)
		return 0;
	if (!json_is_integer(j) || json_integer_value(j) < 0 ||
		(uint64_t)json_integer_value(j) > max) {
		wrong(ob, key, "is not a number in range");
		return 0;
	}
	return (uint64_t)json_integer_value(j);
}

static const json_t *get_array(struct object *ob, const char *key, bool optional)
{
	const json_t *a = get(ob, key, optional);

	if (a && !json_is_array(a))
		wrong(ob, key, "is not a list");
	else if (json_array_size(a) > PLUGIN_LIST_MAX)
		wrong(ob, key, "is too long");
	return ob->r < 0 ? NULL : a;
}

/* Words, each of them once. */
static void get_words(struct object *ob, const char *key, word_check is_right, struct strv *out)
{
	const json_t *a = get_array(ob, key, true);

	for (size_t i = 0; ob->r == 0 && i < json_array_size(a); i++) {
		const char *s = plain_text(json_array_get(a, i), PLUGIN_PATH_MAX);
		autofree char *at = xasprintf("%s[%zu]", key, i);

		if (!s || !is_right(s))
			wrong(ob, at, "has a wrong form");
		else if (strv_has(out, s))
			wrong(ob, at, "is there twice");
		else
			strv_add(out, s);
	}
}

/* The i-th object of a list. */
static struct object item(const struct object *ob, const char *key, const json_t *a, size_t i,
	const char *const keys[])
{
	struct object sub = {.e = ob->e};

	snprintf(sub.where, sizeof(sub.where), "%s[%zu].", key, i);
	open_object(&sub, json_array_get(a, i), keys);
	return sub;
}

static void get_images(struct object *ob, struct plugin_manifest *m)
{
	static const char *const keys[] = {"name", "from", "before", NULL};
	const json_t *a = get_array(ob, "images", false);

	if (a && json_array_size(a) == 0)
		wrong(ob, "images", "names no image");
	m->images = xcalloc(json_array_size(a) + 1, sizeof(*m->images));
	for (size_t i = 0; ob->r == 0 && i < json_array_size(a); i++) {
		struct object sub = item(ob, "images", a, i, keys);
		struct plugin_image *im = &m->images[m->image_count++];

		im->name = get_word(&sub, "name", plugin_is_word, false);
		im->from = get_word(&sub, "from", plugin_is_word, true);
		im->before = get_word(&sub, "before", plugin_is_word, true);
		ob->r = sub.r;
	}
}

static void get_modules(struct object *ob, struct plugin_manifest *m)
{
	static const char *const keys[] = {"name", "kernels", NULL};
	const json_t *a = get_array(ob, "kernel_modules", true);

	m->modules = xcalloc(json_array_size(a) + 1, sizeof(*m->modules));
	for (size_t i = 0; ob->r == 0 && i < json_array_size(a); i++) {
		struct object sub = item(ob, "kernel_modules", a, i, keys);
		struct plugin_module *km = &m->modules[m->module_count++];

		km->name = get_word(&sub, "name", plugin_is_word, false);
		get_words(&sub, "kernels", plugin_is_pattern, &km->kernels);
		if (km->kernels.count == 0)
			wrong(&sub, "kernels", "names no kernel");
		ob->r = sub.r;
	}
}

static void get_arguments(struct object *ob, struct plugin_manifest *m)
{
	static const char *const keys[] = {"add", "remove", NULL};
	struct object sub = {.where = "kernel_arguments.", .e = ob->e};
	const json_t *o = get(ob, "kernel_arguments", true);

	if (!o)
		return;
	open_object(&sub, o, keys);
	get_words(&sub, "add", plugin_is_argument, &m->kernel_add);
	get_words(&sub, "remove", plugin_is_argument, &m->kernel_remove);
	ob->r = sub.r;
}

static void get_member(struct object *ob, struct plugin_member *f)
{
	const json_t *hash;

	f->file = get_word(ob, "file", plugin_is_member, false);
	f->size_bytes = get_number(ob, "size", PLUGIN_MEMBER_MAX_BYTES);
	hash = get(ob, "sha256", false);
	if (hash &&
		(!json_is_string(hash) ||
			hex_parse(json_string_value(hash), f->sha256, SHA256_BYTES, NULL) < 0))
		wrong(ob, "sha256", "is not a SHA-256 digest");
}

/* "packages/NAME.deb" */
static bool is_package_file(const char *file)
{
	return str_starts(file, PLUGIN_PACKAGES) && str_ends(file, ".deb") &&
		!strchr(file + strlen(PLUGIN_PACKAGES), '/');
}

static bool is_other_file(const char *file)
{
	return str_eq(file, PLUGIN_RECIPE) || str_eq(file, PLUGIN_INDEX) ||
		str_starts(file, PLUGIN_TESTS);
}

static void get_packages(struct object *ob, struct plugin_manifest *m)
{
	static const char *const keys[] = {
		"name", "version", "arch", "file", "size", "sha256", NULL};
	const json_t *a = get_array(ob, "packages", false);

	for (size_t i = 0; ob->r == 0 && i < json_array_size(a); i++) {
		struct object sub = item(ob, "packages", a, i, keys);
		struct plugin_package *p = plugin_manifest_add_package(m);

		p->name = get_word(&sub, "name", plugin_is_word, false);
		p->version = get_word(&sub, "version", plugin_is_word, false);
		p->arch = get_word(&sub, "arch", plugin_is_word, false);
		get_member(&sub, &p->member);
		if (sub.r == 0 && !is_package_file(p->member.file))
			wrong(&sub, "file", "is not a packages/NAME.deb");
		ob->r = sub.r;
	}
}

static void get_files(struct object *ob, struct plugin_manifest *m)
{
	static const char *const keys[] = {"file", "size", "sha256", NULL};
	const json_t *a = get_array(ob, "files", false);

	for (size_t i = 0; ob->r == 0 && i < json_array_size(a); i++) {
		struct object sub = item(ob, "files", a, i, keys);
		struct plugin_member *f = plugin_manifest_add_file(m);

		get_member(&sub, f);
		if (sub.r == 0 && !is_other_file(f->file))
			wrong(&sub, "file", "is not a member that a plugin has");
		ob->r = sub.r;
	}
}

static bool has_file(const struct plugin_manifest *m, const char *file)
{
	for (size_t i = 0; i < m->file_count; i++)
		if (str_eq(m->files[i].file, file))
			return true;
	return false;
}

/* Nothing twice, and all that belongs together. */
static int check_whole(const struct plugin_manifest *m, struct err *e)
{
	size_t count;
	autofree const struct plugin_member **members = plugin_manifest_members(m, &count);
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		total += members[i]->size_bytes;
		if (i > 0 && str_eq(members[i - 1]->file, members[i]->file))
			return err_set(e, EBADMSG, "member '%s' is there twice", members[i]->file);
	}
	for (size_t i = 1; i < m->package_count; i++)
		if (str_eq(m->packages[i - 1].name, m->packages[i].name))
			return err_set(
				e, EBADMSG, "package '%s' is there twice", m->packages[i].name);
	if (total > PLUGIN_MAX_BYTES)
		return err_set(
			e, EBADMSG, "the members have more than %llu bytes", PLUGIN_MAX_BYTES);
	if (!has_file(m, PLUGIN_RECIPE))
		return err_set(e, EBADMSG, "there is no " PLUGIN_RECIPE);
	if (has_file(m, PLUGIN_INDEX) != (m->package_count > 0))
		return err_set(e, EBADMSG, PLUGIN_INDEX " goes with packages, and only with them");
	return 0;
}

static void get_head(struct object *ob, struct plugin_manifest *m)
{
	m->name = get_word(ob, "name", plugin_is_name, false);
	m->version = get_word(ob, "version", plugin_is_version, false);
	m->vendor = get_text(ob, "vendor", VENDOR_MAX);
	m->description = get_text(ob, "description", DESCRIPTION_MAX);
	get_images(ob, m);
	get_words(ob, "writes", plugin_is_path, &m->writes);
	get_words(ob, "state", plugin_is_state_path, &m->state);
	get_words(ob, "services", plugin_is_unit, &m->services);
	get_words(ob, "ports", plugin_is_port, &m->ports);
	get_arguments(ob, m);
	get_modules(ob, m);
	get_words(ob, "conflicts", plugin_is_name, &m->conflicts);
	if (ob->r == 0 && strv_has(&m->conflicts, m->name))
		wrong(ob, "conflicts", "names the plugin itself");
}

#define HEAD_KEYS                                                                                  \
	"name", "version", "vendor", "description", "images", "writes", "state", "services",       \
		"ports", "kernel_arguments", "kernel_modules", "conflicts"

static int read_draft(const json_t *o, struct plugin_manifest *m, struct err *e)
{
	static const char *const keys[] = {HEAD_KEYS, NULL};
	struct object ob = {.e = e};

	open_object(&ob, o, keys);
	get_head(&ob, m);
	return ob.r;
}

static int read_manifest(const json_t *o, struct plugin_manifest *m, struct err *e)
{
	static const char *const keys[] = {HEAD_KEYS, "format", "packages", "files", NULL};
	const json_t *format = json_object_get(o, "format");
	struct object ob = {.e = e};

	/* Before unknown keys: those of a newer format say nothing. */
	if (json_is_integer(format) && json_integer_value(format) != PLUGIN_FORMAT)
		return err_set(e, EBADMSG, "format %lld is not supported",
			(long long)json_integer_value(format));
	open_object(&ob, o, keys);
	get_number(&ob, "format", PLUGIN_FORMAT);
	get_head(&ob, m);
	get_packages(&ob, m);
	get_files(&ob, m);
	if (ob.r < 0)
		return ob.r;
	plugin_manifest_sort(m);
	return check_whole(m, e);
}

static int parse(const char *text, size_t len,
	int (*read)(const json_t *o, struct plugin_manifest *m, struct err *e),
	struct plugin_manifest *out, struct err *e)
{
	json_error_t why;
	json_t *o;
	int r;

	if (len > PLUGIN_MANIFEST_MAX_BYTES)
		return err_set(
			e, EBADMSG, "it is larger than %llu bytes", PLUGIN_MANIFEST_MAX_BYTES);
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!o) {
		autofree char *safe = str_printable(why.text);

		return err_set(e, EBADMSG, "line %d: %s", why.line, safe);
	}
	r = json_is_object(o) ? read(o, out, e) : err_set(e, EBADMSG, "it is not an object");
	json_decref(o);
	if (r < 0)
		plugin_manifest_fini(out);
	return r;
}

int plugin_manifest_parse(const char *text, size_t len, struct plugin_manifest *out, struct err *e)
{
	return parse(text, len, read_manifest, out, e);
}

/* Blanks in their place keep the numbers of lines. */
static void blank_comments(char *text, size_t len)
{
	for (char *p = text, *end = text + len; p < end;) {
		char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = stop ? (size_t)(stop - p) : (size_t)(end - p);
		size_t indent = 0;

		while (indent < n && (p[indent] == ' ' || p[indent] == '\t'))
			indent++;
		if (n - indent >= 2 && p[indent] == '/' && p[indent + 1] == '/')
			memset(p, ' ', n);
		p += n + (stop != NULL);
	}
}

int plugin_draft_parse(const char *text, size_t len, struct plugin_manifest *out, struct err *e)
{
	autofree char *copy = xmemdup(text, len);

	blank_comments(copy, len);
	return parse(copy, len, read_draft, out, e);
}
