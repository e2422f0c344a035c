/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction-internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "hotadd/lines.h"
#include "plugin/record.h"

static int copy_to(const struct copy_place *from, int folder_fd, const char *name, struct err *e)
{
	const struct copy_place to = {.fd = folder_fd, .name = name};

	return copy_object(from, &to, e);
}

/*
 * What is replaced is never written to, so another name of it is as good as a copy, takes no room, and
 * comes back with all the names that it had.
 */
int transaction_link(const struct copy_place *from, int folder_fd, const char *name, struct err *e)
{
	if (linkat(from->fd, from->name, folder_fd, name, 0) == 0)
		return 0;
	return copy_to(from, folder_fd, name, e);
}

/* Of the folder: files of an overlay may have another st_dev than it has. */
int transaction_find_where(
	int root_fd, const struct copy_place *at, struct undo_item *item, struct err *e)
{
	struct stat root, folder;

	if (fstat(root_fd, &root) < 0 || fstat(at->fd, &folder) < 0)
		return err_errno(e, "looking");
	item->where = root.st_dev == folder.st_dev ? UNDO_ROOT : UNDO_VOLUME;
	return 0;
}

static int keep_before(
	const struct transaction *t, struct undo_item *item, int folder_fd, struct err *e)
{
	struct copy_place from;
	int r = copy_place_open(t->root_fd, item->path, &from, e);

	if (r < 0)
		return r;
	r = transaction_find_where(t->root_fd, &from, item, e);
	if (r == 0)
		r = transaction_link(&from, folder_fd, item->copy, e);
	close(from.fd);
	return r < 0 ? err_wrap(e, r, "copy of '/%s'", item->path) : 0;
}

static int note_made(
	const struct transaction *t, const struct change *c, struct undo_item *item, struct err *e)
{
	struct copy_place from;

	if (c->kind == CHANGE_REMOVED) {
		item->made = xstrdup("");
		return 0;
	}
	int r = delta_place(t->stage, c->en->path, &from, e);
	if (r < 0)
		return r;
	r = copy_mark(&from, &item->made, e);
	close(from.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", c->en->path) : 0;
}

static int keep_after(const struct transaction *t, const char *path, int folder_fd,
	const char *name, struct err *e)
{
	struct copy_place from;
	int r = delta_place(t->stage, path, &from, e);

	if (r < 0)
		return r;
	r = copy_to(&from, folder_fd, name, e);
	close(from.fd);
	return r < 0 ? err_wrap(e, r, "copy of '/%s'", path) : 0;
}

/* Folders too that are only on the way: their time changes with what is in them. */
static int note_before(
	const struct transaction *t, struct undo_list *u, int folder_fd, struct err *e)
{
	const struct delta *d = t->delta;
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->before->count; i++) {
		const struct tree_entry *en = &d->before->entries[i];
		const struct change *c = transaction_find_change(&d->changes, en->path);

		if (!c && !S_ISDIR(en->mode))
			continue;
		struct undo_item *item = undo_list_add(u, en->path);
		item->copy = xasprintf("%zu", u->count);
		r = keep_before(t, item, folder_fd, e);
		if (r == 0 && c)
			r = note_made(t, c, item, e);
		if (r == 0 && c && c->kind == CHANGE_CHANGED && S_ISREG(c->en->mode) &&
			lines_shared(en->path)) {
			item->after = xasprintf("%zu-after", u->count);
			r = keep_after(t, en->path, folder_fd, item->after, e);
		}
	}
	return r;
}

static int compare_items(const void *a, const void *b)
{
	return tree_path_compare(
		((const struct undo_item *)a)->path, ((const struct undo_item *)b)->path);
}

static void take_place(const struct transaction *t, struct undo_item *item)
{
	if (strv_has(&t->ways, item->path))
		item->place = UNDO_WAY;
	else if (strv_has(&t->missing, item->path))
		item->place = UNDO_OWN;
}

/* What is not there, and must not have come to be meanwhile. */
static int add_absent(
	const struct transaction *t, struct undo_list *u, const char *path, struct err *e)
{
	struct undo_item *item = undo_list_add(u, path);
	struct copy_place at;

	take_place(t, item);
	if (copy_place_open(t->root_fd, path, &at, NULL) < 0)
		return 0;
	int r = transaction_find_where(t->root_fd, &at, item, e);
	if (r == 0 && faccessat(at.fd, at.name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = err_set(e, ESTALE, "'/%s' came to be there meanwhile: try again", path);
	close(at.fd);
	return r;
}

static int add_places(
	const struct transaction *t, const struct strv *places, struct undo_list *u, struct err *e)
{
	int r = 0;

	/* A file of the plugin may be one of these. */
	for (size_t i = 0; r == 0 && i < places->count; i++) {
		const char *path = places->items[i];

		if (!transaction_find_change(&t->delta->changes, path) &&
			!tree_find(t->delta->before, path))
			r = add_absent(t, u, path, e);
	}
	return r;
}

static int note_added(const struct transaction *t, struct undo_list *u, struct err *e)
{
	const struct changes *c = &t->delta->changes;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++) {
		/* The folder of our own notes is there by now, and looked after apart. */
		if (c->items[i].kind != CHANGE_ADDED ||
			str_eq(c->items[i].en->path, PLUGIN_RECORDS))
			continue;
		r = add_absent(t, u, c->items[i].en->path, e);
		if (r == 0)
			r = note_made(t, &c->items[i], &u->items[u->count - 1], e);
	}
	if (r == 0)
		r = add_places(t, &t->missing, u, e);
	if (r == 0)
		r = add_places(t, &t->ways, u, e);
	if (r == 0 && u->count > 1)
		qsort(u->items, u->count, sizeof(*u->items), compare_items);
	return r;
}

static int fill_undo(const struct transaction *t, struct undo_list *u, int fd, struct err *e)
{
	int r = note_before(t, u, fd, e);

	u->operation = xstrdup(t->operation);
	u->plugin = xstrdup(t->plugin);
	strv_add_all(&u->services, &t->services);
	strv_add_all(&u->packages, &t->packages);
	if (r == 0)
		r = note_added(t, u, e);
	return r == 0 ? undo_list_save(fd, u, e) : r;
}

static int make_undo(const struct transaction *t, struct undo_list *u, int folder_fd, struct err *e)
{
	int r = transaction_remove_in(folder_fd, UNDO_NEW, e);

	if (r < 0)
		return r;
	if (mkdirat(folder_fd, UNDO_NEW, 0700) < 0)
		return err_errno(e, "folder for what is there");
	autofd int fd = openat(
		folder_fd, UNDO_NEW, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "folder for what is there");
	r = fill_undo(t, u, fd, e);
	if (r == 0)
		r = transaction_sync_list(t->root_fd, folder_fd, u, e);
	/* From here on there is something to take back. */
	return r == 0 ? transaction_rename(folder_fd, UNDO_NEW, UNDO, e) : r;
}

int transaction_begin(const struct transaction *t, struct err *e)
{
	autoundolist u = {0};
	struct err none;
	autofd int known = transaction_open_records(t->root_fd, &none);
	int r = 0;

	if (known < 0)
		r = file_make_folder_in_root(t->root_fd, PLUGIN_RECORDS, e);
	autofd int folder_fd = r < 0 ? -1 : transaction_open_records(t->root_fd, e);
	if (folder_fd < 0)
		return MIN(r, folder_fd);
	r = make_undo(t, &u, folder_fd, e);
	if (r < 0) {
		(void)!transaction_remove_in(folder_fd, UNDO_NEW, NULL);
		if (known < 0)
			transaction_drop_folder(t->root_fd);
	}
	return r;
}
