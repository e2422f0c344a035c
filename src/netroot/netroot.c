/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/netroot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "netroot/generate.h"
#include "netroot/loaders.h"
#include "netroot/store.h"

#define SYSTEM_BYTES (512 * MIB) /* for a system and some changes to it */

static const struct {
	const char *path;
	unsigned mode;
} folders[] = {
	{"images", 0755}, {"tftp", 0755}, {"tftp/pxelinux.cfg", 0755}, {"tftp/grub", 0755},
	{"tftp/grub/hosts", 0755}, {"tftp/ipxe", 0755}, {"hosts", 0700}, /* keys are in there */
};

void netroot_free(struct netroot *n)
{
	if (!n)
		return;
	netroot_db_fini(&n->db);
	close_auto(&n->fd);
	free(n->path);
	free(n->real);
	free(n);
}

static int open_folder(struct netroot *n, bool create, struct err *e)
{
	if (create && !file_exists(n->path)) {
		int r = file_make_folder(n->path, 0755, e);

		if (r < 0)
			return r;
		n->made_folder = true;
	}
	n->fd = open(n->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "there is no tree '%s' (--tree)", n->path);
	/* Servers read it, whatever the umask is. */
	if (n->fd < 0 || (n->made_folder && fchmod(n->fd, 0755) < 0))
		return err_errno(e, "'%s'", n->path);
	n->real = realpath(n->path, NULL);
	if (!n->real)
		return err_errno(e, "'%s'", n->path);
	/* nbd.conf has to name it, a line each. */
	for (const char *p = n->real; *p; p++)
		if ((unsigned char)*p < ' ')
			return err_set(e, EINVAL,
				"the path of the tree has a character that nbd.conf cannot hold");
	return 0;
}

