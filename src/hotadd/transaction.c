/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/xalloc.h"

const struct change *transaction_find_change(const struct changes *c, const char *path)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t at = low + (high - low) / 2;
		int order = tree_path_compare(c->items[at].en->path, path);

		if (order == 0)
			return &c->items[at];
		if (order < 0)
			low = at + 1;
		else
			high = at;
	}
	return NULL;
}

/*
 * A second name takes room, too, when the file is still one of the base: the kernel copies it to the layer
 * first (Linux, overlayfs.rst).
 */
struct transaction_room transaction_room(const struct stage *s, const struct delta *d, bool of_base)
{
	struct transaction_room room = {0};

	for (size_t i = 0; i < d->changes.count; i++) {
		const struct change *c = &d->changes.items[i];
		const struct tree_entry *was = tree_find(d->before, c->en->path);
		bool var = s->var_upper_fd >= 0 && str_starts(c->en->path, "var/");

		room.root_bytes += 4096 + (was && (var || of_base) ? was->size_bytes : 0);
		if (c->kind != CHANGE_REMOVED)
			*(var ? &room.var_bytes : &room.root_bytes) += 4096 + c->en->size_bytes;
	}
	return room;
}

static void step(const struct transaction *t)
{
	if (t->step)
		t->step(t->ctx);
}

static bool changes_type(const struct delta *d, const struct change *c)
{
	const struct tree_entry *was = tree_find(d->before, c->en->path);

	return c->kind == CHANGE_CHANGED && was && S_ISDIR(was->mode) != S_ISDIR(c->en->mode);
}

static int remove_one(const struct transaction *t, const struct change *c, struct err *e)
{
	const struct tree_entry *was = tree_find(t->delta->before, c->en->path);
	struct copy_place at;
	int r = copy_place_open(t->root_fd, c->en->path, &at, e);

	if (r < 0)
		return r;
	step(t);
	if (unlinkat(at.fd, at.name, S_ISDIR(was->mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
		r = err_errno(e, "removing '/%s'", c->en->path);
	close(at.fd);
	return r;
}

/* A further name of a file that is in its place already; its own name in the stage otherwise. */
static int link_or_copy(const struct transaction *t, const struct tree_entry *en,
	const struct copy_place *to, struct err *e)
{
	const struct tree *after = t->delta->after;
	const char *first = after->entries[en->link_of].path;
	struct copy_place from;
	int r;

	if (!str_eq(first, en->path) && transaction_find_change(&t->delta->changes, first)) {
		r = copy_place_open(t->root_fd, first, &from, e);
		if (r < 0)
			return r;
		if (linkat(from.fd, from.name, to->fd, to->name, 0) < 0)
			r = err_errno(e, "creating");
	} else {
		r = delta_place(t->stage, en->path, &from, e);
		if (r < 0)
			return r;
		r = copy_object(&from, to, e);
	}
	close(from.fd);
	return r;
}

static int put_file(const struct transaction *t, const struct tree_entry *en,
	const struct copy_place *at, struct err *e)
{
	const struct copy_place temporary = {.fd = at->fd, .name = TEMPORARY};
	int r = link_or_copy(t, en, &temporary, e);

	step(t);
	if (r == 0 && renameat(at->fd, TEMPORARY, at->fd, at->name) < 0)
		r = err_errno(e, "renaming");
	return r;
}

static int put_folder(const struct transaction *t, const struct tree_entry *en,
	const struct copy_place *at, struct err *e)
{
	struct copy_place from;

	if (mkdirat(at->fd, at->name, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "creating");
	int r = delta_place(t->stage, en->path, &from, e);
	if (r < 0)
		return r;
	step(t);
	r = copy_attributes(&from, at, e);
	close(from.fd);
	return r;
}

static int put_one(const struct transaction *t, const struct change *c, struct err *e)
{
	struct copy_place at;
	int r = copy_place_open(t->root_fd, c->en->path, &at, e);

	if (r < 0)
		return r;
	step(t);
	r = S_ISDIR(c->en->mode) ? put_folder(t, c->en, &at, e) : put_file(t, c->en, &at, e);
	close(at.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", c->en->path) : 0;
}

int transaction_apply(const struct transaction *t, struct err *e)
{
	const struct changes *c = &t->delta->changes;
	int r = 0;

	for (size_t i = c->count; r == 0 && i-- > 0;)
		if (c->items[i].kind == CHANGE_REMOVED || changes_type(t->delta, &c->items[i]))
			r = remove_one(t, &c->items[i], e);
	for (size_t i = 0; r == 0 && i < c->count; i++)
		if (c->items[i].kind != CHANGE_REMOVED)
			r = put_one(t, &c->items[i], e);
	step(t);
	return r;
}

int transaction_commit(const struct transaction *t, bool keep, struct err *e)
{
	autofree char *kept = xasprintf("%s" TRANSACTION_KEPT, t->plugin);
	autofd int folder_fd = transaction_open_records(t->root_fd, e);

	if (folder_fd < 0)
		return folder_fd;
	step(t);
	int r = transaction_sync_changes(t->root_fd, folder_fd, &t->delta->changes, e);
	if (r == 0)
		r = transaction_end(folder_fd, keep ? kept : UNDO_DONE, e);
	step(t);
	return r;
}
