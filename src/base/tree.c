/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"

#define XATTR_LIST_MAX_BYTES  (64 * KIB) /* the kernel's own limits, xattr(7) */
#define XATTR_VALUE_MAX_BYTES (64 * KIB)

struct scan_ctx {
	int root_fd;
};

bool xattrs_equal(const struct xattr *a, size_t a_count, const struct xattr *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!str_eq(a[i].name, b[i].name) || a[i].len != b[i].len ||
			memcmp(a[i].value, b[i].value, a[i].len) != 0)
			return false;
	return true;
}

struct tree *tree_new(const struct tree_ops *ops, void *ctx)
{
	struct tree *t = xcalloc(1, sizeof(*t));

	t->ops = ops;
	t->ctx = ctx;
	return t;
}

static void entry_fini(struct tree_entry *en)
{
	for (size_t i = 0; i < en->xattr_count; i++) {
		free(en->xattrs[i].name);
		free(en->xattrs[i].value);
	}
	free(en->xattrs);
	free(en->target);
	free(en->path);
}

void tree_free(struct tree *t)
{
	if (!t)
		return;

	for (size_t i = 0; i < t->count; i++)
		entry_fini(&t->entries[i]);
	free(t->entries);
	if (t->ops->free)
		t->ops->free(t->ctx);
	free(t);
}

struct tree_entry *tree_add(struct tree *t, const struct tree_entry *en)
{
	if (t->count == t->room) {
		t->room = MAX(256, 2 * t->room);
		t->entries = xrealloc(t->entries, t->room * sizeof(*t->entries));
	}
	t->entries[t->count] = *en;
	return &t->entries[t->count++];
}

int tree_path_compare(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	/* '/' sorts below all, so that what is in a folder follows it at once. */
	unsigned x = *a == '/' ? 1 : (unsigned)(unsigned char)*a + (*a ? 1 : 0);
	unsigned y = *b == '/' ? 1 : (unsigned)(unsigned char)*b + (*b ? 1 : 0);

	return (x > y) - (x < y);
}

static int compare_entries(const void *a, const void *b)
{
	return tree_path_compare(
		((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

static int compare_inodes(const void *a, const void *b)
{
	const struct tree_entry *x = *(const struct tree_entry *const *)a;
	const struct tree_entry *y = *(const struct tree_entry *const *)b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return (x > y) - (x < y);
}

static void set_links(struct tree *t)
{
	autofree struct tree_entry **by_inode = xcalloc(t->count + 1, sizeof(*by_inode));

	for (size_t i = 0; i < t->count; i++) {
		by_inode[i] = &t->entries[i];
		t->entries[i].link_of = i;
	}
	qsort(by_inode, t->count, sizeof(*by_inode), compare_inodes);
	for (size_t i = 1; i < t->count; i++) {
		struct tree_entry *prev = by_inode[i - 1], *en = by_inode[i];

		if (en->inode != 0 && en->inode == prev->inode && !S_ISDIR(en->mode))
			en->link_of = prev->link_of;
	}
}

void tree_sort(struct tree *t)
{
	if (t->count == 0)
		return;
	qsort(t->entries, t->count, sizeof(*t->entries), compare_entries);
	set_links(t);
}

void tree_drop(struct tree *t, const char *path)
{
	size_t kept = 0, len = strlen(path);

	for (size_t i = 0; i < t->count; i++) {
		struct tree_entry *en = &t->entries[i];

		if (strncmp(en->path, path, len) == 0 &&
			(en->path[len] == '\0' || en->path[len] == '/'))
			entry_fini(en);
		else
			t->entries[kept++] = *en;
	}
	t->count = kept;
	/* Indices have moved, and the first name of a file may be gone. */
	tree_sort(t);
}

void tree_keep(
	struct tree *t, bool (*want)(const struct tree_entry *en, const void *ctx), const void *ctx)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct tree_entry *en = &t->entries[i];

		if (want(en, ctx))
			t->entries[kept++] = *en;
		else
			entry_fini(en);
	}
	t->count = kept;
	tree_sort(t);
}

void tree_clamp_times(struct tree *t, int64_t latest)
{
	for (size_t i = 0; i < t->count; i++)
		t->entries[i].mtime = MIN(t->entries[i].mtime, latest);
}

const struct tree_entry *tree_find(const struct tree *t, const char *path)
{
	struct tree_entry key = {.path = (char *)(uintptr_t)path};

	if (t->count == 0)
		return NULL;
	return bsearch(&key, t->entries, t->count, sizeof(*t->entries), compare_entries);
}

const char *tree_entry_name(const struct tree_entry *en)
{
	const char *slash = strrchr(en->path, '/');

	return slash ? slash + 1 : en->path;
}

int tree_open(struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	assert(S_ISREG(en->mode));
	int r = t->ops->open(t, en, out, e);
	return r < 0 ? err_wrap(e, r, "'/%s'", en->path) : 0;
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static int add_xattr(struct tree_entry *en, const char *proc_path, const char *name, struct err *e)
{
	autofree char *value = xcalloc(1, XATTR_VALUE_MAX_BYTES);
	ssize_t len = lgetxattr(proc_path, name, value, XATTR_VALUE_MAX_BYTES);

	if (len < 0)
		return err_errno(e, "attribute '%s' of '/%s'", name, en->path);
	en->xattrs = xrealloc(en->xattrs, (en->xattr_count + 1) * sizeof(*en->xattrs));
	en->xattrs[en->xattr_count++] = (struct xattr){
		.name = xstrdup(name), .value = xmemdup(value, (size_t)len), .len = (size_t)len};
	return 0;
}

/* There is no fgetxattr() for an O_PATH descriptor or a link; its name under /proc works. */
static int read_xattrs(int dir_fd, const char *name, struct tree_entry *en, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", dir_fd, name);
	char list[4096];
	autofree char *big = NULL;
	char *names = list;
	ssize_t len = llistxattr(path, list, sizeof(list));

	if (len < 0 && errno == ERANGE) {
		names = big = xcalloc(1, XATTR_LIST_MAX_BYTES);
		len = llistxattr(path, big, XATTR_LIST_MAX_BYTES);
	}
	if (len < 0 && errno == ENOTSUP)
		return 0;
	if (len < 0)
		return err_errno(e, "attributes of '/%s'", en->path);

	for (char *n = names; n < names + len; n += strlen(n) + 1) {
		int r = add_xattr(en, path, n, e);
		if (r < 0)
			return r;
	}
	if (en->xattr_count > 1)
		qsort(en->xattrs, en->xattr_count, sizeof(*en->xattrs), compare_xattrs);
	return 0;
}

static int read_target(int dir_fd, const char *name, struct tree_entry *en, struct err *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

	if (len < 0)
		return err_errno(e, "link '/%s'", en->path);
	if ((size_t)len >= sizeof(target))
		return err_set(e, ENAMETOOLONG, "link '/%s': target too long", en->path);
	en->target = xstrndup(target, (size_t)len);
	return 0;
}

static int scan_entry(struct tree *t, int dir_fd, const char *name, const char *path,
	const struct stat *st, struct err *e)
{
	struct tree_entry *en = tree_add(t,
		&(struct tree_entry){
			.path = xstrdup(path),
			.mode = st->st_mode,
			.uid = st->st_uid,
			.gid = st->st_gid,
			.mtime = st->st_mtim.tv_sec,
			.inode = st->st_ino,
			.changed_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 +
				st->st_ctim.tv_nsec,
		});
	int r = 0;

	if (S_ISREG(st->st_mode))
		en->size_bytes = (uint64_t)st->st_size;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		en->dev_major = major(st->st_rdev);
		en->dev_minor = minor(st->st_rdev);
	}
	if (S_ISLNK(st->st_mode))
		r = read_target(dir_fd, name, en, e);
	return r < 0 ? r : read_xattrs(dir_fd, name, en, e);
}

int tree_look(struct tree *t, int dir_fd, const char *name, const char *path, struct err *e)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "'/%s'", path);
	int r = scan_entry(t, dir_fd, name, path, &st, e);
	return r < 0 ? r : 1;
}

