/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is missing is made in a folder of ours beside its place, which nobody else can write to, and
 * then renamed: it is there complete or not at all, and no link in a folder of some service leads
 * anything astray.
 */
#include "upgrade/factory-add.h"

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "image/extract.h"

#define FACTORY_PATH    "/usr/share/factory/var"
#define ROOM            ".bedplate-factory"
#define ADDED_MAX_BYTES (64 * MIB)
#define HEADER          "layer "

struct offered {
	char *layer; /* that was done last, or NULL */
	struct strv paths;
	void *by_path;
};

static void keep(UNUSED void *path)
{
}

static void offered_fini(struct offered *o)
{
	tdestroy(o->by_path, keep);
	strv_fini(&o->paths);
	free(o->layer);
}
#define autooffered auto_with(offered_fini) struct offered

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* As a line of the file. */
static char *line_of(const char *path)
{
	return str_printable(path);
}

static bool offered_has(const struct offered *o, const char *path)
{
	autofree char *line = line_of(path);

	return tfind(line, &o->by_path, compare) != NULL;
}

static void offered_add(struct offered *o, const char *line)
{
	if (tfind(line, &o->by_path, compare))
		return;
	strv_add(&o->paths, line);
	if (!tsearch(o->paths.items[o->paths.count - 1], &o->by_path, compare))
		abort();
}

static int offered_read(int root_fd, struct offered *out, struct err *e)
{
	autofree char *text = NULL;
	struct err why = {0};
	int r = file_read_in_root(root_fd, FACTORY_ADDED_PATH, ADDED_MAX_BYTES, &text, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(e, r == -EFBIG ? EBADMSG : -r, "%s", why.msg);
	char *rest = text, *line = strsep(&rest, "\n");
	if (!str_starts(line, HEADER))
		return err_set(e, EBADMSG,
			"'" FACTORY_ADDED_PATH "': expected '" HEADER
			"NAME' in its first line; put back a copy, or delete it to have everything "
			"of the image added that is missing");
	out->layer = xstrdup(line + strlen(HEADER));
	while ((line = strsep(&rest, "\n")))
		if (*line)
			offered_add(out, line);
	return 0;
}

static int offered_write(int root_fd, struct offered *o, const char *layer, struct err *e)
{
	static const char folder[] = "/var/lib/bedplate";
	autostrbuf b = {0};
	int r = file_make_folder_in_root(root_fd, folder, e);

	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(root_fd, folder, O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0)
		return fd;
	strv_sort(&o->paths);
	strbuf_printf(&b, HEADER "%s\n", layer);
	for (size_t i = 0; i < o->paths.count; i++)
		strbuf_printf(&b, "%s\n", o->paths.items[i]);
	autofree char *path = xasprintf("/proc/self/fd/%d/factory-added", fd);
	return file_replace(path, b.data, b.len, 0644, e);
}

/* *out stays NULL when the image has none. */
static int scan_factory(int root_fd, struct tree **out, struct err *e)
{
	struct err why = {0};
	autofd int fd = file_open_in_root(root_fd, FACTORY_PATH, O_RDONLY | O_DIRECTORY, 0, &why);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_set(e, -fd, "%s", why.msg);
	/* "/." so that the descriptor itself is no link on the way. */
	autofree char *path = xasprintf("/proc/self/fd/%d/.", fd);
	return tree_scan(path, out, e);
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

static char *parent_of(const struct tree_entry *en)
{
	const char *name = tree_entry_name(en);

	return xstrndup(en->path, (size_t)(name - en->path) - (name > en->path));
}

enum found { FOUND_NOTHING, FOUND_FOLDER, FOUND_OTHER };

static int look(int var_fd, const char *path, enum found *out, struct err *e)
{
	struct err why = {0};
	struct stat st;
	autofd int fd = file_open_beneath(var_fd, path, O_PATH | O_NOFOLLOW, &why);

	if (fd < 0 && fd != -ENOENT)
		return err_set(e, -fd, "%s", why.msg);
	if (fd >= 0 && fstat(fd, &st) < 0)
		return err_errno(e, "'%s'", path);
	*out = fd < 0 ? FOUND_NOTHING : S_ISDIR(st.st_mode) ? FOUND_FOLDER : FOUND_OTHER;
	return 0;
}

/*
 * missing: the topmost paths to add.  parents: of all that was never offered and has a parent, so
 * that what an earlier run left there goes too.
 */
static int list_missing(const struct tree *t, int var_fd, const struct offered *o,
	struct strv *missing, struct strv *parents, struct err *e)
{
	const char *skip = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];
		enum found found = FOUND_NOTHING;

		if (!en->path[0] || (skip && is_below(en->path, skip)))
			continue;
		int r = look(var_fd, en->path, &found, e);
		if (r < 0)
			return r;
		if (S_ISDIR(en->mode) && found != FOUND_FOLDER)
			skip = en->path;
		if (offered_has(o, en->path))
			continue;
		autofree char *parent = parent_of(en);
		if (parents->count == 0 || !str_eq(parents->items[parents->count - 1], parent))
			strv_add(parents, parent);
		if (found == FOUND_NOTHING)
			strv_add(missing, en->path);
	}
	return 0;
}

