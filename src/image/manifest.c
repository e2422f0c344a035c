/* SPDX-License-Identifier: Apache-2.0 */
#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/version.h"
#include "base/xalloc.h"

#define KERNELS_MAX  1000
#define PARTS_MAX    1000
#define STRING_MAX   4096
#define NAME_MAX_LEN 255

static void parts_fini(struct manifest_parts *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].name);
		free(p->items[i].version);
	}
	free(p->items);
}

void manifest_fini(struct manifest *m)
{
	struct manifest_file *files[] = {
		&m->liveimg, &m->rootfs, &m->files, &m->sbom, &m->recipe, &m->undo};
	char *strings[] = {m->name, m->version, m->arch, m->rootfs_type, m->verity.salt,
		m->previous_name, m->previous_version, m->upgrades_from_min, m->upgrades_from_max,
		m->tool};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		free(files[i]->file);
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < m->kernel_count; i++)
		free(m->kernels[i].release);
	for (size_t i = 0; i < m->package_count; i++) {
		struct manifest_package *p = &m->packages[i];

		free(p->name);
		free(p->version);
		free(p->arch);
		free(p->source);
		free(p->source_version);
		free(p->origin);
	}
	free(m->kernels);
	free(m->packages);
	parts_fini(&m->made_from);
	parts_fini(&m->plugins);
	*m = (struct manifest){0};
}

struct manifest_kernel *manifest_add_kernel(struct manifest *m)
{
	m->kernels = xrealloc(m->kernels, (m->kernel_count + 1) * sizeof(*m->kernels));
	m->kernels[m->kernel_count] = (struct manifest_kernel){0};
	return &m->kernels[m->kernel_count++];
}

struct manifest_package *manifest_add_package(struct manifest *m)
{
	/* Grown at each power of two. */
	if ((m->package_count & (m->package_count - 1)) == 0)
		m->packages = xrealloc(
			m->packages, MAX(1, 2 * m->package_count) * sizeof(*m->packages));
	m->packages[m->package_count] = (struct manifest_package){0};
	return &m->packages[m->package_count++];
}

void manifest_add_part(struct manifest_parts *p, const struct manifest_part *part)
{
	p->items = xrealloc(p->items, (p->count + 1) * sizeof(*p->items));
	struct manifest_part *to = &p->items[p->count++];

	*to = (struct manifest_part){
		.name = xstrdup(part->name), .version = xstrdup(part->version)};
	memcpy(to->sha256, part->sha256, SHA256_BYTES);
}

const struct manifest_part *manifest_find_part(const struct manifest_parts *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (str_eq(p->items[i].name, name))
			return &p->items[i];
	return NULL;
}

static int compare_packages(const void *a, const void *b)
{
	const struct manifest_package *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	if (r == 0)
		r = strcmp(x->arch, y->arch);
	return r != 0 ? r : strcmp(x->version, y->version);
}

void manifest_sort(struct manifest *m)
{
	if (m->package_count > 1)
		qsort(m->packages, m->package_count, sizeof(*m->packages), compare_packages);
}

