/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/db.h"

#include <string.h>

#include "base/json.h"
#include "base/xalloc.h"

#define TITLE_MAX   255
#define RELEASE_MAX 255
#define ROOT_MAX    128

static json_t *format_file(const struct netroot_file *f)
{
	char hex[SHA256_HEX_BYTES];

	hex_format(f->sha256, SHA256_BYTES, hex);
	return json_pack("{s:I,s:s}", "size", (json_int_t)f->size_bytes, "sha256", hex);
}

static json_t *format_image(const struct netroot_image *img)
{
	return json_pack("{s:s,s:o,s:b,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "id", img->id,
		"title", json_text(img->title), "bedplate", img->ours, "image",
		format_file(&img->image), "kernel", format_file(&img->kernel), "initramfs",
		format_file(&img->initramfs), "initramfs_unpacked", (json_int_t)img->unpacked_bytes,
		"release", json_text(img->release), "root", json_text(img->root), "params",
		json_text(img->params), "live_params", json_text(img->live_params), "root_hash",
		json_text(img->root_hash));
}

static json_t *format_entry(const struct netroot_entry *en)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:b}", "label", json_text(en->label), "image",
		json_text(en->image), "previous", json_text(en->previous), "append",
		json_text(en->append), "server", json_text(en->server), "http", en->http);
}

static json_t *format_host(const struct netroot_host *h)
{
	return json_pack("{s:s,s:o,s:o,s:o,s:o}", "id", h->id, "label", json_text(h->label),
		"hostname", json_text(h->hostname), "append", json_text(h->append), "config",
		h->has_config ? format_file(&h->config) : json_null());
}

char *netroot_db_format(const struct netroot_db *db)
{
	json_t *images = json_array(), *entries = json_array(), *hosts = json_array();
	json_t *loaders = json_object();

	for (size_t i = 0; i < db->image_count; i++)
		json_array_append_new(images, format_image(&db->images[i]));
	for (size_t i = 0; i < db->entry_count; i++)
		json_array_append_new(entries, format_entry(&db->entries[i]));
	for (size_t i = 0; i < db->host_count; i++)
		json_array_append_new(hosts, format_host(&db->hosts[i]));
	for (size_t i = 0; i < db->loader_count; i++)
		json_object_set_new(
			loaders, db->loaders[i].name, format_file(&db->loaders[i].file));
	json_t *j = json_pack("{s:i,s:o,s:o,s:o,s:o,s:o}", "netroot_version", NETROOT_DB_VERSION,
		"default", json_text(db->default_label), "images", images, "entries", entries,
		"hosts", hosts, "loaders", loaders);
	char *text = json_format(j);
	json_decref(j);
	return text;
}

static int bad(const char *what, struct err *e)
{
	return err_set(e, EBADMSG, "%s is wrong", what);
}

/* No more and no other keys than format asks for. */
#define UNPACK(j, what, e, ...)                                                                    \
	({                                                                                         \
		json_error_t why_;                                                                 \
		json_unpack_ex(j, &why_, JSON_STRICT, __VA_ARGS__) == 0                            \
			? 0                                                                        \
			: err_set(e, EBADMSG, "%s: %s", what, why_.text);                          \
	})

static int parse_text(
	json_t *j, const char *what, size_t max, bool optional, char **out, struct err *e)
{
	const char *s = json_string_value(j);

	if (optional && json_is_null(j))
		return 0;
	if (!s || strlen(s) > max || strlen(s) != json_string_length(j))
		return bad(what, e);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return bad(what, e);
	*out = xstrdup(s);
	return 0;
}

static int parse_file(json_t *j, const char *what, struct netroot_file *out, struct err *e)
{
	const char *hex = "";
	json_int_t size = 0;
	int r = UNPACK(j, what, e, "{s:I,s:s}", "size", &size, "sha256", &hex);

	if (r < 0)
		return r;
	if (size < 0 || hex_parse(hex, out->sha256, SHA256_BYTES, NULL) < 0)
		return bad(what, e);
	out->size_bytes = (uint64_t)size;
	return 0;
}

static int parse_params(json_t *j, const char *what, char **out, struct err *e)
{
	int r = parse_text(j, what, NETROOT_PARAMS_MAX, false, out, e);

	if (r == 0)
		r = netroot_params_check(*out, e);
	return r < 0 ? err_set(e, EBADMSG, "%s is wrong", what) : 0;
}

static int parse_id(const char *id, char out[NETROOT_ID_DIGITS + 1], struct err *e)
{
	if (strlen(id) != NETROOT_ID_DIGITS || strspn(id, "0123456789abcdef") != NETROOT_ID_DIGITS)
		return bad("an image's id", e);
	memcpy(out, id, NETROOT_ID_DIGITS + 1);
	return 0;
}