/* A folder in dir_fd that only we can write to. */
static int make_room(int dir_fd, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/" ROOM, dir_fd);
	int r = file_remove_tree(path, e);
	struct stat st;

	if (r < 0)
		return r;
	if (mkdirat(dir_fd, ROOM, 0700) < 0)
		return err_errno(e, "creating folder");
	autofd int fd = openat(dir_fd, ROOM, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "opening folder");
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(e, EPERM, "somebody else replaces our folder");
	return take_fd(&fd);
}

static int copy_to_room(struct tree *t, const char *path, int room_fd, struct err *e)
{
	const struct tree_entry *en = tree_find(t, path);
	autofree char *dest = S_ISDIR(en->mode)
		? xasprintf("/proc/self/fd/%d/%s", room_fd, tree_entry_name(en))
		: xasprintf("/proc/self/fd/%d/.", room_fd);
	const struct extract_spec spec = {.tree = t, .path = path, .dest = dest};

	return extract_whole(&spec, e);
}

/* The paths of one folder, by name. */
static void names_in(const struct strv *paths, const char *parent, struct strv *out)
{
	size_t skip = strlen(parent) + (*parent != '\0');

	for (size_t i = 0; i < paths->count; i++)
		if (!*parent || is_below(paths->items[i], parent))
			if (!strchr(paths->items[i] + skip, '/'))
				strv_add(out, paths->items[i] + skip);
}

/* Out of the room.  What has come to be there meanwhile stays. */
static int move_out(int room_fd, int dir_fd, const char *name, bool *moved, struct err *e)
{
	*moved = renameat2(room_fd, name, dir_fd, name, RENAME_NOREPLACE) == 0;
	return *moved || errno == EEXIST ? 0 : err_errno(e, "renaming to '%s'", name);
}

static int fill_folder(struct tree *t, const char *parent, const struct strv *names, int dir_fd,
	struct strv *added, struct err *e)
{
	const char *slash = *parent ? "/" : "";
	autofd int room_fd = make_room(dir_fd, e);
	int r = 0;

	if (room_fd < 0)
		return room_fd;
	for (size_t i = 0; r == 0 && i < names->count; i++) {
		autofree char *path = xasprintf("%s%s%s", parent, slash, names->items[i]);

		r = copy_to_room(t, path, room_fd, e);
	}
	if (r == 0 && syncfs(room_fd) < 0)
		r = err_errno(e, "syncing");
	for (size_t i = 0; r == 0 && i < names->count; i++) {
		bool moved = false;

		r = move_out(room_fd, dir_fd, names->items[i], &moved, e);
		if (moved && added)
			strv_take(added, xasprintf("/var/%s%s%s", parent, slash, names->items[i]));
	}
	return r;
}

/* What is missing in one folder, and what an earlier run that was cut off left there. */
static int add_to(struct tree *t, const struct strv *missing, const char *parent, int dir_fd,
	struct strv *added, struct err *e)
{
	autofree char *room = xasprintf("/proc/self/fd/%d/" ROOM, dir_fd);
	autostrv names = {0};

	names_in(missing, parent, &names);
	int r = names.count > 0 ? fill_folder(t, parent, &names, dir_fd, added, e) : 0;
	int end = file_remove_tree(room, r < 0 ? NULL : e);
	return r < 0 ? r : end;
}

static int add_all(
	struct tree *t, int var_fd, const struct offered *o, struct strv *added, struct err *e)
{
	autostrv missing = {0}, parents = {0};
	int r = list_missing(t, var_fd, o, &missing, &parents, e);

	strv_sort(&parents);
	for (size_t i = 0; r == 0 && i < parents.count; i++) {
		const char *parent = parents.items[i];

		if (i > 0 && str_eq(parent, parents.items[i - 1]))
			continue;
		autofd int fd = file_open_beneath(
			var_fd, parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, e);
		r = fd < 0 ? fd : add_to(t, &missing, parent, fd, added, e);
		if (r < 0)
			return err_wrap(
				e, r, "adding to '/var/%s' what this image has there", parent);
	}
	return r;
}

static int remember(
	int root_fd, struct offered *o, const struct tree *t, const char *layer, struct err *e)
{
	for (size_t i = 0; t && i < t->count; i++) {
		autofree char *line = line_of(t->entries[i].path);

		if (*line)
			offered_add(o, line);
	}
	return offered_write(root_fd, o, layer, e);
}

int factory_add(int root_fd, const char *layer, struct strv *added, struct err *e)
{
	autooffered offered = {0};
	autoptr(tree) tree = NULL;
	int r = offered_read(root_fd, &offered, e);

	if (r < 0 || (offered.layer && str_eq(offered.layer, layer)))
		return r;
	r = scan_factory(root_fd, &tree, e);
	if (r == 0 && tree) {
		autofd int var_fd = file_open_in_root(
			root_fd, "/var", O_RDONLY | O_DIRECTORY, 0, e);

		r = var_fd < 0 ? var_fd : add_all(tree, var_fd, &offered, added, e);
	}
	return r < 0 ? r : remember(root_fd, &offered, tree, layer, e);
}

int factory_remember(int base_fd, int root_fd, const char *layer, struct err *e)
{
	autooffered offered = {0};
	autoptr(tree) tree = NULL;
	int r = scan_factory(base_fd, &tree, e);

	return r < 0 ? r : remember(root_fd, &offered, tree, layer, e);
}
