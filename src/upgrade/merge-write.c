/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new layer.  It is empty and ours alone; still every folder is opened from the top without a
 * link on the way, because what names it has is the node's and the image's choice.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/io.h"
#include "base/xalloc.h"
#include "image/extract.h"
#include "upgrade/merge-internal.h"

#define ASK_BYTES (1 * MIB)

/* All of the layer. */
struct writing {
	const struct merge *m;
	int out_fd;
	uint64_t bytes; /* of files, until now */
};

static int ask(const struct writing *w, uint64_t more, struct err *e)
{
	const struct merge_trees *t = w->m->trees;

	return t->grow ? t->grow(t->ctx, w->bytes + more, e) : 0;
}

/* One file can be larger than all that the pool has left: asked for each part of it, not for its holes. */
struct asking_source {
	struct source s;
	struct source *of;
	struct writing *w;
};

static int asking_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct asking_source *a = (struct asking_source *)s;
	int r = ask(a->w, len, e);

	if (r < 0)
		return r;
	a->w->bytes += len;
	return source_read_at(a->of, buf, len, off, e);
}

static int asking_next_data(
	struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e)
{
	return source_next_data(((struct asking_source *)s)->of, off, start, end, e);
}

static const struct source_ops asking_ops = {
	.read_at = asking_read_at,
	.next_data = asking_next_data,
};

struct place {
	int fd; /* of the folder */
	const char *name;
};

static int open_place(int out_fd, const char *path, struct place *out, struct err *e)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	int fd = file_open_beneath(out_fd, folder, O_PATH | O_DIRECTORY, e);

	if (fd < 0)
		return fd;
	*out = (struct place){fd, slash ? slash + 1 : path};
	return 0;
}

/* Through /proc, as there is no fsetxattr() for links and devices. */
static int set_xattrs(const struct place *at, const struct merge_result *res, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", at->fd, at->name);

	for (size_t i = 0; i < res->xattr_count; i++) {
		const struct xattr *x = res->xattrs[i];

		if (lsetxattr(path, x->name, x->value, x->len, 0) < 0)
			return err_errno(e, "attribute '%s'", x->name);
	}
	return 0;
}

