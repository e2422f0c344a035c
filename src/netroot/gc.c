/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "netroot/generate.h"
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

static bool is_offered(const struct netroot_db *db, const char *id)
{
	for (size_t i = 0; i < db->entry_count; i++)
		if (str_eq(db->entries[i].image, id))
			return true;
	return false;
}

static void add_id(struct gc *g, const char *name)
{
	autofree char *id = xstrndup(name, NETROOT_ID_DIGITS);

	if (!is_offered(&g->n->db, id) && !strv_has(&g->ids, id))
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

static int find_rest(struct gc *g, struct err *e)
{
	static const char *const folders[] = {"images", "tftp", "tftp/grub", "hosts", "."};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++) {
		autostrv names = {0};

		r = store_list(g->n->fd, folders[i], &names, e);
		for (size_t k = 0; r == 0 && k < names.count; k++) {
			const char *name = names.items[k];
			bool ours = str_eq(folders[i], "hosts") && str_ends(name, ".cpio") &&
				!is_host_file(&g->n->db, name);

			if (ours || (str_ends(name, ".new") && !is_id(name, strcspn(name, "."))))
				strv_take(&g->paths, xasprintf("%s/%s", folders[i], name));
		}
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
	static const char *const formats[] = {"images/%s.img", "images/%s.img.new",
		"tftp/%s/vmlinuz", "tftp/%s/vmlinuz.new", "tftp/%s/initrd.img",
		"tftp/%s/initrd.img.new"};

	for (size_t i = 0; i < g->ids.count; i++)
		for (size_t k = 0; k < ARRAY_LEN(formats); k++) {
			const char *at = strchr(formats[k], '%');
			autofree char *path = xasprintf("%.*s%s%s", (int)(at - formats[k]),
				formats[k], g->ids.items[i], at + strlen("%s"));

			say(g, path, false);
		}
	for (size_t i = 0; i < g->paths.count; i++)
		say(g, g->paths.items[i], true);
}

/* First nothing points to it any more, then it goes. */
static int collect(struct gc *g, struct err *e)
{
	for (size_t i = 0; i < g->ids.count; i++) {
		struct netroot_image *img = netroot_db_image(&g->n->db, g->ids.items[i]);

		if (img)
			netroot_db_drop_image(&g->n->db, img);
	}
	int r = netroot_save(g->n, e);
	for (size_t i = 0; r == 0 && i < g->ids.count; i++)
		r = netroot_drop_files(g->n, g->ids.items[i], e);
	for (size_t i = 0; r == 0 && i < g->paths.count; i++)
		r = store_remove(g->n->fd, g->paths.items[i], e);
	return r;
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