/* Takes over fd.  prefix is "" or ends in '/'. */
static int scan_folder(struct tree *t, int fd, const char *prefix, dev_t dev, struct err *e)
{
	DIR *dir = fdopendir(fd);
	int r = 0;

	if (!dir) {
		r = err_errno(e, "opening '/%s'", prefix);
		close(fd);
		return r;
	}
	for (struct dirent *d; r == 0 && (errno = 0, d = readdir(dir));) {
		struct stat st;

		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		autofree char *path = xasprintf("%s%s", prefix, d->d_name);
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = err_errno(e, "'/%s'", path);
			break;
		}
		r = scan_entry(t, fd, d->d_name, path, &st, e);
		if (r < 0 || !S_ISDIR(st.st_mode) || st.st_dev != dev)
			continue;

		int sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		autofree char *below = xasprintf("%s/", path);
		r = sub < 0 ? err_errno(e, "opening '/%s'", path)
			    : scan_folder(t, sub, below, dev, e);
	}
	if (r == 0 && errno != 0)
		r = err_errno(e, "reading '/%s'", prefix);
	closedir(dir);
	return r;
}

static int scan_open(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	const struct scan_ctx *c = t->ctx;
	int fd = file_open_beneath(c->root_fd, en->path, O_RDONLY | O_NOFOLLOW, e);

	return fd < 0 ? fd : source_open_fd(fd, out, e);
}

static void scan_free(void *ctx)
{
	struct scan_ctx *c = ctx;

	close(c->root_fd);
	free(c);
}

static const struct tree_ops scan_ops = {.open = scan_open, .free = scan_free};

int tree_scan(const char *path, struct tree **out, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoptr(tree) t = NULL;
	struct scan_ctx *c;
	struct stat st;
	int r, copy;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "'%s'", path);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return err_errno(e, "'%s'", path);

	c = xcalloc(1, sizeof(*c));
	c->root_fd = take_fd(&fd);
	t = tree_new(&scan_ops, c);
	r = scan_entry(t, c->root_fd, ".", "", &st, e);
	if (r < 0)
		close(copy);
	else
		r = scan_folder(t, copy, "", st.st_dev, e);
	if (r < 0)
		return err_wrap(e, r, "reading tree '%s'", path);

	tree_sort(t);
	*out = take_ptr(t);
	return 0;
}
