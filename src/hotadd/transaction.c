/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"
#include "plugin/policy.h"
#include "plugin/record.h"

#define UNDO           ".undo"
#define UNDO_NEW       ".undo.new"
#define UNDO_DONE      ".undo.done"
#define LIST           "list.json"
#define LIST_MAX_BYTES (256 * MIB)
#define LIST_FORMAT    1
#define TEMPORARY      ".bedplate-plugin.new"
#define RULES          "etc/nftables.conf"

void undo_list_fini(struct undo_list *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->items[i].path);
		free(u->items[i].copy);
		free(u->items[i].after);
	}
	free(u->items);
	free(u->operation);
	free(u->plugin);
	strv_fini(&u->services);
	strv_fini(&u->packages);
	*u = (struct undo_list){0};
}

char *transaction_kept_path(const char *plugin)
{
	return xasprintf(PLUGIN_RECORDS "/%s" TRANSACTION_KEPT, plugin);
}

static int open_records(int root_fd, struct err *e)
{
	return file_open_in_root(root_fd, PLUGIN_RECORDS, O_RDONLY | O_DIRECTORY, 0, e);
}

static int remove_in(int folder_fd, const char *name, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", folder_fd, name);

	return file_remove_tree(path, e);
}

/* /var may be a volume of its own. */
static int sync_all(int root_fd, struct err *e)
{
	autofd int folder_fd = open_records(root_fd, e);
	autofd int var_fd = file_open_in_root(root_fd, "/var", O_RDONLY | O_DIRECTORY, 0, NULL);

	if (folder_fd < 0)
		return folder_fd;
	if (syncfs(folder_fd) < 0 || (var_fd >= 0 && syncfs(var_fd) < 0))
		return err_errno(e, "writing to disk");
	return 0;
}

/* ---- what was there ---- */

static const struct change *find_change(const struct changes *c, const char *path)
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

uint64_t transaction_bytes(const struct delta *d)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < d->changes.count; i++) {
		const struct change *c = &d->changes.items[i];
		const struct tree_entry *was = tree_find(d->before, c->en->path);

		bytes += 4096 + (was ? was->size_bytes : 0) +
			(c->kind == CHANGE_REMOVED ? 0 : c->en->size_bytes);
	}
	return bytes;
}

static int copy_to(const struct copy_place *from, int folder_fd, const char *name, struct err *e)
{
	const struct copy_place to = {.fd = folder_fd, .name = name};

	return copy_object(from, &to, e);
}

/*
 * What is replaced is never written to, so another name of it is as good as a copy, takes no room, and
 * comes back with all the names that it had.
 */
static int link_to(const struct copy_place *from, int folder_fd, const char *name, struct err *e)
{
	if (linkat(from->fd, from->name, folder_fd, name, 0) == 0)
		return 0;
	return copy_to(from, folder_fd, name, e);
}