static int parse_root_hash(json_t *j, struct netroot_image *img, struct err *e)
{
	uint8_t hash[SHA256_BYTES];
	int r = parse_text(j, "root_hash", SHA256_HEX_BYTES, true, &img->root_hash, e);

	if (r == 0 && img->root_hash && hex_parse(img->root_hash, hash, sizeof(hash), NULL) < 0)
		r = bad("root_hash", e);
	/* Both or none of what makes it one of ours. */
	if (r == 0 && netroot_image_is_own(img) &&
		(!img->root_hash || img->root[strspn(img->root, NETROOT_VERITY "0123456789")]))
		r = bad("root", e);
	return r;
}

static int parse_image_texts(json_t *const texts[6], struct netroot_image *img, struct err *e)
{
	int r = parse_text(texts[0], "title", TITLE_MAX, false, &img->title, e);

	if (r == 0)
		r = parse_text(texts[1], "release", RELEASE_MAX, true, &img->release, e);
	if (r == 0)
		r = parse_text(texts[2], "root", ROOT_MAX, false, &img->root, e);
	/* Also a word of the kernel's command line. */
	if (r == 0 && (netroot_params_check(img->root, NULL) < 0 || strchr(img->root, ' ')))
		r = bad("root", e);
	if (r == 0)
		r = parse_params(texts[3], "params", &img->params, e);
	if (r == 0)
		r = parse_params(texts[4], "live_params", &img->live_params, e);
	return r < 0 ? r : parse_root_hash(texts[5], img, e);
}

static int parse_image(json_t *j, struct netroot_db *db, struct err *e)
{
	struct netroot_image *img = netroot_db_add_image(db);
	json_t *image = NULL, *kernel = NULL, *initramfs = NULL, *texts[6] = {NULL};
	const char *id = "";
	json_int_t unpacked = 0;
	int ours = 0;
	int r = UNPACK(j, "an image", e, "{s:s,s:o,s:b,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "id",
		&id, "title", &texts[0], "bedplate", &ours, "image", &image, "kernel", &kernel,
		"initramfs", &initramfs, "initramfs_unpacked", &unpacked, "release", &texts[1],
		"root", &texts[2], "params", &texts[3], "live_params", &texts[4], "root_hash",
		&texts[5]);

	if (r < 0)
		return r;
	if (netroot_db_image(db, id))
		return err_set(e, EBADMSG, "an image is there twice");
	r = unpacked < 0 ? bad("initramfs_unpacked", e) : parse_id(id, img->id, e);
	img->ours = ours;
	img->unpacked_bytes = (uint64_t)unpacked;
	if (r == 0)
		r = parse_file(image, "image", &img->image, e);
	if (r == 0)
		r = parse_file(kernel, "kernel", &img->kernel, e);
	if (r == 0)
		r = parse_file(initramfs, "initramfs", &img->initramfs, e);
	return r < 0 ? r : parse_image_texts(texts, img, e);
}

static int parse_entry(json_t *j, struct netroot_db *db, struct err *e)
{
	struct netroot_entry *en = netroot_db_add_entry(db);
	const char *label = "", *image = "";
	json_t *append = NULL, *server = NULL, *previous = NULL;
	int http = 0;

	/* What is looked for below must be comparable. */
	en->label = xstrdup("");
	int r = UNPACK(j, "an entry", e, "{s:s,s:s,s?o,s:o,s:o,s?b}", "label", &label, "image",
		&image, "previous", &previous, "append", &append, "server", &server, "http", &http);
	if (r < 0)
		return r;
	if (netroot_label_check(label, NULL) < 0 || netroot_db_entry(db, label))
		return bad("the label of an entry", e);
	if (!netroot_db_image(db, image))
		return bad("the image of an entry", e);
	free(en->label);
	en->label = xstrdup(label);
	en->image = xstrdup(image);
	en->http = http;
	r = parse_params(append, "append", &en->append, e);
	if (r == 0 && previous)
		r = parse_text(previous, "previous", NETROOT_ID_DIGITS, true, &en->previous, e);
	if (r == 0 && en->previous && !netroot_db_image(db, en->previous))
		r = bad("the previous image of an entry", e);
	if (r == 0)
		r = parse_text(server, "server", 255, true, &en->server, e);
	if (r == 0 && en->server && netroot_server_check(en->server, NULL) < 0)
		r = bad("server", e);
	if (r == 0 && en->http && !netroot_image_is_own(netroot_db_image(db, en->image)))
		r = bad("http", e);
	return r;
}

