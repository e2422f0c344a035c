/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upper halves of overlays: a device 0:0 is a file that was removed, and a folder with the attribute
 * below hides what the system has there (Linux, Documentation/filesystems/overlayfs.rst).
 */
#include "hotadd/delta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"
#include "hotadd/view.h"

#define OVERLAY_PREFIX "trusted.overlay."
#define OVERLAY_OPAQUE OVERLAY_PREFIX "opaque"
#define VAR            "var/"
/* So that a file of /var is never taken for another name of one elsewhere. */
#define VAR_INODES (1ULL << 63)

struct finder {
	const struct stage *stage;
	struct delta *out;
	dev_t root_dev, var_dev;
	char *hidden; /* folder below which before has everything already, or NULL */
};

void delta_fini(struct delta *d)
{
	changes_fini(&d->changes);
	tree_free(d->before);
	tree_free(d->after);
	*d = (struct delta){0};
}

static bool is_in_var(const struct stage *s, const char *path)
{
	return s->var_upper_fd >= 0 && str_starts(path, VAR);
}

int delta_place(const struct stage *s, const char *path, struct copy_place *out, struct err *e)
{
	if (s->var_upper_fd >= 0 && str_eq(path, "var"))
		return copy_place_open(s->var_upper_fd, "", out, e);
	if (is_in_var(s, path))
		return copy_place_open(s->var_upper_fd, path + strlen(VAR), out, e);
	return copy_place_open(s->upper_fd, path, out, e);
}

static int open_after(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	const struct stage *s = t->ctx;
	bool var = is_in_var(s, en->path);
	int fd = file_open_beneath(var ? s->var_upper_fd : s->upper_fd,
		var ? en->path + strlen(VAR) : en->path, O_RDONLY | O_NOFOLLOW, e);

	return fd < 0 ? fd : source_open_fd(fd, out, e);
}

static const struct tree_ops after_ops = {.open = open_after};

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

static bool is_of_the_moment(const char *path, bool is_folder)
{
	/* As of image/scrub.c; resolv.conf is given to a copy by sys/chroot.c. */
	static const char *const single[] = {
		"etc/.pwd.lock",
		"etc/group-",
		"etc/gshadow-",
		"etc/passwd-",
		"etc/resolv.conf",
		"etc/shadow-",
		"etc/subgid-",
		"etc/subuid-",
		"root/.bash_history",
	};
	static const char *const all[] = {
		"dev", "proc", "run", "sys", "tmp", "var/backups", "var/tmp"};
	static const char *const files[] = {"var/cache", "var/log"};

	for (size_t i = 0; i < ARRAY_LEN(single); i++)
		if (str_eq(path, single[i]))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (is_below(path, all[i]))
			return true;
	for (size_t i = 0; !is_folder && i < ARRAY_LEN(files); i++)
		if (is_below(path, files[i]))
			return true;
	return false;
}

static bool is_whiteout(const struct tree_entry *en)
{
	return S_ISCHR(en->mode) && en->dev_major == 0 && en->dev_minor == 0;
}

/* Take out what overlayfs notes for itself; whether the folder hides what is below it. */
static bool strip(struct tree_entry *en)
{
	size_t kept = 0;
	bool opaque = false;

	for (size_t i = 0; i < en->xattr_count; i++) {
		struct xattr *x = &en->xattrs[i];

		if (!str_starts(x->name, OVERLAY_PREFIX)) {
			en->xattrs[kept++] = *x;
			continue;
		}
		opaque |= str_eq(x->name, OVERLAY_OPAQUE) && x->len == 1 &&
			*(const char *)x->value == 'y';
		free(x->name);
		free(x->value);
	}
	en->xattr_count = kept;
	return opaque;
}

/* What lies under a volume that is mounted there is no matter of the stage. */
static bool is_covered(const struct finder *f, const char *path, const struct stat *st)
{
	bool var = f->stage->var_upper_fd >= 0 && (str_eq(path, "var") || str_starts(path, VAR));

	return S_ISDIR(st->st_mode) && st->st_dev != (var ? f->var_dev : f->root_dev);
}

static int refuse_mount(const char *path, struct err *e)
{
	return err_set(e, EBUSY,
		"something is mounted on '/%s', which a plugin cannot change: unmount it first",
		path);
}

/* All that is in a folder of the system. */
static int add_below(struct finder *f, const char *path, struct err *e)
{
	autofd int fd = file_open_beneath(
		f->stage->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, e);
	autoptr(tree) t = NULL;

	if (fd < 0)
		return fd;
	autofree char *proc = xasprintf("/proc/self/fd/%d/.", fd);
	int r = tree_scan(proc, &t, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->count; i++) {
		struct tree_entry *en = &t->entries[i];

		if (!en->path[0])
			continue;
		struct tree_entry moved = *en;
		moved.path = xasprintf("%s/%s", path, en->path);
		if (is_of_the_moment(moved.path, S_ISDIR(en->mode))) {
			free(moved.path);
			continue;
		}
		const struct copy_place at = {.fd = fd, .name = en->path};
		r = S_ISDIR(en->mode) ? copy_place_mounted(&at, e) : 0;
		if (r > 0)
			r = refuse_mount(moved.path, e);
		if (r < 0) {
			free(moved.path);
			return r;
		}
		if (is_in_var(f->stage, moved.path))
			moved.inode |= VAR_INODES;
		free(en->path);
		*en = (struct tree_entry){0};
		tree_add(f->out->before, &moved);
	}
	return 0;
}

/* A node may have volumes there, and log files are not brought over. */
static bool may_be_volume(const char *path)
{
	return str_starts(path, VAR "log/") || str_starts(path, VAR "cache/");
}