static int keep_before(const struct transaction *t, const char *path, int folder_fd,
	const char *name, struct err *e)
{
	struct copy_place from;
	int r = copy_place_open(t->root_fd, path, &from, e);

	if (r < 0)
		return r;
	r = link_to(&from, folder_fd, name, e);
	close(from.fd);
	return r < 0 ? err_wrap(e, r, "copy of '/%s'", path) : 0;
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

static bool is_shared_text(const char *path)
{
	return plugin_path_is_of_accounts(path) || str_eq(path, RULES);
}

static struct undo_item *add_item(struct undo_list *u, const char *path)
{
	u->items = xrealloc(u->items, (u->count + 1) * sizeof(*u->items));
	u->items[u->count] = (struct undo_item){.path = xstrdup(path)};
	return &u->items[u->count++];
}

/* Folders too that are only on the way: their time changes with what is in them. */
static int note_before(
	const struct transaction *t, struct undo_list *u, int folder_fd, struct err *e)
{
	const struct delta *d = t->delta;
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->before->count; i++) {
		const struct tree_entry *en = &d->before->entries[i];
		const struct change *c = find_change(&d->changes, en->path);

		if (!c && !S_ISDIR(en->mode))
			continue;
		struct undo_item *item = add_item(u, en->path);
		item->copy = xasprintf("%zu", u->count);
		r = keep_before(t, en->path, folder_fd, item->copy, e);
		if (r == 0 && c && c->kind == CHANGE_CHANGED && S_ISREG(c->en->mode) &&
			is_shared_text(en->path)) {
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

static int note_added(const struct transaction *t, struct undo_list *u, struct err *e)
{
	const struct changes *c = &t->delta->changes;
	struct copy_place at;

	for (size_t i = 0; i < c->count; i++) {
		const char *path = c->items[i].en->path;

		/* The folder of our own notes is there by now, and looked after apart. */
		if (c->items[i].kind != CHANGE_ADDED || str_eq(path, PLUGIN_RECORDS))
			continue;
		add_item(u, path);
		if (copy_place_open(t->root_fd, path, &at, NULL) < 0)
			continue;
		int there = faccessat(at.fd, at.name, F_OK, AT_SYMLINK_NOFOLLOW);
		close(at.fd);
		if (there == 0)
			return err_set(
				e, ESTALE, "'/%s' came to be there meanwhile: try again", path);
	}
	/* A file of the plugin may be one of these. */
	for (size_t i = 0; i < t->missing.count; i++) {
		const struct change *known = find_change(c, t->missing.items[i]);

		if (!known && !tree_find(t->delta->before, t->missing.items[i]))
			add_item(u, t->missing.items[i]);
	}
	if (u->count > 1)
		qsort(u->items, u->count, sizeof(*u->items), compare_items);
	return 0;
}

static int save_list(int folder_fd, const struct undo_list *u, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/" LIST, folder_fd);
	json_t *items = json_array();
	size_t bad = 0;

	for (size_t i = 0; i < u->count; i++) {
		const struct undo_item *x = &u->items[i];
		json_t *o = json_object();

		/* The name as it is: a text with other characters in it would be another file. */
		bad += json_object_set_new(o, "path", json_string(x->path)) < 0;
		json_object_set_new(o, "copy", json_text(x->copy));
		json_object_set_new(o, "after", json_text(x->after));
		json_array_append_new(items, o);
	}
	json_t *o = json_pack("{s:i,s:s,s:s,s:b,s:o,s:o,s:o}", "format", LIST_FORMAT, "operation",
		u->operation, "plugin", u->plugin, "made_folder", u->made_folder, "services",
		json_texts(&u->services), "packages", json_texts(&u->packages), "items", items);
	if (!o || bad > 0) {
		json_decref(o);
		return err_set(e, EINVAL, "the name of a file is not UTF-8");
	}
	autofree char *text = json_format(o);
	json_decref(o);
	return file_replace(path, text, strlen(text), 0600, e);
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
	return r == 0 ? save_list(fd, u, e) : r;
}

static int make_undo(const struct transaction *t, struct undo_list *u, int folder_fd, struct err *e)
{
	int r = remove_in(folder_fd, UNDO_NEW, e);

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
		r = sync_all(t->root_fd, e);
	if (r < 0)
		return r;
	/* From here on there is something to take back. */
	if (renameat(folder_fd, UNDO_NEW, folder_fd, UNDO) < 0 || fsync(folder_fd) < 0)
		return err_errno(e, "'" PLUGIN_RECORDS "/" UNDO "'");
	return 0;
}

static void drop_folder(int root_fd)
{
	struct copy_place at;

	if (copy_place_open(root_fd, PLUGIN_RECORDS, &at, NULL) < 0)
		return;
	/* Fine when there is something in it. */
	unlinkat(at.fd, at.name, AT_REMOVEDIR);
	close(at.fd);
}

int transaction_begin(const struct transaction *t, struct err *e)
{
	autoundolist u = {0};
	struct err none;
	autofd int known = open_records(t->root_fd, &none);
	int r = 0;

	u.made_folder = known < 0;
	if (u.made_folder)
		r = file_make_folder_in_root(t->root_fd, PLUGIN_RECORDS, e);
	autofd int folder_fd = r < 0 ? -1 : open_records(t->root_fd, e);
	if (folder_fd < 0)
		return MIN(r, folder_fd);
	r = make_undo(t, &u, folder_fd, e);
	if (r < 0) {
		(void)!remove_in(folder_fd, UNDO_NEW, NULL);
		if (u.made_folder)
			drop_folder(t->root_fd);
	}
	return r;
}

/* ---- the change ---- */

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

	if (!str_eq(first, en->path) && find_change(&t->delta->changes, first)) {
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

/* From the rename on it is over. */
static int end(int root_fd, int folder_fd, const char *name, struct err *e)
{
	int r = sync_all(root_fd, e);

	if (r == 0)
		r = remove_in(folder_fd, name, e);
	if (r < 0)
		return r;
	if (renameat(folder_fd, UNDO, folder_fd, name) < 0 || fsync(folder_fd) < 0)
		return err_errno(e, "'" PLUGIN_RECORDS "/" UNDO "'");
	return 0;
}

int transaction_commit(const struct transaction *t, bool keep, struct err *e)
{
	autofree char *kept = xasprintf("%s" TRANSACTION_KEPT, t->plugin);
	autofd int folder_fd = open_records(t->root_fd, e);

	if (folder_fd < 0)
		return folder_fd;
	step(t);
	int r = end(t->root_fd, folder_fd, keep ? kept : UNDO_DONE, e);
	step(t);
	return r;
}

/* ---- and back ---- */

static int take_strings(const json_t *a, struct strv *out, struct err *e)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *s = json_string_value(json_array_get(a, i));

		if (!s)
			return err_set(e, EBADMSG, "a list is damaged");
		strv_add(out, s);
	}
	return 0;
}

/* It is ours and only root can write to it, but a disk may have bitten. */
static bool is_inside(const char *path)
{
	autofree char *copy = xstrdup(path);
	char *rest = copy;

	for (char *name; (name = str_next_word(&rest, "/"));)
		if (str_eq(name, "..") || str_eq(name, "."))
			return false;
	return path[0] != '/';
}

static int take_items(const json_t *a, struct undo_list *u, struct err *e)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);
		const char *path = json_string_value(json_object_get(o, "path"));
		const char *copy = json_string_value(json_object_get(o, "copy"));
		const char *after = json_string_value(json_object_get(o, "after"));

		if (!path || !is_inside(path) || (copy && strchr(copy, '/')) ||
			(after && strchr(after, '/')))
			return err_set(e, EBADMSG, "item %zu is damaged", i);
		struct undo_item *item = add_item(u, path);
		item->copy = xstrdup_or_null(copy);
		item->after = xstrdup_or_null(after);
	}
	return 0;
}