static int parse_host(json_t *j, struct netroot_db *db, struct err *e)
{
	struct netroot_host *h = netroot_db_add_host(db);
	char id[NETROOT_HOST_ID_BYTES];
	json_t *hostname = NULL, *append = NULL, *config = NULL;
	const char *text = "", *label = "";
	int r = UNPACK(j, "a host", e, "{s:s,s:s,s:o,s:o,s:o}", "id", &text, "label", &label,
		"hostname", &hostname, "append", &append, "config", &config);

	if (r < 0)
		return r;
	if (netroot_host_id_parse(text, id, NULL) < 0 || !str_eq(id, text) ||
		netroot_db_host(db, id))
		return bad("the id of a host", e);
	if (!netroot_db_entry(db, label))
		return bad("the label of a host", e);
	memcpy(h->id, id, sizeof(id));
	h->label = xstrdup(label);
	r = parse_text(hostname, "hostname", 64, true, &h->hostname, e);
	if (r == 0 && h->hostname && netroot_hostname_check(h->hostname, NULL) < 0)
		r = bad("hostname", e);
	if (r == 0)
		r = parse_params(append, "append", &h->append, e);
	h->has_config = !json_is_null(config);
	return r == 0 && h->has_config ? parse_file(config, "config", &h->config, e) : r;
}

static int parse_loaders(json_t *j, struct netroot_db *db, struct err *e)
{
	const char *name;
	json_t *file;
	int r = 0;

	if (!json_is_object(j) || json_object_size(j) > 16)
		return bad("loaders", e);
	json_object_foreach(j, name, file)
	{
		if (netroot_label_check(name, NULL) < 0)
			return bad("the name of a boot loader", e);
		struct netroot_loader *l = netroot_db_add_loader(db);
		l->name = xstrdup(name);
		r = parse_file(file, "a boot loader", &l->file, e);
		if (r < 0)
			return r;
	}
	return r;
}

static int parse_list(json_t *list, const char *name, size_t max,
	int (*parse)(json_t *, struct netroot_db *, struct err *), struct netroot_db *db,
	struct err *e)
{
	json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > max)
		return err_set(e, EBADMSG, "'%s' is not a list of at most %zu", name, max);
	json_array_foreach(list, i, item)
	{
		int r = parse(item, db, e);
		if (r < 0)
			return err_wrap(e, r, "'%s' %zu", name, i + 1);
	}
	return 0;
}

static int parse_all(json_t *j, struct netroot_db *db, struct err *e)
{
	json_t *start = NULL, *images = NULL, *entries = NULL, *hosts = NULL, *loaders = NULL;
	int version = 0;
	int r = UNPACK(j, "the database", e, "{s:i,s:o,s:o,s:o,s:o,s:o}", "netroot_version",
		&version, "default", &start, "images", &images, "entries", &entries, "hosts",
		&hosts, "loaders", &loaders);

	if (r == 0 && version != NETROOT_DB_VERSION)
		r = err_set(e, EBADMSG, "version %d is not known", version);
	if (r == 0)
		r = parse_list(images, "images", NETROOT_IMAGES_MAX, parse_image, db, e);
	if (r == 0)
		r = parse_list(entries, "entries", NETROOT_IMAGES_MAX, parse_entry, db, e);
	if (r == 0)
		r = parse_list(hosts, "hosts", NETROOT_HOSTS_MAX, parse_host, db, e);
	if (r == 0 && !netroot_db_fits(db))
		r = err_set(e, EBADMSG, "%zu hosts with %zu entries each are more than %d",
			db->host_count, db->entry_count, NETROOT_CHOICES_MAX);
	if (r == 0)
		r = parse_loaders(loaders, db, e);
	if (r == 0)
		r = parse_text(start, "default", NETROOT_LABEL_MAX, true, &db->default_label, e);
	/* As long as there is something to choose, something is chosen. */
	if (r == 0 &&
		(db->default_label ? !netroot_db_entry(db, db->default_label)
				   : db->entry_count > 0))
		r = bad("default", e);
	return r;
}

int netroot_db_parse(const char *text, size_t len, struct netroot_db *out, struct err *e)
{
	autonetrootdb db = {0};
	json_error_t why;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (!j)
		return err_set(e, EBADMSG, "line %d: %s", why.line, why.text);
	int r = parse_all(j, &db, e);
	json_decref(j);
	if (r < 0)
		return r;
	netroot_db_sort(&db);
	*out = db;
	db = (struct netroot_db){0};
	return 0;
}