/* A stage sees what lies below it.  Files of an overlay may have another st_dev than their folder. */
static int check_mount(const struct finder *f, int folder_fd, const char *path, struct err *e)
{
	bool var = f->stage->var_upper_fd >= 0 && str_starts(path, VAR);
	const char *slash = strrchr(path, '/');
	autofree char *folder = xstrndup(path, slash ? (size_t)(slash - path) : 0);
	struct stat st;

	if (fstat(folder_fd, &st) < 0)
		return err_errno(e, "'/%s'", folder);
	if (st.st_dev == (var ? f->var_dev : f->root_dev) || may_be_volume(path))
		return 0;
	return refuse_mount(folder, e);
}

/* 1: the system has it, as *st. */
static int look_before(struct finder *f, const char *path, struct stat *st, struct err *e)
{
	struct copy_place at;
	int r = copy_place_find(f->stage->root_fd, path, &at, NULL);

	if (r <= 0)
		return r < 0 ? err_set(e, -r, "'/%s' cannot be looked at", path) : 0;
	r = check_mount(f, at.fd, path, e);
	if (r == 0)
		r = tree_look(f->out->before, at.fd, at.name, path, e);
	if (r > 0 && fstatat(at.fd, at.name, st, AT_SYMLINK_NOFOLLOW) < 0)
		r = err_errno(e, "'/%s'", path);
	close(at.fd);
	if (r > 0 && is_in_var(f->stage, path))
		f->out->before->entries[f->out->before->count - 1].inode |= VAR_INODES;
	return r;
}

static void take_attributes(struct tree_entry *en, const struct tree_entry *from)
{
	for (size_t i = 0; i < en->xattr_count; i++) {
		free(en->xattrs[i].name);
		free(en->xattrs[i].value);
	}
	en->xattr_count = 0;
	for (size_t i = 0; i < from->xattr_count; i++) {
		en->xattrs = xrealloc(en->xattrs, (i + 1) * sizeof(*en->xattrs));
		en->xattrs[en->xattr_count++] = (struct xattr){
			.name = xstrdup(from->xattrs[i].name),
			.value = xmemdup(from->xattrs[i].value, from->xattrs[i].len),
			.len = from->xattrs[i].len};
	}
	en->mode = from->mode;
	en->uid = from->uid;
	en->gid = from->gid;
}

static void hide(struct finder *f, const char *path)
{
	free(f->hidden);
	f->hidden = xstrdup(path);
}

/* en is moved. */
static int take_entry(struct finder *f, struct tree_entry *en, char *path, struct err *e)
{
	bool whiteout = is_whiteout(en), opaque = strip(en);
	bool known = f->hidden && is_below(path, f->hidden);
	struct stat st = {0};
	int r = known ? 0 : look_before(f, path, &st, e);

	if (r > 0 && S_ISDIR(st.st_mode) && (!S_ISDIR(en->mode) || opaque)) {
		r = is_covered(f, path, &st) ? refuse_mount(path, e) : add_below(f, path, e);
		hide(f, path);
	}
	if (whiteout || r < 0) {
		free(path);
		return MIN(r, 0);
	}
	struct tree_entry moved = *en;
	moved.path = path;
	moved.changed_ns = 0;
	if (is_in_var(f->stage, path))
		moved.inode |= VAR_INODES;
	free(en->path);
	*en = (struct tree_entry){0};
	if (!known && st.st_mode && S_ISDIR(moved.mode) && is_covered(f, path, &st))
		take_attributes(&moved, &f->out->before->entries[f->out->before->count - 1]);
	tree_add(f->out->after, &moved);
	return 0;
}

/* prefix: of its paths, "" or "var". */
static int take_upper(struct finder *f, int upper_fd, const char *prefix, struct err *e)
{
	autofree char *proc = xasprintf("/proc/self/fd/%d/.", upper_fd);
	autoptr(tree) t = NULL;
	int r = tree_scan(proc, &t, e);

	for (size_t i = 0; r == 0 && i < t->count; i++) {
		struct tree_entry *en = &t->entries[i];
		char *path = xasprintf("%s%s%s", prefix, *prefix && *en->path ? "/" : "", en->path);

		if (is_of_the_moment(path, S_ISDIR(en->mode)) ||
			(!*prefix && f->stage->var_upper_fd >= 0 &&
				(str_eq(path, "var") || str_starts(path, VAR))))
			free(path);
		else
			r = take_entry(f, en, path, e);
	}
	return r;
}

static int look_at_volumes(struct finder *f, struct err *e)
{
	struct stat root, var = {0};

	if (fstat(f->stage->root_fd, &root) < 0 ||
		(f->stage->var_upper_fd >= 0 && fstatat(f->stage->root_fd, "var", &var, 0) < 0))
		return err_errno(e, "'/var'");
	f->root_dev = root.st_dev;
	f->var_dev = var.st_dev;
	return 0;
}

int delta_find(const struct stage *s, struct delta *out, struct err *e)
{
	struct finder f = {.stage = s, .out = out};
	int r = look_at_volumes(&f, e);

	if (r < 0)
		return r;
	out->before = view_tree_new(s->root_fd);
	out->after = tree_new(&after_ops, (void *)(uintptr_t)s);
	r = take_upper(&f, s->upper_fd, "", e);
	if (r == 0 && s->var_upper_fd >= 0)
		r = take_upper(&f, s->var_upper_fd, "var", e);
	free(f.hidden);
	tree_sort(out->before);
	tree_sort(out->after);
	if (r == 0)
		r = changes_find(out->before, out->before, out->after, &out->changes, e);
	if (r < 0)
		delta_fini(out);
	return r;
}
