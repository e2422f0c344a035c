/* SPDX-License-Identifier: Apache-2.0 */
/* What an image has where a node has volumes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "image/extract.h"
#include "image/intree.h"
#include "install/configure-part.h"
#include "upgrade/factory-add.h"

/* Mount points of all volumes and partitions that hold data. */
static void list_mounts(const struct layout *l, struct strv *out)
{
	for (size_t i = 0; i < l->volume_count; i++) {
		const char *mount = l->volumes[i].mount;

		if (mount && mount[0] == '/' && mount[1])
			strv_add(out, mount);
	}
	for (size_t i = 0; i < l->part_count; i++)
		if (l->parts[i].role == LAYOUT_DATA && l->parts[i].mount)
			strv_add(out, l->parts[i].mount);
}

static bool is_at_or_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* A folder that only leads to what is mounted further down. */
static bool leads_to_mount(const struct strv *mounts, const char *path)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (is_at_or_below(mounts->items[i], path))
			return true;
	return false;
}

static int is_new(
	int root_fd, const struct strv *mounts, const char *mount, bool *out, struct err *e)
{
	autostrv names = {0};
	int r = intree_list(root_fd, mount, &names, e);

	*out = r == 0;
	for (size_t i = 0; i < names.count; i++) {
		autofree char *path = xasprintf("%s/%s", mount, names.items[i]);

		*out &= str_eq(names.items[i], "lost+found") || leads_to_mount(mounts, path);
	}
	return r;
}

/* The image's folder for a mount point; for /var and what is below it the copy made for nodes. */
static int open_source(int base_fd, const char *mount)
{
	autofree char *factory = xasprintf("/usr/share/factory%s", mount);
	int fd = -1;

	if (is_at_or_below(mount, "/var"))
		fd = file_open_in_root(base_fd, factory, O_RDONLY | O_DIRECTORY, 0, NULL);

	return fd >= 0 ? fd : file_open_in_root(base_fd, mount, O_RDONLY | O_DIRECTORY, 0, NULL);
}

/* What is below another mount point goes there. */
static void drop_others(struct tree *tree, const struct strv *mounts, const char *mount)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const char *other = mounts->items[i];

		if (!str_eq(other, mount) && is_at_or_below(other, mount))
			tree_drop(tree, other + strlen(mount) + 1);
	}
	/* Each file system has its own. */
	tree_drop(tree, "lost+found");
}

static int fill(const struct strv *mounts, const char *mount, int source, int dest, struct err *e)
{
	/* "/." so that the descriptors themselves are no links on the way. */
	autofree char *from = xasprintf("/proc/self/fd/%d/.", source);
	autofree char *to = xasprintf("/proc/self/fd/%d/.", dest);
	autoptr(tree) tree = NULL;
	int r = tree_scan(from, &tree, e);

	if (r < 0)
		return r;
	drop_others(tree, mounts, mount);
	const struct extract_spec spec = {.tree = tree, .dest = to, .force = true};
	return extract_whole(&spec, e);
}

/* An image that does not have the folder at all: what everybody expects there. */
static int set_usual_mode(int fd, const char *mount, struct err *e)
{
	bool shared = str_eq(mount, "/tmp") || str_eq(mount, "/var/tmp");

	return fchmod(fd, shared ? 01777 : 0755) < 0 ? err_errno(e, "mode") : 0;
}

static int fill_volume(const struct factory_roots *roots, const struct strv *mounts,
	const char *mount, bool *fresh, struct err *e)
{
	int r = is_new(roots->root_fd, mounts, mount, fresh, e);

	if (r < 0 || !*fresh)
		return r;
	autofd int dest = file_open_in_root(roots->root_fd, mount, O_RDONLY | O_DIRECTORY, 0, e);
	if (dest < 0)
		return dest;
	autofd int source = open_source(roots->base_fd, mount);
	return source < 0 ? set_usual_mode(dest, mount, e) : fill(mounts, mount, source, dest, e);
}

int factory_fill_volumes(
	const struct factory_roots *roots, const struct layout *l, const char *layer, struct err *e)
{
	autostrv mounts = {0};
	bool new_var = false;

	list_mounts(l, &mounts);
	for (size_t i = 0; i < mounts.count; i++) {
		bool fresh = false;
		int r = fill_volume(roots, &mounts, mounts.items[i], &fresh, e);

		if (r < 0)
			return err_wrap(e, r, "filling volume '%s'", mounts.items[i]);
		new_var |= fresh && str_eq(mounts.items[i], "/var");
	}
	/* Last, as /var/lib may be a volume that was to be empty. */
	return new_var ? factory_remember(roots->base_fd, roots->root_fd, layer, e) : 0;
}
