/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "plugin/record.h"

#define MARK_FOLDER "4" /* how copy_mark() of one begins: S_IFDIR is 040000 */
#define MOUNTED     "something is mounted there"

static int type_of(const struct copy_place *at, unsigned *type, struct err *e)
{
	struct stat st;

	*type = 0;
	if (fstatat(at->fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "looking");
	*type = st.st_mode & S_IFMT;
	return 0;
}

struct back {
	int root_fd, undo_fd;
	const struct undo_list *u;
	const struct undo_spec *spec;
	bool *left; /* of each item: it stays as it is */
};

typedef int item_fn(const struct back *b, size_t i, struct err *e);

static void back_step(const struct back *b)
{
	if (b->spec->step)
		b->spec->step(b->spec->ctx);
}

/* Or what is under a volume would be taken for what is in it. */
static int check_volume(const struct back *b, size_t i, struct err *e)
{
	struct undo_item *item = &b->u->items[i], now = {0};
	struct copy_place at;
	int r = item->where == UNDO_NOT_NOTED ? 0 : copy_place_find(b->root_fd, item->path, &at, e);

	if (r <= 0)
		return r;
	r = transaction_find_where(b->root_fd, &at, &now, e);
	close(at.fd);
	if (r == 0 && now.where != item->where)
		r = err_set(e, EXDEV, "%s",
			item->where == UNDO_VOLUME ? "the volume that it was on is not mounted"
						   : MOUNTED);
	return r;
}

/* ---- what others have changed since ---- */

static bool is_at_or_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Nobody but the plugin had anything there. */
static bool is_own(const struct undo_list *u, const struct undo_item *item)
{
	for (size_t i = 0; !item->copy && i < u->count; i++)
		if (u->items[i].place == UNDO_OWN && is_at_or_below(item->path, u->items[i].path))
			return true;
	return false;
}

static int mark_before(
	const struct back *b, const struct undo_item *item, char **out, struct err *e)
{
	const struct copy_place copy = {.fd = b->undo_fd, .name = item->copy};

	if (!item->copy) {
		*out = xstrdup("");
		return 0;
	}
	int r = copy_mark(&copy, out, e);
	if (r == 0 && !**out)
		r = err_set(e, EBADMSG, "the copy of it is gone");
	return r;
}

/* As it was, as it was to become, or on its way from one to the other. */
static bool is_known(const char *now, const char *before, const char *made)
{
	if (str_starts(now, MARK_FOLDER))
		return str_starts(before, MARK_FOLDER) || str_starts(made, MARK_FOLDER);
	return !*now || str_eq(now, before) || str_eq(now, made);
}

static int find_left(const struct back *b, size_t i, struct err *e)
{
	const struct undo_item *item = &b->u->items[i];
	autofree char *before = NULL, *now = NULL;
	struct copy_place at;

	if (!item->made || is_own(b->u, item) || (!b->spec->late && !item->after))
		return 0;
	int r = copy_place_find(b->root_fd, item->path, &at, e);
	if (r <= 0)
		return r;
	r = copy_mark(&at, &now, e);
	close(at.fd);
	if (r == 0)
		r = mark_before(b, item, &before, e);
	if (r == 0)
		b->left[i] = !is_known(now, before, item->made);
	return r;
}

/* dpkg's files belong together: all of them stay when its list of packages has changed. */
static void leave_database(const struct back *b)
{
	autofree char *folder = NULL;

	for (size_t i = 0; i < b->u->count; i++) {
		const char *path = b->u->items[i].path;

		if (b->left[i] && str_ends(path, "dpkg/status"))
			folder = xstrndup(path, strlen(path) - strlen("/status"));
	}
	for (size_t i = 0; folder && i < b->u->count; i++)
		if (is_at_or_below(b->u->items[i].path, folder))
			b->left[i] = true;
}

/* Without what is in the plugin's own folders, and goes with those. */
static void say_left(const struct back *b)
{
	for (size_t i = 0; i < b->u->count; i++) {
		const struct undo_item *item = &b->u->items[i];
		autofree char *safe = str_printable(item->path);

		if (b->left[i] && b->spec->left)
			strv_take(b->spec->left,
				xasprintf("'/%s' was changed since, and %s", safe,
					item->after ? "keeps that" : "stays"));
	}
}

/* ---- each of them ---- */

/* 1: at is open; *type: what has to go there, 0 is nothing.  It was not there, or was of another type. */
static int find_wrong(
	const struct back *b, size_t i, struct copy_place *at, unsigned *type, struct err *e)
{
	const struct undo_item *item = &b->u->items[i];
	const struct copy_place copy = {.fd = b->undo_fd, .name = item->copy};
	unsigned want = 0;
	int r = b->left[i] ? 0 : copy_place_find(b->root_fd, item->path, at, e);

	if (r <= 0)
		return r;
	r = item->copy ? type_of(&copy, &want, e) : 0;
	if (r == 0 && item->copy && want == 0)
		r = err_set(e, EBADMSG, "the copy of it is gone");
	if (r == 0)
		r = type_of(at, type, e);
	if (r < 0) {
		close(at->fd);
		return r;
	}
	if (*type == want)
		*type = 0;
	return 1;
}

static bool is_way(const struct undo_item *item, unsigned type)
{
	return type == S_IFDIR && item->place == UNDO_WAY;
}

/* Or what others have there would go with the folder. */
static int check_mount(const struct back *b, size_t i, struct err *e)
{
	struct copy_place at;
	unsigned type;
	int r = find_wrong(b, i, &at, &type, e);

	if (r <= 0)
		return r;
	r = type == 0 || is_way(&b->u->items[i], type) ? 0 : copy_place_mounted(&at, e);
	close(at.fd);
	return r > 0 ? err_set(e, EXDEV, MOUNTED) : r;
}

static int clear_item(const struct back *b, size_t i, struct err *e)
{
	struct copy_place at;
	unsigned type;
	int r = find_wrong(b, i, &at, &type, e);

	if (r <= 0)
		return r;
	unlinkat(at.fd, TEMPORARY, 0);
	r = 0;
	if (is_way(&b->u->items[i], type)) {
		if (unlinkat(at.fd, at.name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
			errno != EEXIST && errno != EBUSY)
			r = err_errno(e, "removing");
	} else if (type != 0) {
		autofree char *path = copy_place_path(&at);

		r = file_remove_tree(path, e);
	}
	close(at.fd);
	return r;
}

/* It has a name of its own until it is complete: one that is linked is never written to. */
static int merge_text(const struct back *b, const struct undo_item *item,
	const struct copy_place *at, const struct copy_place *out, struct err *e)
{
	autofree char *name = xasprintf("%s-merging", item->copy);
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", b->undo_fd, name);
	const struct copy_place merging = {.fd = b->undo_fd, .name = name};
	autoundotext text = {0};
	int r = undo_text_read(b->undo_fd, item, at->fd, at->name, &text, e);

	if (r == 0)
		r = file_replace(path, text.without, strlen(text.without), 0600, e);
	if (r == 0)
		r = copy_attributes(at, &merging, e);
	if (r == 0 && renameat(b->undo_fd, name, out->fd, out->name) < 0)
		r = err_errno(e, "renaming");
	return r;
}

static int put_back(const struct copy_place *copy, const struct copy_place *at, struct err *e)
{
	/* Of one that was cut off. */
	unlinkat(at->fd, TEMPORARY, 0);
	int r = transaction_link(copy, at->fd, TEMPORARY, e);

	if (r == 0 && renameat(at->fd, TEMPORARY, at->fd, at->name) < 0)
		r = err_errno(e, "renaming");
	/* Both stay when they are names of one file, as rename(2) says. */
	unlinkat(at->fd, TEMPORARY, 0);
	return r;
}

/* 1: one and the other have the same content and attributes. */
static int is_same(const struct copy_place *one, const struct copy_place *other, struct err *e)
{
	autofree char *first = NULL, *second = NULL;
	int r = copy_mark(one, &first, e);

	if (r == 0)
		r = copy_mark(other, &second, e);
	return r < 0 ? r : *first && str_eq(first, second);
}

/*
 * Once, or what others have twice would go twice, and what they have changed since would be lost.  One that
 * was merged and is not there is merged anew: what is there may be another one by now.
 */
static int restore_text(const struct back *b, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	autofree char *name = xasprintf("%s-merged", item->copy);
	autofree char *done = xasprintf("%s-done", item->copy);
	const struct copy_place merged = {.fd = b->undo_fd, .name = name};
	const struct copy_place over = {.fd = b->undo_fd, .name = done};
	unsigned type;
	int r = type_of(&over, &type, e);

	if (r < 0 || type != 0)
		return r;
	r = is_same(&merged, at, e);
	if (r == 0)
		r = merge_text(b, item, at, &merged, e);
	if (r == 0)
		r = put_back(&merged, at, e);
	if (r >= 0 && renameat(b->undo_fd, name, b->undo_fd, done) < 0)
		r = err_errno(e, "renaming");
	return MIN(r, 0);
}

static int restore_item(const struct back *b, size_t i, struct err *e)
{
	const struct undo_item *item = &b->u->items[i];
	const struct copy_place copy = {.fd = b->undo_fd, .name = item->copy};
	unsigned type = 0;
	struct copy_place at;

	if (!item->copy || !*item->path || (b->left[i] && !item->after))
		return 0;
	/* What others have put into its folder's place stays. */
	int r = b->spec->late ? copy_place_find(b->root_fd, item->path, &at, e)
			      : copy_place_open(b->root_fd, item->path, &at, e);
	if (r < 0 || (b->spec->late && r == 0))
		return r;
	if (b->left[i]) {
		r = restore_text(b, item, &at, e);
		close(at.fd);
		return r;
	}
	r = type_of(&copy, &type, e);
	if (r == 0 && type == S_IFDIR) {
		if (mkdirat(at.fd, at.name, 0700) < 0 && errno != EEXIST)
			r = err_errno(e, "creating");
	} else if (r == 0) {
		r = put_back(&copy, &at, e);
	}
	close(at.fd);
	return r;
}

static int finish_folder(const struct back *b, size_t i, struct err *e)
{
	const struct undo_item *item = &b->u->items[i];
	const struct copy_place copy = {.fd = b->undo_fd, .name = item->copy};
	unsigned type = 0, got = 0;
	struct copy_place at;

	if (!item->copy || b->left[i])
		return 0;
	int r = type_of(&copy, &type, e);
	if (r < 0 || type != S_IFDIR)
		return r;
	r = copy_place_find(b->root_fd, item->path, &at, e);
	if (r <= 0)
		return r;
	r = type_of(&at, &got, e);
	if (r == 0 && got == S_IFDIR)
		r = copy_attributes(&copy, &at, e);
	close(at.fd);
	return r;
}

static int for_all(const struct back *b, item_fn *fn, bool backwards, struct err *e)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < b->u->count; n++) {
		size_t i = backwards ? b->u->count - 1 - n : n;

		back_step(b);
		r = fn(b, i, e);
		if (r < 0)
			return err_wrap(e, r, "taking back '/%s'", b->u->items[i].path);
	}
	return r;
}