static int lock(const struct netroot *n, enum netroot_access access, struct err *e)
{
	int how = access == NETROOT_LOOK ? LOCK_SH : LOCK_EX;

	if (access == NETROOT_READ || flock(n->fd, how | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, EBUSY, "'%s': another command works on this tree", n->path);
	return err_errno(e, "'%s'", n->path);
}

/*
 * What else than a tree is in the folder is not touched.  A power cut in the first write leaves the
 * database without its name.
 */
static int check_empty(const struct netroot *n, struct err *e)
{
	autostrv names = {0};
	int r = store_list(n->fd, ".", &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (!str_eq(names.items[i], NETROOT_DB_FILE ".new") &&
			!str_eq(names.items[i], "lost+found"))
			r = err_set(e, ENOTEMPTY, "'%s' is not empty, and has no " NETROOT_DB_FILE,
				n->path);
	return r;
}

/* The database comes first: a run that is cut off leaves a tree that the next one takes for one. */
static int begin(struct netroot *n, struct err *e)
{
	autofree char *text = netroot_db_format(&n->db);
	int r = check_empty(n, e);

	if (r < 0)
		return r;
	n->is_new = true;
	r = store_write(n->fd, NETROOT_DB_FILE, text, strlen(text), 0644, e);
	return r < 0 ? err_wrap(e, r, "'%s'", n->path) : 0;
}

static int load(struct netroot *n, bool create, struct err *e)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = store_read(n->fd, NETROOT_DB_FILE, NETROOT_DB_MAX_BYTES, &text, &len, e);

	if (r == -ENOENT && create) {
		*e = (struct err){0};
		return begin(n, e);
	}
	if (r == -ENOENT)
		return err_set(e, ENOENT, "'%s' is no tree of netroot: it has no " NETROOT_DB_FILE,
			n->path);
	if (r == 0) {
		r = netroot_db_parse(text, len, &n->db, e);
		if (r < 0)
			err_wrap(e, r, "'" NETROOT_DB_FILE "'");
	}
	return r < 0 ? err_wrap(e, r, "'%s'", n->path) : 0;
}

int netroot_open(const char *path, enum netroot_access access, struct netroot **out, struct err *e)
{
	bool create = access == NETROOT_CREATE;
	autoptr(netroot) n = xcalloc(1, sizeof(*n));

	n->fd = -1;
	n->path = xstrdup(path);
	int r = open_folder(n, create, e);
	if (r == 0)
		r = lock(n, access, e);
	if (r == 0)
		r = load(n, create, e);
	for (size_t i = 0; r == 0 && access >= NETROOT_CHANGE && i < ARRAY_LEN(folders); i++) {
		r = store_make_folder(n->fd, folders[i].path, folders[i].mode, e);
		if (r < 0)
			err_wrap(e, r, "'%s'", n->path);
	}
	if (r < 0) {
		netroot_drop_new(n);
		return r;
	}
	*out = take_ptr(n);
	return 0;
}

static bool has_folders(const struct netroot *n)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (fstatat(n->fd, folders[i].path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

/* Where something stays, the database stays, too: without it no command would take the folder. */
void netroot_drop_new(struct netroot *n)
{
	if (n->is_new) {
		loaders_drop(n);
		for (size_t i = ARRAY_LEN(folders); i-- > 0;)
			(void)!store_remove(n->fd, folders[i].path, NULL);
		if (!has_folders(n))
			(void)!store_remove(n->fd, NETROOT_DB_FILE, NULL);
	}
	if (n->made_folder)
		rmdir(n->path);
}

/* One that cannot go does not keep the others. */
static int drop_paths(struct netroot *n, const struct strv *paths, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < paths->count; i++) {
		struct err why = {0};
		int one = store_remove(n->fd, paths->items[i], &why);

		if (one < 0 && r == 0)
			r = err_set(e, -one, "%s", why.msg);
	}
	return r;
}

/* What an earlier database had. */
static int drop_stale(struct netroot *n, const struct generated *g, struct err *e)
{
	autostrv stale = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(generated_folders); i++) {
		autostrv names = {0};

		r = store_list(n->fd, generated_folders[i], &names, e);
		for (size_t k = 0; r == 0 && k < names.count; k++) {
			autofree char *path = xasprintf(
				"%s/%s", generated_folders[i], names.items[k]);

			if (!strv_has(&g->paths, path))
				strv_add(&stale, path);
		}
	}
	return r < 0 ? r : drop_paths(n, &stale, e);
}

/* Names and titles come from images, and a database that cannot be read would lock everybody out. */
static int check_text(const char *text, struct err *e)
{
	autonetrootdb again = {0};

	return netroot_db_parse(text, strlen(text), &again, e);
}

static int save(struct netroot *n, struct err *e)
{
	autogenerated g = {0};
	int r = netroot_lines_check(&n->db, e);

	if (r < 0)
		return r;
	netroot_db_sort(&n->db);
	autofree char *text = netroot_db_format(&n->db);
	r = check_text(text, e);
	if (r < 0)
		return r;
	if (strlen(text) > NETROOT_DB_MAX_BYTES)
		return err_set(e, EFBIG, "the database would be larger than %llu bytes",
			(unsigned long long)NETROOT_DB_MAX_BYTES);
	netroot_generate(&n->db, n->real, &g);
	r = store_write(n->fd, NETROOT_DB_FILE, text, strlen(text), 0644, e);
	if (r == 0) {
		n->is_new = n->made_folder = false;
		n->saved = true;
		r = loaders_complete(n, e);
	}
	for (size_t i = 0; r == 0 && i < g.paths.count; i++)
		r = store_write(n->fd, g.paths.items[i], g.texts.items[i], strlen(g.texts.items[i]),
			0644, e);
	return r < 0 ? r : drop_stale(n, &g, e);
}

int netroot_save(struct netroot *n, struct err *e)
{
	int r = save(n, e);

	return r < 0 ? err_wrap(e, r, "'%s'", n->path) : 0;
}

char *netroot_part_path(enum netroot_part part, const char *id)
{
	return part == NETROOT_PART_IMAGE     ? xasprintf("images/%s.img", id)
		: part == NETROOT_PART_KERNEL ? xasprintf("tftp/%s/vmlinuz", id)
					      : xasprintf("tftp/%s/initrd.img", id);
}

void netroot_image_paths(const char *id, struct strv *out)
{
	for (unsigned part = 0; part < NETROOT_PART_COUNT; part++) {
		char *path = netroot_part_path(part, id);

		strv_take(out, path);
		strv_take(out, xasprintf("%s.new", path));
	}
	strv_take(out, xasprintf("tftp/%s", id));
}

int netroot_drop_files(struct netroot *n, const char *id, struct err *e)
{
	autostrv paths = {0};

	netroot_image_paths(id, &paths);
	return drop_paths(n, &paths, e);
}

uint64_t netroot_client_memory(const struct netroot_image *img, bool http)
{
	/* The packed initramfs is in memory until all of it is unpacked. */
	uint64_t bytes = img->kernel.size_bytes + img->initramfs.size_bytes + img->unpacked_bytes +
		(http ? img->image.size_bytes : 0) + SYSTEM_BYTES;

	return (bytes + 64 * MIB - 1) / (64 * MIB) * (64 * MIB);
}

static struct netroot_entry *find_entry(struct netroot *n, const char *label, struct err *e)
{
	struct netroot_entry *en = netroot_db_entry(&n->db, label);
	autofree char *shown = str_printable(label);

	if (!en)
		err_set(e, ENOENT, "'%s' has no entry '%.200s'", n->path, shown);
	return en;
}

int netroot_set_default(const char *tree, const char *label, struct err *e)
{
	autoptr(netroot) n = NULL;
	int r = netroot_open(tree, NETROOT_CHANGE, &n, e);

	if (r < 0)
		return r;
	if (!find_entry(n, label, e))
		return -ENOENT;
	free(n->db.default_label);
	n->db.default_label = xstrdup(label);
	return netroot_save(n, e);
}

int netroot_remove(const char *tree, const char *label, struct err *e)
{
	autoptr(netroot) n = NULL;
	int r = netroot_open(tree, NETROOT_CHANGE, &n, e);
	struct netroot_entry *en = r < 0 ? NULL : find_entry(n, label, e);

	if (!en)
		return r < 0 ? r : -ENOENT;
	for (size_t i = 0; i < n->db.host_count; i++)
		if (str_eq(n->db.hosts[i].label, label))
			return err_set(e, EBUSY,
				"'%s' is what host %s boots: give it another one ('netroot host %s "
				"--image=LABEL') or remove it ('netroot host %s --remove')",
				label, n->db.hosts[i].id, n->db.hosts[i].id, n->db.hosts[i].id);
	bool is_default = n->db.default_label && str_eq(n->db.default_label, label);
	if (is_default && n->db.entry_count > 1)
		return err_set(e, EBUSY,
			"'%s' is the default: make another one that first ('netroot default LABEL')",
			label);
	if (is_default) {
		free(n->db.default_label);
		n->db.default_label = NULL;
	}
	netroot_db_drop_entry(&n->db, en);
	return netroot_save(n, e);
}
