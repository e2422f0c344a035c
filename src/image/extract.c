/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is written in its order, so the folders that are open at any time are those on the way
 * to the current entry: a stack of descriptors, each opened below the one before and never through
 * a link.  No path is ever resolved from the top, so nothing can be swapped under us, and no depth
 * is too deep.  A folder gets its attributes when it is left, as what is made in it changes them.
 */
#include "image/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/xalloc.h"

#define COPY_BYTES (1 * MIB)

struct level {
	int fd;
	const struct tree_entry *en; /* of the folder; NULL: not ours to change */
	size_t path_len;
};

struct extraction {
	const struct extract_spec *spec;
	struct extract_result *result;
	struct level *levels;
	size_t level_count, level_room;
	int root_fd;
	size_t prefix_len; /* of the path that is not made below dest */
	size_t *made;      /* by index of an inode's first entry: where it was made, plus one */
	struct progress *progress;
	bool root; /* we can give files away */
};

/* At its own offsets and with its holes, or one byte after the other. */
static int copy_part(struct source *s, int fd, bool stream, uint64_t off, uint64_t *end, char *buf,
	struct err *e)
{
	uint64_t start = off;
	int r = 0;

	*end = s->size_bytes;
	if (!stream)
		r = source_next_data(s, off, &start, end, e);
	*end = MIN(*end, start + COPY_BYTES);
	if (r < 0 || start == *end)
		return r;
	size_t n = (size_t)(*end - start);
	r = source_read_at(s, buf, n, start, e);
	if (r < 0)
		return r;
	return stream ? io_write(fd, buf, n, e) : io_pwrite(fd, buf, n, start, e);
}

static int copy(struct source *s, int fd, bool stream, struct progress *p, struct err *e)
{
	autofree char *buf = xcalloc(1, (size_t)MIN(COPY_BYTES, s->size_bytes + 1));
	int r = 0;

	progress_begin(p, "extract", s->size_bytes, "bytes");
	for (uint64_t off = 0; r == 0 && off < s->size_bytes;) {
		r = copy_part(s, fd, stream, off, &off, buf, e);
		if (r == 0)
			r = progress_advance(p, off, e);
	}
	if (r == 0 && !stream && ftruncate(fd, (off_t)s->size_bytes) < 0)
		r = err_errno(e, "setting the size");
	progress_end(p);
	return r;
}

int extract_source(struct source *s, int fd, struct progress *p, struct err *e)
{
	return copy(s, fd, false, p, e);
}

int extract_stream(struct source *s, int fd, struct progress *p, struct err *e)
{
	return copy(s, fd, true, p, e);
}

/* path is under /proc, because there is no fsetxattr() for links and devices. */
static int set_xattrs(
	struct extraction *x, const char *path, const struct tree_entry *en, struct err *e)
{
	for (size_t i = 0; i < en->xattr_count; i++) {
		const struct xattr *a = &en->xattrs[i];

		if (lsetxattr(path, a->name, a->value, a->len, 0) == 0)
			continue;
		if (errno != ENOTSUP && (x->root || errno != EPERM))
			return err_errno(e, "attribute '%s'", a->name);
		x->result->lost_xattrs++;
	}
	return 0;
}

/* Owner first: giving a file away clears its capabilities and its setuid bit. */
static int set_attributes(struct extraction *x, int dir_fd, const char *name,
	const struct tree_entry *en, struct err *e)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = en->mtime}};
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", dir_fd, name);
	uint32_t mode = en->mode & 07777;

	if (x->root) {
		if (fchownat(dir_fd, name, en->uid, en->gid, AT_SYMLINK_NOFOLLOW) < 0)
			return err_errno(e, "owner");
	} else if (en->uid != geteuid() || en->gid != getegid()) {
		x->result->lost_owners++;
		mode &= 01777U;
	}
	/* Before the attributes: an ACL is one of them and has the last word on the group bits. */
	if (!S_ISLNK(en->mode) && fchmodat(dir_fd, name, mode, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "mode");
	int r = set_xattrs(x, path, en, e);
	if (r < 0)
		return r;
	if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "time");
	return 0;
}