static json_t *hash(const uint8_t sha[SHA256_BYTES])
{
	char hex[SHA256_HEX_BYTES];

	hex_format(sha, SHA256_BYTES, hex);
	return json_string(hex);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

static json_t *format_file(const struct manifest_file *f, bool with_size)
{
	json_t *o;

	if (!f->file)
		return json_null();
	o = json_object();
	put(o, "file", json_text(f->file));
	if (with_size)
		put(o, "size", number(f->size_bytes));
	put(o, "sha256", hash(f->sha256));
	return o;
}

static json_t *format_verity(const struct manifest_verity *v)
{
	json_t *o;

	if (!v->present)
		return json_null();
	o = json_object();
	put(o, "root_hash", hash(v->root_hash));
	put(o, "data_size", number(v->data_bytes));
	put(o, "hash_offset", number(v->hash_offset));
	put(o, "salt", json_text(v->salt ? v->salt : ""));
	put(o, "fec_offset", number(v->fec_offset));
	put(o, "fec_roots", number(v->fec_roots));
	return o;
}

static json_t *format_kernels(const struct manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->kernel_count; i++) {
		json_t *o = json_object();

		put(o, "release", json_text(m->kernels[i].release));
		put(o, "kernel_size", number(m->kernels[i].kernel_bytes));
		put(o, "initramfs_size", number(m->kernels[i].initramfs_bytes));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *format_packages(const struct manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->package_count; i++) {
		const struct manifest_package *p = &m->packages[i];
		json_t *o = json_object();

		put(o, "name", json_text(p->name));
		put(o, "version", json_text(p->version));
		put(o, "arch", json_text(p->arch));
		if (p->source)
			put(o, "source", json_text(p->source));
		if (p->source_version)
			put(o, "source_version", json_text(p->source_version));
		if (p->origin)
			put(o, "origin", json_text(p->origin));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *format_layout(const struct manifest *m)
{
	json_t *o;

	if (!m->previous_name)
		return json_null();
	o = json_object();
	put(o, "name", json_text(m->previous_name));
	put(o, "version", json_text(m->previous_version ? m->previous_version : ""));
	return o;
}

static json_t *format_upgrades_from(const struct manifest *m)
{
	json_t *o;

	if (!m->upgrades_from_min)
		return json_null();
	o = json_object();
	put(o, "min", json_text(m->upgrades_from_min));
	put(o, "max", json_text(m->upgrades_from_max));
	return o;
}

static json_t *format_parts(const struct manifest_parts *p)
{
	json_t *a = json_array();

	for (size_t i = 0; i < p->count; i++) {
		json_t *o = json_object();

		put(o, "name", json_text(p->items[i].name));
		put(o, "version", json_text(p->items[i].version));
		put(o, "sha256", hash(p->items[i].sha256));
		json_array_append_new(a, o);
	}
	return a;
}

/* An image that was built has none of these keys. */
static void format_derived(json_t *o, const struct manifest *m)
{
	if (m->made_from.count == 0)
		return;
	put(o, "made_from", format_parts(&m->made_from));
	put(o, "plugins", format_parts(&m->plugins));
	put(o, "edited", json_boolean(m->edited));
	put(o, "undo", format_file(&m->undo, true));
}

char *manifest_format(const struct manifest *m)
{
	json_t *o = json_object();

	put(o, "manifest_version", number(MANIFEST_VERSION));
	put(o, "name", json_text(m->name));
	put(o, "version", json_text(m->version));
	put(o, "arch", json_text(m->arch));
	put(o, "source_date", json_integer(m->source_date));
	put(o, "rootfs_type", json_text(m->rootfs_type));
	put(o, "liveimg", format_file(&m->liveimg, true));
	put(o, "rootfs", format_file(&m->rootfs, true));
	put(o, "verity", format_verity(&m->verity));
	put(o, "kernels", format_kernels(m));
	put(o, "packages", format_packages(m));
	put(o, "files", format_file(&m->files, true));
	put(o, "sbom", format_file(&m->sbom, true));
	put(o, "recipe", format_file(&m->recipe, false));
	put(o, "previous", format_layout(m));
	put(o, "upgrades_from", format_upgrades_from(m));
	put(o, "tool", json_text(m->tool));
	format_derived(o, m);

	char *text = json_format(o);
	json_decref(o);
	return text;
}

/* Reading.  Each get_ function takes one field of o; what is wrong is told once, by the first. */
struct reader {
	const char *where; /* "liveimg." or "" */
	const json_t *o;
	int r;
	struct err *e;
};

static int wrong(struct reader *rd, const char *key, const char *what)
{
	rd->r = err_set(rd->e, EBADMSG, "field '%s%s' %s", rd->where, key, what);
	return rd->r;
}

/* NULL: missing or null; an error unless it is optional. */
static const json_t *get(struct reader *rd, const char *key, bool optional)
{
	const json_t *j = rd->r < 0 ? NULL : json_object_get(rd->o, key);

	if (j && !json_is_null(j))
		return j;
	if (rd->r == 0 && !optional)
		wrong(rd, key, "is missing");
	return NULL;
}

static char *get_text(struct reader *rd, const char *key, bool optional)
{
	const json_t *j = get(rd, key, optional);

	if (!j)
		return NULL;
	if (!json_is_string(j) || json_string_length(j) > STRING_MAX ||
		strlen(json_string_value(j)) != json_string_length(j)) {
		wrong(rd, key, "is not a string");
		return NULL;
	}
	for (const char *s = json_string_value(j); *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f) {
			wrong(rd, key, "has control characters");
			return NULL;
		}
	}
	return xstrdup(json_string_value(j));
}

/* A word that can be part of a file name. */
static char *get_word(struct reader *rd, const char *key, bool optional)
{
	autofree char *s = get_text(rd, key, optional);

	if (!s)
		return NULL;
	if (!*s || *s == '.' || *s == '-' || strlen(s) > NAME_MAX_LEN ||
		strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+-_~:") !=
			strlen(s)) {
		wrong(rd, key, "is not a name");
		return NULL;
	}
	return take_ptr(s);
}

static uint64_t get_number(struct reader *rd, const char *key, uint64_t max)
{
	const json_t *j = get(rd, key, false);

	if (!j)
		return 0;
	if (!json_is_integer(j) || json_integer_value(j) < 0 ||
		(uint64_t)json_integer_value(j) > max) {
		wrong(rd, key, "is not a number in range");
		return 0;
	}
	return (uint64_t)json_integer_value(j);
}

static void get_hash(struct reader *rd, const char *key, uint8_t out[SHA256_BYTES])
{
	const json_t *j = get(rd, key, false);

	if (j &&
		(!json_is_string(j) ||
			hex_parse(json_string_value(j), out, SHA256_BYTES, NULL) < 0))
		wrong(rd, key, "is not a SHA-256 digest");
}

/* An object below.  False: there is none. */
static bool enter(struct reader *rd, const char *key, const char *where, struct reader *sub)
{
	const json_t *j = get(rd, key, true);

	if (!j)
		return false;
	if (!json_is_object(j)) {
		wrong(rd, key, "is not an object");
		return false;
	}
	*sub = (struct reader){.where = where, .o = j, .e = rd->e};
	return true;
}

static void get_file(struct reader *rd, const char *key, const char *where, bool with_size,
	struct manifest_file *out)
{
	struct reader sub;

	if (!enter(rd, key, where, &sub))
		return;
	out->file = get_text(&sub, "file", false);
	if (with_size)
		out->size_bytes = get_number(&sub, "size", INT64_MAX);
	get_hash(&sub, "sha256", out->sha256);
	rd->r = sub.r;
}

/* Files beside the manifest are opened by this name, so it must not lead elsewhere. */
static void check_plain(struct reader *rd, const char *key, const struct manifest_file *f)
{
	if (rd->r < 0 || !f->file)
		return;
	if (!*f->file || f->file[0] == '.' || strchr(f->file, '/') ||
		strlen(f->file) > NAME_MAX_LEN)
		wrong(rd, key, "does not name a plain file");
}

static void get_verity(struct reader *rd, struct manifest_verity *v)
{
	struct reader sub;

	if (!enter(rd, "verity", "verity.", &sub))
		return;
	v->present = true;
	get_hash(&sub, "root_hash", v->root_hash);
	v->data_bytes = get_number(&sub, "data_size", INT64_MAX);
	v->hash_offset = get_number(&sub, "hash_offset", INT64_MAX);
	v->salt = get_text(&sub, "salt", false);
	v->fec_offset = get_number(&sub, "fec_offset", INT64_MAX);
	v->fec_roots = (uint32_t)get_number(&sub, "fec_roots", 255);
	if (sub.r == 0 && v->hash_offset < v->data_bytes)
		wrong(&sub, "hash_offset", "is within the data");
	rd->r = sub.r;
}

static const json_t *get_array(struct reader *rd, const char *key)
{
	const json_t *a = get(rd, key, false);

	if (a && !json_is_array(a))
		wrong(rd, key, "is not a list");
	return rd->r < 0 ? NULL : a;
}

static void get_kernels(struct reader *rd, struct manifest *m)
{
	const json_t *a = get_array(rd, "kernels");

	if (json_array_size(a) > KERNELS_MAX)
		wrong(rd, "kernels", "is too long");
	for (size_t i = 0; rd->r == 0 && i < json_array_size(a); i++) {
		struct reader sub = {.where = "kernels.", .o = json_array_get(a, i), .e = rd->e};
		struct manifest_kernel *k = manifest_add_kernel(m);

		k->release = get_word(&sub, "release", false);
		k->kernel_bytes = get_number(&sub, "kernel_size", INT64_MAX);
		k->initramfs_bytes = get_number(&sub, "initramfs_size", INT64_MAX);
		rd->r = sub.r;
	}
}

static void get_packages(struct reader *rd, struct manifest *m)
{
	const json_t *a = get_array(rd, "packages");

	for (size_t i = 0; rd->r == 0 && i < json_array_size(a); i++) {
		struct reader sub = {.where = "packages.", .o = json_array_get(a, i), .e = rd->e};
		struct manifest_package *p = manifest_add_package(m);

		p->name = get_text(&sub, "name", false);
		p->version = get_text(&sub, "version", false);
		p->arch = get_text(&sub, "arch", false);
		p->source = get_text(&sub, "source", true);
		p->source_version = get_text(&sub, "source_version", true);
		p->origin = get_text(&sub, "origin", true);
		rd->r = sub.r;
	}
}

static void get_previous(struct reader *rd, struct manifest *m)
{
	struct reader sub;

	if (!enter(rd, "previous", "previous.", &sub))
		return;
	m->previous_name = get_text(&sub, "name", false);
	m->previous_version = get_text(&sub, "version", false);
	rd->r = sub.r;
}

static void get_upgrades_from(struct reader *rd, struct manifest *m)
{
	struct reader sub;

	if (!enter(rd, "upgrades_from", "upgrades_from.", &sub))
		return;
	m->upgrades_from_min = get_word(&sub, "min", false);
	m->upgrades_from_max = get_word(&sub, "max", true);
	if (sub.r == 0 && m->upgrades_from_max &&
		version_compare(m->upgrades_from_min, m->upgrades_from_max) > 0)
		wrong(&sub, "max", "is older than 'min'");
	rd->r = sub.r;
}

static void get_parts(
	struct reader *rd, const char *key, const char *where, struct manifest_parts *out)
{
	const json_t *a = get(rd, key, true);

	if (a && (!json_is_array(a) || json_array_size(a) > PARTS_MAX))
		wrong(rd, key, "is not a list in range");
	for (size_t i = 0; rd->r == 0 && i < json_array_size(a); i++) {
		struct reader sub = {.where = where, .o = json_array_get(a, i), .e = rd->e};
		autofree char *name = get_word(&sub, "name", false);
		autofree char *version = get_word(&sub, "version", false);
		struct manifest_part part = {.name = name, .version = version};

		get_hash(&sub, "sha256", part.sha256);
		if (sub.r == 0)
			manifest_add_part(out, &part);
		rd->r = sub.r;
	}
}

static void get_derived(struct reader *rd, struct manifest *m)
{
	const json_t *edited = get(rd, "edited", true);

	if (edited && !json_is_boolean(edited))
		wrong(rd, "edited", "is not true or false");
	m->edited = json_is_true(edited);
	get_parts(rd, "made_from", "made_from.", &m->made_from);
	get_parts(rd, "plugins", "plugins.", &m->plugins);
	get_file(rd, "undo", "undo.", true, &m->undo);
	check_plain(rd, "undo", &m->undo);
}

static void get_source_date(struct reader *rd, struct manifest *m)
{
	const json_t *j = get(rd, "source_date", false);

	if (j && !json_is_integer(j))
		wrong(rd, "source_date", "is not a number");
	else if (j)
		m->source_date = json_integer_value(j);
}

static int read_manifest(const json_t *o, struct manifest *m, struct err *e)
{
	struct reader rd = {.where = "", .o = o, .e = e};

	if (!json_is_object(o))
		return err_set(e, EBADMSG, "not a manifest");
	uint64_t version = get_number(&rd, "manifest_version", INT64_MAX);
	if (rd.r == 0 && version != MANIFEST_VERSION)
		return err_set(
			e, EBADMSG, "manifest version %ju is not supported", (uintmax_t)version);
	m->name = get_word(&rd, "name", false);
	m->version = get_word(&rd, "version", false);
	m->arch = get_word(&rd, "arch", false);
	get_source_date(&rd, m);
	m->rootfs_type = get_word(&rd, "rootfs_type", false);
	get_file(&rd, "liveimg", "liveimg.", true, &m->liveimg);
	get_file(&rd, "rootfs", "rootfs.", true, &m->rootfs);
	get_file(&rd, "files", "files.", true, &m->files);
	get_file(&rd, "sbom", "sbom.", true, &m->sbom);
	get_file(&rd, "recipe", "recipe.", false, &m->recipe);
	check_plain(&rd, "liveimg", &m->liveimg);
	check_plain(&rd, "files", &m->files);
	check_plain(&rd, "sbom", &m->sbom);
	get_verity(&rd, &m->verity);
	get_kernels(&rd, m);
	get_packages(&rd, m);
	get_previous(&rd, m);
	get_upgrades_from(&rd, m);
	m->tool = get_text(&rd, "tool", true);
	get_derived(&rd, m);
	if (rd.r == 0 && !m->liveimg.file)
		wrong(&rd, "liveimg", "is missing");
	return rd.r;
}

int manifest_parse(const char *data, size_t len, struct manifest *out, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	int r;

	if (!o)
		return err_set(e, EBADMSG, "not a manifest: line %d: %s", why.line, why.text);
	r = read_manifest(o, out, e);
	json_decref(o);
	if (r < 0)
		manifest_fini(out);
	return r;
}

int manifest_load(const char *path, struct manifest *out, struct err *e)
{
	autofree char *data = NULL;
	size_t len;
	int r = file_read(path, MANIFEST_MAX_BYTES, &data, &len, e);

	if (r < 0)
		return r;
	r = manifest_parse(data, len, out, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}
