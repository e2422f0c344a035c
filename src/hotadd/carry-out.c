/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "hotadd/carry.h"
#include "hotadd/copy.h"
#include "hotadd/records.h"
#include "plugin/policy.h"

/* The upper half that is worked on, and one of its plugins. */
struct taking {
	int root_fd;
	struct added_plugin *p;
	struct files *now; /* what there is of its files */
	bool *away;        /* of each item: what was there before it is missing */
};

/* Rules of the firewall: lines of others stay.  1: there are none. */
static int take_out_lines(const struct taking *t, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	autoundotext text = {0};
	int r = undo_text_read(t->p->kept_fd, item, t->root_fd, item->path, &text, e);

	if (r < 0)
		return r;
	return text.is_known ? 1 : undo_text_put(&text, at, e);
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* As the plugin has left it, also when that was to take it away. */
static bool is_as_recorded(const struct taking *t, const char *path, const struct stat *st)
{
	const struct files_entry *was = files_find(t->p->record->files, path);
	const struct files_entry *is = files_find(t->now, path);

	if (is_whiteout(st))
		return strv_has(&t->p->record->removed, path);
	return was && is && !hotadd_difference(was, is);
}

static bool was_folder(const struct taking *t, const struct undo_item *item)
{
	struct stat st;

	return item->copy && fstatat(t->p->kept_fd, item->copy, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISDIR(st.st_mode);
}

/* 1: nothing of it is there any more. */
static int take_out_there(const struct taking *t, const struct undo_item *item,
	const struct copy_place *at, const struct stat *st, struct err *e)
{
	bool goes = is_as_recorded(t, item->path, st);

	/* Fine when there is something in it that is not the plugin's. */
	if (S_ISDIR(st->st_mode))
		return !was_folder(t, item) && unlinkat(at->fd, at->name, AT_REMOVEDIR) == 0;
	if (item->copy && item->after && S_ISREG(st->st_mode)) {
		int r = take_out_lines(t, item, at, e);

		if (r <= 0)
			return r;
		goes = true;
	}
	if (!goes && files_find(t->p->record->files, item->path) && !is_whiteout(st))
		strv_add(&t->p->changed, item->path);
	if (!goes)
		return 0;
	return unlinkat(at->fd, at->name, 0) < 0 ? err_errno(e, "removing") : 1;
}

/* The plugin has taken it away, or an administrator; what belongs to the vendor comes again. */
static void note_missing(const struct taking *t, size_t i, bool in_the_way)
{
	const struct undo_item *item = &t->p->kept.items[i];
	const struct files_entry *was = files_find(t->p->record->files, item->path);

	t->away[i] = in_the_way || strv_has(&t->p->record->removed, item->path);
	if (!item->copy && was && !S_ISDIR(was->mode) && str_starts(item->path, "etc/"))
		strv_add(&t->p->gone, item->path);
}

/* /var is a volume of its own, and not the layer's. */
static bool is_left(const char *path)
{
	return !*path || plugin_path_is_common(path) || plugin_path_is_of_accounts(path) ||
		str_starts(path, "var/");
}

static int take_out_item(const struct taking *t, size_t i, struct err *e)
{
	const struct undo_item *item = &t->p->kept.items[i];
	struct copy_place at;
	struct stat st;
	int r = is_left(item->path) ? 1 : copy_place_open(t->root_fd, item->path, &at, NULL);

	if (r == 1)
		return 0;
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) {
		note_missing(t, i, r != -ENOENT);
		return 0;
	}
	if (r < 0)
		return err_set(e, -r, "'/%s' cannot be reached", item->path);
	if (fstatat(at.fd, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		r = take_out_there(t, item, &at, &st, e);
		t->away[i] = r > 0;
	} else if (errno == ENOENT) {
		note_missing(t, i, false);
	} else {
		r = err_errno(e, "looking");
	}
	close(at.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", item->path) : 0;
}

static int put_back(const struct taking *t, size_t i, struct err *e)
{
	const struct undo_item *item = &t->p->kept.items[i];
	const struct copy_place from = {.fd = t->p->kept_fd, .name = item->copy};
	struct copy_place at;

	if (!t->away[i] || !item->copy)
		return 0;
	int r = copy_place_find(t->root_fd, item->path, &at, NULL);
	if (r <= 0)
		return r < 0 ? err_set(e, -r, "'/%s' cannot be reached", item->path) : 0;
	if (faccessat(at.fd, at.name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = copy_object(&from, &at, e);
	close(at.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", item->path) : 0;
}

static int take_out(int root_fd, struct added_plugin *p, struct err *e)
{
	autofree bool *away = xcalloc(p->kept.count + 1, sizeof(*away));
	autoptr(files) now = NULL;
	int r = hotadd_files_now(root_fd, p->record, &now, e);
	const struct taking t = {.root_fd = root_fd, .p = p, .now = now, .away = away};

	/* What is in a folder goes before it, and comes back after it. */
	for (size_t i = p->kept.count; r == 0 && i-- > 0;)
		r = take_out_item(&t, i, e);
	for (size_t i = 0; r == 0 && i < p->kept.count; i++)
		r = put_back(&t, i, e);
	return r < 0 ? err_wrap(e, r, "plugin '%s'", p->record->manifest.name) : 0;
}

int added_plugins_take_out(struct added_plugins *a, struct err *e)
{
	int r = 0;

	for (size_t i = a->count; r == 0 && i-- > 0;)
		r = take_out(a->root_fd, &a->items[i], e);
	return r;
}