static int parse_list(const char *text, struct undo_list *u, struct err *e)
{
	json_error_t why;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	const char *operation = json_string_value(json_object_get(o, "operation"));
	const char *plugin = json_string_value(json_object_get(o, "plugin"));
	int r;

	if (!operation || !plugin ||
		json_integer_value(json_object_get(o, "format")) != LIST_FORMAT) {
		r = err_set(e, EBADMSG, "not a list of this format");
	} else {
		u->operation = xstrdup(operation);
		u->plugin = xstrdup(plugin);
		u->made_folder = json_is_true(json_object_get(o, "made_folder"));
		r = take_strings(json_object_get(o, "services"), &u->services, e);
		if (r == 0)
			r = take_strings(json_object_get(o, "packages"), &u->packages, e);
		if (r == 0)
			r = take_items(json_object_get(o, "items"), u, e);
	}
	json_decref(o);
	return r;
}

static int read_list(int root_fd, const char *folder, struct undo_list *out, struct err *e)
{
	autofree char *path = xasprintf(PLUGIN_RECORDS "/%s/" LIST, folder);
	autofree char *text = NULL;
	int r = file_read_in_root(root_fd, path, LIST_MAX_BYTES, &text, e);

	if (r < 0)
		return r;
	r = parse_list(text, out, e);
	if (r < 0)
		undo_list_fini(out);
	return r < 0 ? err_wrap(e, r, "'/%s'", path) : 0;
}

int transaction_pending(int root_fd, struct undo_list *out, struct err *e)
{
	struct err own = {0};
	int r = read_list(root_fd, UNDO, out, &own);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 1;
}

int transaction_kept(int root_fd, const char *plugin, struct undo_list *out, int *fd, struct err *e)
{
	autofree char *folder = xasprintf("%s" TRANSACTION_KEPT, plugin);
	autofree char *path = transaction_kept_path(plugin);
	int r = read_list(root_fd, folder, out, e);

	if (r < 0 || !fd)
		return r;
	*fd = file_open_in_root(root_fd, path, O_RDONLY | O_DIRECTORY, 0, e);
	if (*fd < 0)
		undo_list_fini(out);
	return MIN(*fd, 0);
}