static int restore_all(const struct back *b, struct err *e)
{
	int r = for_all(b, check_volume, false, e);

	if (r == 0 && (b->spec->late || b->spec->late_texts)) {
		r = for_all(b, find_left, false, e);
		leave_database(b);
	}
	if (r == 0)
		r = for_all(b, check_mount, false, e);
	if (r == 0) {
		say_left(b);
		r = for_all(b, clear_item, true, e);
	}
	if (r == 0)
		r = for_all(b, restore_item, false, e);
	return r == 0 ? for_all(b, finish_folder, true, e) : r;
}

static const struct undo_item *find_item(const struct undo_list *u, const char *path)
{
	for (size_t i = 0; i < u->count; i++)
		if (str_eq(u->items[i].path, path))
			return &u->items[i];
	return NULL;
}

/* Our own notes, and the times of the folders that change once more with them. */
static int take_away(int root_fd, int folder_fd, const struct undo_list *u, struct err *e)
{
	static const char *const ours[] = {PLUGIN_RECORDS, "usr/lib/bedplate"};
	struct stat st[ARRAY_LEN(ours)];
	bool known[ARRAY_LEN(ours)] = {false};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		const struct undo_item *item = find_item(u, ours[i]);
		autofree char *copy = xasprintf(
			UNDO_DONE "/%s", item && item->copy ? item->copy : "");

		known[i] = item && item->copy && fstatat(folder_fd, copy, &st[i], 0) == 0;
	}
	int r = transaction_tidy(root_fd, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(ours); i++) {
		struct copy_place at;

		if (!known[i] || copy_place_open(root_fd, ours[i], &at, NULL) < 0)
			continue;
		const struct timespec times[2] = {st[i].st_atim, st[i].st_mtim};
		(void)!utimensat(at.fd, at.name, times, AT_SYMLINK_NOFOLLOW);
		close(at.fd);
	}
	return r;
}

int transaction_undo(
	int root_fd, const struct undo_list *u, const struct undo_spec *spec, struct err *e)
{
	autofd int folder_fd = transaction_open_records(root_fd, e);

	if (folder_fd < 0)
		return folder_fd;
	autofd int undo_fd = openat(
		folder_fd, UNDO, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (undo_fd < 0)
		return err_errno(e, "'" PLUGIN_RECORDS "/" UNDO "'");
	autofree bool *left = xcalloc(u->count + 1, sizeof(*left));
	const struct back b = {
		.root_fd = root_fd, .undo_fd = undo_fd, .u = u, .spec = spec, .left = left};
	int r = restore_all(&b, e);
	if (r == 0)
		r = transaction_sync_list(root_fd, folder_fd, u, e);
	if (r == 0)
		r = transaction_end(folder_fd, UNDO_DONE, e);
	back_step(&b);
	if (r == 0)
		r = take_away(root_fd, folder_fd, u, e);
	return r;
}