static int push(struct extraction *x, int fd, const struct tree_entry *en)
{
	if (x->level_count == x->level_room) {
		x->level_room = MAX(64, 2 * x->level_room);
		x->levels = xrealloc(x->levels, x->level_room * sizeof(*x->levels));
	}
	x->levels[x->level_count++] = (struct level){
		.fd = fd, .en = en, .path_len = en ? strlen(en->path) : 0};
	return 0;
}

static int pop(struct extraction *x, struct err *e)
{
	struct level *l = &x->levels[--x->level_count];
	int r = l->en ? set_attributes(x, l->fd, ".", l->en, e) : 0;

	if (r < 0)
		r = err_wrap(e, r, "'/%s'", l->en->path);
	close(l->fd);
	return r;
}

/* Leave the folders that en does not lie in. */
static int go_to_parent(struct extraction *x, const struct tree_entry *en, struct err *e)
{
	while (x->level_count > 1) {
		const struct level *l = &x->levels[x->level_count - 1];

		if (l->en && strncmp(en->path, l->en->path, l->path_len) == 0 &&
			(l->path_len == 0 || en->path[l->path_len] == '/'))
			break;
		int r = pop(x, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_folder(struct extraction *x, int dir_fd, const char *name,
	const struct tree_entry *en, struct err *e)
{
	if (mkdirat(dir_fd, name, 0700) < 0 && (errno != EEXIST || !x->spec->force))
		return err_errno(e, "creating folder");
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "opening folder");
	return push(x, fd, en);
}

static int make_file(struct extraction *x, int dir_fd, const char *name,
	const struct tree_entry *en, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	autoptr(source) s = NULL;
	int r = tree_open(x->spec->tree, en, &s, e);

	if (r < 0)
		return r;
	autofd int fd = openat(dir_fd, name, flags, 0600);
	if (fd < 0)
		return err_errno(e, "creating");
	r = extract_source(s, fd, NULL, e);
	x->result->bytes += s->size_bytes;
	return r;
}

/* A further name of a file that was made before. */
static int make_name(
	struct extraction *x, int dir_fd, const char *name, size_t first, struct err *e)
{
	const struct tree_entry *en = &x->spec->tree->entries[first];
	const char *path = en->path + x->prefix_len, *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
	autofd int fd = file_open_beneath(x->root_fd, folder, O_PATH | O_DIRECTORY, e);

	if (fd < 0)
		return fd;
	if (linkat(fd, slash ? slash + 1 : path, dir_fd, name, 0) < 0)
		return err_errno(e, "link to '/%s'", en->path);
	return 0;
}

static int make_node(struct extraction *x, int dir_fd, const char *name,
	const struct tree_entry *en, struct err *e)
{
	dev_t dev = S_ISCHR(en->mode) || S_ISBLK(en->mode) ? makedev(en->dev_major, en->dev_minor)
							   : 0;

	if (mknodat(dir_fd, name, (en->mode & S_IFMT) | 0600, dev) == 0)
		return 0;
	if (errno != EPERM)
		return err_errno(e, "creating device");
	x->result->lost_devices++;
	return 1;
}

/* Anything but a folder. */
static int make_leaf(struct extraction *x, int dir_fd, const char *name,
	const struct tree_entry *en, struct err *e)
{
	size_t *made = &x->made[en->link_of];
	int r;

	if (x->spec->force && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "replacing");
	if (*made != 0)
		return make_name(x, dir_fd, name, *made - 1, e);

	if (S_ISREG(en->mode))
		r = make_file(x, dir_fd, name, en, e);
	else if (S_ISLNK(en->mode))
		r = symlinkat(en->target, dir_fd, name) < 0 ? err_errno(e, "creating link") : 0;
	else
		r = make_node(x, dir_fd, name, en, e);
	if (r != 0)
		return r < 0 ? r : 0;
	*made = (size_t)(en - x->spec->tree->entries) + 1;
	return set_attributes(x, dir_fd, name, en, e);
}

static int make_entry(struct extraction *x, const struct tree_entry *en, struct err *e)
{
	int r = go_to_parent(x, en, e);

	if (r < 0)
		return r;
	const struct level *l = &x->levels[x->level_count - 1];
	const char *name = tree_entry_name(en);
	int dir_fd = l->fd;
	if (l->en && (size_t)(name - en->path) != l->path_len + (l->path_len > 0))
		return err_set(e, EBADMSG, "'/%s' lies in no folder", en->path);
	x->result->files++;
	r = S_ISDIR(en->mode) ? make_folder(x, dir_fd, name, en, e)
			      : make_leaf(x, dir_fd, name, en, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", en->path);
	return progress_advance(x->progress, x->result->bytes, e);
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 || (strncmp(path, folder, len) == 0 && path[len] == '/');
}

static int check_empty(int fd, const char *dest, struct err *e)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	bool empty = true;

	if (!dir)
		return err_errno(e, "'%s'", dest);
	for (struct dirent *d; (d = readdir(dir));)
		empty &= str_eq(d->d_name, ".") || str_eq(d->d_name, "..");
	closedir(dir);
	return empty ? 0 : err_set(e, ENOTEMPTY, "'%s' is not empty", dest);
}

static int open_dest(const struct extract_spec *spec, bool folder, int *out, struct err *e)
{
	int r = file_make_folder(spec->dest, 0755, e);

	if (r < 0)
		return r;
	autofd int fd = open(spec->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "'%s'", spec->dest);
	/* A single file only needs its own name to be free, which O_EXCL sees to. */
	r = folder && !spec->force ? check_empty(fd, spec->dest, e) : 0;
	if (r == 0)
		*out = take_fd(&fd);
	return r;
}

static int extract_all(struct extraction *x, const struct tree_entry *top, struct err *e)
{
	const struct tree *t = x->spec->tree;
	size_t first = (size_t)(top - t->entries), end = first + 1;
	uint64_t total = S_ISREG(top->mode) ? top->size_bytes : 0;
	int r = 0;

	while (S_ISDIR(top->mode) && end < t->count && is_below(t->entries[end].path, top->path)) {
		const struct tree_entry *en = &t->entries[end];

		total += S_ISREG(en->mode) && en->link_of == end ? en->size_bytes : 0;
		end++;
	}
	progress_begin(x->progress, "extract", total, "bytes");
	if (S_ISDIR(top->mode)) {
		r = push(x, fcntl(x->root_fd, F_DUPFD_CLOEXEC, 3), top);
		x->result->files++;
		first++;
	} else {
		r = push(x, fcntl(x->root_fd, F_DUPFD_CLOEXEC, 3), NULL);
	}
	for (size_t i = first; r == 0 && i < end; i++)
		r = make_entry(x, &t->entries[i], e);
	while (x->level_count > 0) {
		/* After a failure only close them. */
		if (r < 0)
			x->levels[x->level_count - 1].en = NULL;
		int p = pop(x, e);
		r = r < 0 ? r : p;
	}
	progress_end(x->progress);
	return r;
}

int extract_tree(const struct extract_spec *spec, struct extract_result *out, struct progress *p,
	struct err *e)
{
	const struct tree_entry *top = tree_find(spec->tree, spec->path ? spec->path : "");
	struct extraction x = {
		.spec = spec, .result = out, .root_fd = -1, .progress = p, .root = geteuid() == 0};
	autofd int root_fd = -1;

	if (!top)
		return err_set(e, ENOENT, "no '/%s' in the image", spec->path);
	int r = open_dest(spec, S_ISDIR(top->mode), &root_fd, e);
	if (r < 0)
		return r;
	x.root_fd = root_fd;
	x.made = xcalloc(spec->tree->count, sizeof(*x.made));
	x.prefix_len = S_ISDIR(top->mode) ? strlen(top->path) + (top->path[0] != '\0')
					  : strlen(top->path) - strlen(tree_entry_name(top));
	r = extract_all(&x, top, e);
	free(x.made);
	free(x.levels);
	return r;
}

int extract_whole(const struct extract_spec *spec, struct err *e)
{
	struct extract_result done = {0};
	int r = extract_tree(spec, &done, NULL, e);

	if (r == 0 && done.lost_xattrs > 0)
		r = err_set(e, ENOTSUP, "the file system cannot hold %ju attributes",
			(uintmax_t)done.lost_xattrs);
	return r;
}