static int type_of(const struct copy_place *at, unsigned *type, struct err *e)
{
	struct stat st;

	*type = 0;
	if (fstatat(at->fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "looking");
	*type = st.st_mode & S_IFMT;
	return 0;
}

/* 0: its folder is not there. */
static int open_item(
	int root_fd, const struct undo_item *item, struct copy_place *at, struct err *e)
{
	struct err own = {0};
	int r = copy_place_open(root_fd, item->path, at, &own);

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 1;
}

/* What was not there, and what has become something else. */
static int clear_item(int root_fd, int undo_fd, const struct undo_item *item, struct err *e)
{
	const struct copy_place copy = {.fd = undo_fd, .name = item->copy};
	unsigned want = 0, got = 0;
	struct copy_place at;
	int r = open_item(root_fd, item, &at, e);

	if (r <= 0)
		return r;
	r = item->copy ? type_of(&copy, &want, e) : 0;
	if (r == 0 && item->copy && want == 0)
		r = err_set(e, EBADMSG, "the copy of it is gone");
	if (r == 0)
		r = type_of(&at, &got, e);
	unlinkat(at.fd, TEMPORARY, 0);
	if (r == 0 && got != 0 && got != want) {
		autofree char *path = copy_place_path(&at);

		r = file_remove_tree(path, e);
	}
	close(at.fd);
	return r;
}

static int restore_item(int root_fd, int undo_fd, const struct undo_item *item, struct err *e)
{
	const struct copy_place copy = {.fd = undo_fd, .name = item->copy};
	unsigned type = 0;
	struct copy_place at;

	if (!item->copy || !*item->path)
		return 0;
	int r = copy_place_open(root_fd, item->path, &at, e);
	if (r < 0)
		return r;
	r = type_of(&copy, &type, e);
	if (r == 0 && type == S_IFDIR) {
		if (mkdirat(at.fd, at.name, 0700) < 0 && errno != EEXIST)
			r = err_errno(e, "creating");
	} else if (r == 0) {
		r = link_to(&copy, at.fd, TEMPORARY, e);
		if (r == 0 && renameat(at.fd, TEMPORARY, at.fd, at.name) < 0)
			r = err_errno(e, "renaming");
		/* Both stay when they are names of one file, as rename(2) says. */
		unlinkat(at.fd, TEMPORARY, 0);
	}
	close(at.fd);
	return r;
}

static int finish_folder(int root_fd, int undo_fd, const struct undo_item *item, struct err *e)
{
	const struct copy_place copy = {.fd = undo_fd, .name = item->copy};
	unsigned type = 0;
	struct copy_place at;

	if (!item->copy)
		return 0;
	int r = type_of(&copy, &type, e);
	if (r < 0 || type != S_IFDIR)
		return r;
	r = copy_place_open(root_fd, item->path, &at, e);
	if (r < 0)
		return r;
	r = copy_attributes(&copy, &at, e);
	close(at.fd);
	return r;
}

typedef int item_fn(int root_fd, int undo_fd, const struct undo_item *item, struct err *e);

static int for_item(
	item_fn *fn, int root_fd, int undo_fd, const struct undo_item *item, struct err *e)
{
	int r = fn(root_fd, undo_fd, item, e);

	return r < 0 ? err_wrap(e, r, "taking back '/%s'", item->path) : 0;
}

static int restore_all(int root_fd, int undo_fd, const struct undo_list *u, struct err *e)
{
	int r = 0;

	for (size_t i = u->count; r == 0 && i-- > 0;)
		r = for_item(clear_item, root_fd, undo_fd, &u->items[i], e);
	for (size_t i = 0; r == 0 && i < u->count; i++)
		r = for_item(restore_item, root_fd, undo_fd, &u->items[i], e);
	for (size_t i = u->count; r == 0 && i-- > 0;)
		r = for_item(finish_folder, root_fd, undo_fd, &u->items[i], e);
	return r;
}

int transaction_tidy(int root_fd, struct err *e)
{
	autostrv names = {0};
	struct err none;
	autofd int folder_fd = open_records(root_fd, &none);

	if (folder_fd < 0)
		return 0;
	int r = remove_in(folder_fd, UNDO_NEW, e);
	if (r == 0)
		r = remove_in(folder_fd, UNDO_DONE, e);
	if (r < 0)
		return r;
	autofree char *path = xasprintf("/proc/self/fd/%d/.", folder_fd);
	r = file_list(path, &names, e);
	if (r == 0 && names.count == 0)
		drop_folder(root_fd);
	return r;
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

int transaction_undo(int root_fd, const struct undo_list *u, struct err *e)
{
	autofd int folder_fd = open_records(root_fd, e);

	if (folder_fd < 0)
		return folder_fd;
	autofd int undo_fd = openat(
		folder_fd, UNDO, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (undo_fd < 0)
		return err_errno(e, "'" PLUGIN_RECORDS "/" UNDO "'");
	int r = restore_all(root_fd, undo_fd, u, e);
	if (r == 0)
		r = end(root_fd, folder_fd, UNDO_DONE, e);
	if (r == 0)
		r = take_away(root_fd, folder_fd, u, e);
	return r;
}