/* Owner first: giving a file away takes its capabilities and its setuid bit. */
static int set_metadata(const struct place *at, const struct merge_result *res, struct err *e)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = res->mtime}};

	if (fchownat(at->fd, at->name, res->uid, res->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "owner");
	/* An ACL has the last word on the group bits, so the mode goes before it. */
	if (!merge_is_link(res->en) &&
		fchmodat(at->fd, at->name, res->mode & 07777, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "mode");
	int r = set_xattrs(at, res, e);
	if (r < 0)
		return r;
	if (utimensat(at->fd, at->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "time");
	return 0;
}

static int write_regular(struct writing *w, const struct place *at, struct tree *t,
	const struct merge_result *res, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	bool is_text = res->from == FROM_TEXT;
	autoptr(source) s = NULL;
	int r = ask(w, MIN(is_text ? res->text_len : res->en->size_bytes, ASK_BYTES), e);

	if (r < 0)
		return r;
	autofd int fd = openat(at->fd, at->name, flags, 0600);
	if (fd < 0)
		return err_errno(e, "creating");
	if (is_text) {
		w->bytes += res->text_len;
		return io_write(fd, res->text, res->text_len, e);
	}
	r = tree_open(t, res->en, &s, e);
	if (r < 0)
		return r;
	struct asking_source asking = {{&asking_ops, s->size_bytes}, s, w};
	return extract_source(&asking.s, fd, NULL, e);
}

static int write_node(struct writing *w, const struct place *at, struct tree *t,
	const struct merge_result *res, struct err *e)
{
	const struct tree_entry *en = res->en;

	if (merge_is_regular(en))
		return write_regular(w, at, t, res, e);
	if (merge_is_link(en))
		return symlinkat(en->target, at->fd, at->name) < 0 ? err_errno(e, "creating") : 0;
	if (merge_is_folder(en))
		return mkdirat(at->fd, at->name, 0700) < 0 ? err_errno(e, "creating") : 0;
	return mknodat(at->fd, at->name, (en->mode & S_IFMT) | 0600,
		       makedev(en->dev_major, en->dev_minor)) < 0
		? err_errno(e, "creating")
		: 0;
}

static int write_result(struct writing *w, const char *path, struct tree *t,
	const struct merge_result *res, struct err *e)
{
	struct place at = {.fd = -1};
	int r = open_place(w->out_fd, path, &at, e);

	if (r < 0)
		return r;
	if (res->from == FROM_NONE)
		r = mknodat(at.fd, at.name, S_IFCHR, makedev(0, 0)) < 0 ? err_errno(e, "whiteout")
									: 0;
	else
		r = write_node(w, &at, t, res, e);
	/* A folder gets its own when all is in it. */
	if (r == 0 && res->from != FROM_NONE && !merge_is_folder(res->en))
		r = set_metadata(&at, res, e);
	close(at.fd);
	return r;
}

/*
 * For reading: many a folder of /etc is a list of programs to run.  What an ACL has taken away from the
 * group would come back without it.
 */
static void make_harmless(struct merge_result *res)
{
	size_t kept = 0;

	if (!merge_is_regular(res->en))
		return;
	res->mode &= merge_xattr_find(res->en, MERGE_XATTR_ACL) ? 0600U : 0666U;
	for (size_t i = 0; i < res->xattr_count; i++)
		if (!str_eq(res->xattrs[i]->name, MERGE_XATTR_ACL) &&
			!str_eq(res->xattrs[i]->name, "security.capability"))
			res->xattrs[kept++] = res->xattrs[i];
	res->xattr_count = kept;
}

static int write_beside(struct writing *w, const struct merge_item *it, struct err *e)
{
	const struct merge *m = w->m;
	struct merge_item copy = {.path = it->beside, .new = it->new};

	copy.result = (struct merge_result){
		.from = FROM_NEW, .en = it->new, .mtime = it->new->mtime};
	merge_metadata(m, &copy);
	make_harmless(&copy.result);
	int r = write_result(w, it->beside, m->trees->new_base, &copy.result, e);
	free(copy.result.xattrs);
	return r < 0 ? err_wrap(e, r, "'/%s'", it->beside) : 0;
}

static int write_item(struct writing *w, const struct merge_item *it, struct err *e)
{
	struct tree *t = it->result.en ? merge_tree_of(w->m, it, it->result.en) : NULL;
	int r = write_result(w, it->path, t, &it->result, e);

	if (r < 0)
		return err_wrap(e, r, "'/%s'", it->path);
	return it->beside ? write_beside(w, it, e) : 0;
}

static int finish_folder(const struct merge_item *it, int out_fd, struct err *e)
{
	struct place at = {.fd = out_fd, .name = "."};
	int r = it->path[0] ? open_place(out_fd, it->path, &at, e) : 0;

	if (r == 0)
		r = set_metadata(&at, &it->result, e);
	if (at.fd != out_fd)
		close(at.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", it->path) : 0;
}

int merge_write(const struct merge *m, int out_fd, struct progress *p, struct err *e)
{
	struct writing w = {.m = m, .out_fd = out_fd};
	int r = 0;

	progress_begin(p, "layer", m->count, "files");
	for (size_t i = 1; r == 0 && i < m->count; i++) {
		if (m->items[i].write)
			r = write_item(&w, &m->items[i], e);
		if (r == 0)
			r = progress_advance(p, i + 1, e);
	}
	for (size_t i = m->count; r == 0 && i-- > 0;)
		if (m->items[i].write && merge_is_folder(m->items[i].result.en))
			r = finish_folder(&m->items[i], out_fd, e);
	progress_end(p);
	return r < 0 ? err_wrap(e, r, "writing the layer") : 0;
}
