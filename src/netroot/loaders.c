/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/loaders.h"

#include <string.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "media/media-tree.h"
#include "netroot/store.h"

#define LOADER_MAX (16 * MIB)
#define PLACES_MAX 4

struct loader {
	const char *name;
	const char *places[PLACES_MAX]; /* in an image or on this machine */
};

/* Of one distribution, or none: shim starts only what it is signed for. */
static const struct loader uefi[] = {
	{"BOOTX64.EFI", {"/usr/lib/shim/shimx64.efi.signed"}},
	{"mmx64.efi", {"/usr/lib/shim/mmx64.efi.signed"}},
	{"grubx64.efi", {GRUB_NET}},
};

static const struct loader bios[] = {
	{"pxelinux.0",
		{"/usr/lib/PXELINUX/pxelinux.0", "/usr/share/syslinux/pxelinux.0",
			"/usr/lib/syslinux/pxelinux.0"}},
	{"ldlinux.c32",
		{"/usr/lib/syslinux/modules/bios/ldlinux.c32", "/usr/share/syslinux/ldlinux.c32",
			"/usr/lib/syslinux/ldlinux.c32"}},
};

static struct netroot_loader *find(const struct netroot_db *db, const char *name)
{
	for (size_t i = 0; i < db->loader_count; i++)
		if (str_eq(db->loaders[i].name, name))
			return &db->loaders[i];
	return NULL;
}

bool loaders_has(const struct netroot_db *db, const char *name)
{
	return find(db, name) != NULL;
}

/* img NULL: of this machine.  0 without *out when there is none. */
static int read_loader(
	struct image *img, const struct loader *l, char **out, size_t *len, struct err *e)
{
	for (size_t i = 0; i < PLACES_MAX && l->places[i]; i++) {
		int r = img ? image_read(image_tree(img), l->places[i], LOADER_MAX, out, len, e)
			    : file_read(l->places[i], LOADER_MAX, out, len, e);

		if (r != -ENOENT)
			return r;
		*e = (struct err){0};
	}
	return 0;
}

static int put(struct netroot *n, const char *name, const char *data, size_t len, struct err *e)
{
	autofree char *path = xasprintf("tftp/%s", name);
	int r = store_stage(n->fd, path, data, len, 0644, e);

	if (r < 0)
		return r;
	struct netroot_loader *l = find(&n->db, name);
	if (!l) {
		l = netroot_db_add_loader(&n->db);
		l->name = xstrdup(name);
	}
	l->file.size_bytes = len;
	sha256_buffer(data, len, l->file.sha256);
	return 0;
}

/* All of a set or none.  1: they are ready. */
static int take_set(
	struct netroot *n, struct image *img, const struct loader *set, size_t count, struct err *e)
{
	autostrv data = {0};
	size_t lens[ARRAY_LEN(uefi)] = {0};
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		char *one = NULL;

		r = read_loader(img, &set[i], &one, &lens[i], e);
		if (r < 0 || !one)
			return r;
		strv_take(&data, one);
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = put(n, set[i].name, data.items[i], lens[i], e);
	return r < 0 ? r : 1;
}

static int provide_uefi(struct netroot *n, struct netroot_input *in, bool renew, struct err *e)
{
	bool there = loaders_has(&n->db, "grubx64.efi");
	int r = in->img && (renew || !there) ? take_set(n, in->img, uefi, ARRAY_LEN(uefi), e) : 0;

	if (r == 0 && !there)
		r = take_set(n, NULL, uefi, ARRAY_LEN(uefi), e);
	return r < 0 ? r : 0;
}

static bool has_bios(const struct netroot *n)
{
	for (size_t i = 0; i < ARRAY_LEN(bios); i++) {
		struct netroot_loader *l = find(&n->db, bios[i].name);
		autofree char *path = xasprintf("tftp/%s", bios[i].name);

		if (!l || store_verify(n->fd, path, &l->file, NULL) < 0)
			return false;
	}
	return true;
}

int loaders_provide(struct netroot *n, struct netroot_input *in, bool renew, struct err *e)
{
	int r = provide_uefi(n, in, renew, e);

	if (r == 0 && !has_bios(n))
		r = take_set(n, NULL, bios, ARRAY_LEN(bios), e);
	return r < 0 ? r : 0;
}

bool loaders_is_waiting(const struct netroot *n, const char *name)
{
	const struct netroot_loader *l = find(&n->db, name);
	autofree char *waiting = xasprintf("tftp/%s.new", name);

	return l && store_verify(n->fd, waiting, &l->file, NULL) == 0;
}

int loaders_complete(struct netroot *n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n->db.loader_count; i++) {
		autofree char *path = xasprintf("tftp/%s", n->db.loaders[i].name);

		if (loaders_is_waiting(n, n->db.loaders[i].name))
			r = store_adopt(n->fd, path, e);
	}
	return r;
}

/* Each name in turn; NULL behind the last one. */
static const char *name_at(size_t i)
{
	return i < ARRAY_LEN(uefi)                      ? uefi[i].name
		: i < ARRAY_LEN(uefi) + ARRAY_LEN(bios) ? bios[i - ARRAY_LEN(uefi)].name
							: NULL;
}

bool loaders_is_name(const char *name)
{
	for (size_t i = 0; name_at(i); i++)
		if (str_eq(name_at(i), name))
			return true;
	return false;
}

void loaders_abandon(struct netroot *n)
{
	for (size_t i = 0; name_at(i); i++) {
		autofree char *path = xasprintf("tftp/%s", name_at(i));

		store_abandon(n->fd, path);
	}
}

void loaders_drop(struct netroot *n)
{
	loaders_abandon(n);
	for (size_t i = 0; name_at(i); i++) {
		autofree char *path = xasprintf("tftp/%s", name_at(i));

		(void)!store_remove(n->fd, path, NULL);
	}
}
