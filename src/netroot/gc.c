/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "netroot/generate.h"
#include "netroot/loaders.h"
#include "netroot/netroot.h"
#include "netroot/store.h"

#define HEX "0123456789abcdef"

struct gc {
	const struct netroot_gc_spec *spec;
	struct netroot *n;
	struct strv ids;   /* whose files go */
	struct strv paths; /* what else goes */
};

static void gc_fini(struct gc *g)
{
	strv_fini(&g->ids);
	strv_fini(&g->paths);
}

static bool is_id(const char *name, size_t len)
{
	return len == NETROOT_ID_DIGITS && strspn(name, HEX) >= NETROOT_ID_DIGITS;
}

/* Clients that started before the last 'add' read what their label had then. */
static bool is_kept(const struct gc *g, const char *id)
{
	const struct netroot_db *db = &g->n->db;

	for (size_t i = 0; !g->spec->all && i < db->entry_count; i++)
		if (db->entries[i].previous && str_eq(db->entries[i].previous, id))
			return true;
	return netroot_db_is_offered(db, id);
}

static void add_id(struct gc *g, const char *name)
{
	autofree char *id = xstrndup(name, NETROOT_ID_DIGITS);

	if (!is_kept(g, id) && !strv_has(&g->ids, id))
		strv_add(&g->ids, id);
}

/* By their names: somebody else's files stay. */
static int find_images(struct gc *g, struct err *e)
{
	autostrv images = {0}, boot = {0};
	int r = store_list(g->n->fd, "images", &images, e);

	if (r == 0)
		r = store_list(g->n->fd, "tftp", &boot, e);
	for (size_t i = 0; r == 0 && i < images.count; i++) {
		const char *dot = strchr(images.items[i], '.');

		if (dot && is_id(images.items[i], (size_t)(dot - images.items[i])) &&
			(str_eq(dot, ".img") || str_eq(dot, ".img.new")))
			add_id(g, images.items[i]);
	}
	for (size_t i = 0; r == 0 && i < boot.count; i++)
		if (is_id(boot.items[i], strlen(boot.items[i])))
			add_id(g, boot.items[i]);
	for (size_t i = 0; r == 0 && i < g->n->db.image_count; i++)
		add_id(g, g->n->db.images[i].id);
	return r;
}

static bool is_host_file(const struct netroot_db *db, const char *name)
{
	for (size_t i = 0; i < db->host_count; i++) {
		if (!db->hosts[i].has_config)
			continue;
		autofree char *path = netroot_host_config_path(&db->hosts[i]);
		if (str_eq(path + strlen("hosts/"), name))
			return true;
	}
	return false;
}

/* "52-54-00-12-34-56.0123456789abcdef.cpio", as netroot_host_config_path() makes it. */
static bool is_archive_name(const char *name)
{
	size_t id = strspn(name, HEX "-");
	size_t digits = name[id] == '.' ? strspn(name + id + 1, HEX) : 0;
	const char *end = name + id + 1 + digits;

	return (id == 17 || id == 36) && digits == NETROOT_ID_DIGITS &&
		(str_eq(end, ".cpio") || str_eq(end, ".cpio.new"));
}

/* What a command leaves that is cut off; a boot loader that is whole gets its name instead. */
static bool is_left(const struct gc *g, const char *folder, const char *name)
{
	static const char *const known[] = {"./" NETROOT_DB_FILE ".new", "images/nbd.conf.new",
		"tftp/boot.ipxe.new", "tftp/grub/grub.cfg.new"};
	autofree char *path = xasprintf("%s/%s", folder, name);

	if (str_eq(folder, "hosts"))
		return is_archive_name(name) && !is_host_file(&g->n->db, name);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(path, known[i]))
			return true;
	if (!str_eq(folder, "tftp") || !str_ends(name, ".new"))
		return false;
	autofree char *loader = xstrndup(name, strlen(name) - strlen(".new"));
	return loaders_is_name(loader) && !loaders_is_waiting(g->n, loader);
}

static int find_rest(struct gc *g, struct err *e)
{
	static const char *const folders[] = {"images", "tftp", "tftp/grub", "hosts", "."};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++) {
		autostrv names = {0};

		r = store_list(g->n->fd, folders[i], &names, e);
		for (size_t k = 0; r == 0 && k < names.count; k++)
			if (is_left(g, folders[i], names.items[k]))
				strv_take(
					&g->paths, xasprintf("%s/%s", folders[i], names.items[k]));
	}
	return r;
}

static void say(const struct gc *g, const char *path, bool always)
{
	autoptr(source) s = NULL;

	if (store_open(g->n->fd, path, &s, NULL) == 0 || always)
		g->spec->found(g->spec->ctx, path, s ? s->size_bytes : 0);
}

static void say_all(const struct gc *g)
{
	for (size_t i = 0; i < g->ids.count; i++) {
		autostrv paths = {0};

		netroot_image_paths(g->ids.items[i], &paths);
		for (size_t k = 0; k < paths.count; k++)
			say(g, paths.items[k], false);
	}
	for (size_t i = 0; i < g->paths.count; i++)
		say(g, g->paths.items[i], true);
}

/* What cannot go does not keep the rest. */
static int drop_all(struct gc *g, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < g->ids.count + g->paths.count; i++) {
		struct err why = {0};
		int one = i < g->ids.count
			? netroot_drop_files(g->n, g->ids.items[i], &why)
			: store_remove(g->n->fd, g->paths.items[i - g->ids.count], &why);

		if (one < 0 && r == 0)
			r = err_set(e, -one, "'%s': %s", g->n->path, why.msg);
	}
	return r;
}

/* First nothing points to it any more, then it goes. */
static int collect(struct gc *g, struct err *e)
{
	struct netroot_db *db = &g->n->db;

	for (size_t i = 0; g->spec->all && i < db->entry_count; i++)
		netroot_set_optional(&db->entries[i].previous, "");
	for (size_t i = 0; i < g->ids.count; i++) {
		struct netroot_image *img = netroot_db_image(db, g->ids.items[i]);

		if (img)
			netroot_db_drop_image(db, img);
	}
	int r = netroot_save(g->n, e);
	return r < 0 ? r : drop_all(g, e);
}

int netroot_gc(const struct netroot_gc_spec *spec, struct err *e)
{
	autoptr(netroot) n = NULL;
	auto_with(gc_fini) struct gc g = {.spec = spec};
	int r = netroot_open(spec->tree, spec->dry_run ? NETROOT_LOOK : NETROOT_CHANGE, &n, e);

	if (r < 0)
		return r;
	g.n = n;
	r = find_images(&g, e);
	if (r == 0)
		r = find_rest(&g, e);
	if (r == 0)
		say_all(&g);
	return r == 0 && !spec->dry_run ? collect(&g, e) : r;
}
