/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"
#include "hotadd/lines.h"
#include "plugin/policy.h"
#include "plugin/record.h"

#define UNDO           ".undo"
#define UNDO_NEW       ".undo.new"
#define UNDO_DONE      ".undo.done"
#define UNDO_BAD       ".undo.bad"
#define LIST           "list.json"
#define LIST_MAX_BYTES (256 * MIB)
#define LIST_FORMAT    1
#define TEXT_MAX_BYTES (64 * MIB)
#define TEMPORARY      ".bedplate-plugin.new"
#define MARK_FOLDER    "4" /* how copy_mark() of one begins: S_IFDIR is 040000 */

void undo_list_fini(struct undo_list *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->items[i].path);
		free(u->items[i].copy);
		free(u->items[i].after);
		free(u->items[i].made);
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

/* The file systems that were written to: /var may be a volume of its own, and others. */
struct synced {
	dev_t *devs;
	size_t count;
};

static int sync_fd(struct synced *s, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "writing to disk");
	for (size_t i = 0; i < s->count; i++)
		if (s->devs[i] == st.st_dev)
			return 0;
	s->devs = xrealloc(s->devs, (s->count + 1) * sizeof(*s->devs));
	s->devs[s->count++] = st.st_dev;
	/* Folders on the way are opened O_PATH, which is not good for this. */
	autofd int real = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return real < 0 || syncfs(real) < 0 ? err_errno(e, "writing to disk") : 0;
}

static int sync_path(struct synced *s, int root_fd, const char *path, struct err *e)
{
	struct copy_place at;

	if (copy_place_open(root_fd, path, &at, NULL) < 0)
		return 0;
	int r = sync_fd(s, at.fd, e);
	close(at.fd);
	return r;
}

static int sync_list(int root_fd, int folder_fd, const struct undo_list *u, struct err *e)
{
	struct synced s = {0};
	int r = sync_fd(&s, folder_fd, e);

	for (size_t i = 0; r == 0 && i < u->count; i++)
		r = sync_path(&s, root_fd, u->items[i].path, e);
	free(s.devs);
	return r;
}

static int sync_changes(int root_fd, int folder_fd, const struct changes *c, struct err *e)
{
	struct synced s = {0};
	int r = sync_fd(&s, folder_fd, e);

	for (size_t i = 0; r == 0 && i < c->count; i++)
		r = sync_path(&s, root_fd, c->items[i].en->path, e);
	free(s.devs);
	return r;
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

/* Of the folder: files of an overlay may have another st_dev than it has. */
static int find_where(
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
	r = find_where(t->root_fd, &from, item, e);
	if (r == 0)
		r = link_to(&from, folder_fd, item->copy, e);
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
	struct undo_item *item = add_item(u, path);
	struct copy_place at;

	take_place(t, item);
	if (copy_place_open(t->root_fd, path, &at, NULL) < 0)
		return 0;
	int r = find_where(t->root_fd, &at, item, e);
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

		if (!find_change(&t->delta->changes, path) && !tree_find(t->delta->before, path))
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

static const char *const place_words[] = {[UNDO_OWN] = "own", [UNDO_WAY] = "way"};
static const char *const where_words[] = {[UNDO_ROOT] = "root", [UNDO_VOLUME] = "volume"};

/* The name as it is: a text with other characters in it would be another file. */
static void set_path(json_t *o, const char *path)
{
	size_t len = strlen(path);
	json_t *text = json_string(path);

	if (text) {
		json_object_set_new(o, "path", text);
		return;
	}
	autofree char *hex = xcalloc(len + 1, 2);
	hex_format((const uint8_t *)path, len, hex);
	json_object_set_new(o, "path_hex", json_string(hex));
}

static json_t *item_json(const struct undo_item *x)
{
	json_t *o = json_object();

	set_path(o, x->path);
	json_object_set_new(o, "copy", json_text(x->copy));
	json_object_set_new(o, "after", json_text(x->after));
	json_object_set_new(o, "made", json_text(x->made));
	json_object_set_new(o, "place", json_text(place_words[x->place]));
	json_object_set_new(o, "where", json_text(where_words[x->where]));
	return o;
}

static int save_list(int folder_fd, const struct undo_list *u, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/" LIST, folder_fd);
	json_t *items = json_array();

	for (size_t i = 0; i < u->count; i++)
		json_array_append_new(items, item_json(&u->items[i]));
	json_t *o = json_pack("{s:i,s:s,s:s,s:o,s:o,s:o}", "format", LIST_FORMAT, "operation",
		u->operation, "plugin", u->plugin, "services", json_texts(&u->services), "packages",
		json_texts(&u->packages), "items", items);
	if (!o)
		return err_set(e, EINVAL, "a name is not UTF-8");
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

/* Or as before. */
static int rename_synced(int folder_fd, const char *from, const char *to, struct err *e)
{
	if (renameat(folder_fd, from, folder_fd, to) < 0)
		return err_errno(e, "'" PLUGIN_RECORDS "/%s'", from);
	if (fsync(folder_fd) == 0)
		return 0;
	int r = err_errno(e, "'" PLUGIN_RECORDS "'");
	(void)!renameat(folder_fd, to, folder_fd, from);
	return r;
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
		r = sync_list(t->root_fd, folder_fd, u, e);
	/* From here on there is something to take back. */
	return r == 0 ? rename_synced(folder_fd, UNDO_NEW, UNDO, e) : r;
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

	if (known < 0)
		r = file_make_folder_in_root(t->root_fd, PLUGIN_RECORDS, e);
	autofd int folder_fd = r < 0 ? -1 : open_records(t->root_fd, e);
	if (folder_fd < 0)
		return MIN(r, folder_fd);
	r = make_undo(t, &u, folder_fd, e);
	if (r < 0) {
		(void)!remove_in(folder_fd, UNDO_NEW, NULL);
		if (known < 0)
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
static int end(int folder_fd, const char *name, struct err *e)
{
	int r = remove_in(folder_fd, name, e);

	return r == 0 ? rename_synced(folder_fd, UNDO, name, e) : r;
}

int transaction_commit(const struct transaction *t, bool keep, struct err *e)
{
	autofree char *kept = xasprintf("%s" TRANSACTION_KEPT, t->plugin);
	autofd int folder_fd = open_records(t->root_fd, e);

	if (folder_fd < 0)
		return folder_fd;
	step(t);
	int r = sync_changes(t->root_fd, folder_fd, &t->delta->changes, e);
	if (r == 0)
		r = end(folder_fd, keep ? kept : UNDO_DONE, e);
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

static char *take_path(const json_t *o)
{
	const char *path = json_string_value(json_object_get(o, "path"));
	const char *hex = json_string_value(json_object_get(o, "path_hex"));
	size_t len = hex ? strlen(hex) / 2 : 0;

	if (path || !hex)
		return xstrdup_or_null(path);
	autofree char *name = xcalloc(len + 1, 1);
	return hex_parse(hex, (uint8_t *)name, len, NULL) < 0 || strlen(name) != len
		? NULL
		: take_ptr(name);
}

static unsigned take_word(const json_t *o, const char *key, const char *const *words, unsigned max)
{
	const char *s = json_string_value(json_object_get(o, key));

	for (unsigned i = 1; s && i <= max; i++)
		if (str_eq(s, words[i]))
			return i;
	return 0;
}

static int take_items(const json_t *a, struct undo_list *u, struct err *e)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);
		autofree char *path = take_path(o);
		const char *copy = json_string_value(json_object_get(o, "copy"));
		const char *after = json_string_value(json_object_get(o, "after"));

		if (!path || !is_inside(path) || (copy && strchr(copy, '/')) ||
			(after && strchr(after, '/')))
			return err_set(e, EBADMSG, "item %zu is damaged", i);
		struct undo_item *item = add_item(u, path);
		item->copy = xstrdup_or_null(copy);
		item->after = xstrdup_or_null(after);
		item->made = xstrdup_or_null(json_string_value(json_object_get(o, "made")));
		item->place = take_word(o, "place", place_words, UNDO_WAY);
		item->where = take_word(o, "where", where_words, UNDO_VOLUME);
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

int transaction_set_aside(int root_fd, struct err *e)
{
	autofd int folder_fd = open_records(root_fd, e);
	int r = folder_fd < 0 ? folder_fd : remove_in(folder_fd, UNDO_BAD, e);

	return r == 0 ? rename_synced(folder_fd, UNDO, UNDO_BAD, e) : r;
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

/* Or what is under a volume would be taken for what is in it. */
static int check_volume(const struct back *b, size_t i, struct err *e)
{
	struct undo_item *item = &b->u->items[i], now = {0};
	struct copy_place at;
	int r = item->where == UNDO_NOT_NOTED ? 0 : open_item(b->root_fd, item, &at, e);

	if (r <= 0)
		return r;
	r = find_where(b->root_fd, &at, &now, e);
	close(at.fd);
	if (r == 0 && now.where != item->where)
		r = err_set(e, EXDEV, "%s",
			item->where == UNDO_VOLUME ? "the volume that it was on is not mounted"
						   : "something is mounted there");
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

	if (!item->made || is_own(b->u, item))
		return 0;
	int r = open_item(b->root_fd, item, &at, e);
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

/* What was not there, and what has become something else. */
static int clear_item(const struct back *b, size_t i, struct err *e)
{
	const struct undo_item *item = &b->u->items[i];
	const struct copy_place copy = {.fd = b->undo_fd, .name = item->copy};
	unsigned want = 0, got = 0;
	struct copy_place at;
	int r = b->left[i] ? 0 : open_item(b->root_fd, item, &at, e);

	if (r <= 0)
		return r;
	r = item->copy ? type_of(&copy, &want, e) : 0;
	if (r == 0 && item->copy && want == 0)
		r = err_set(e, EBADMSG, "the copy of it is gone");
	if (r == 0)
		r = type_of(&at, &got, e);
	unlinkat(at.fd, TEMPORARY, 0);
	if (r == 0 && got == S_IFDIR && item->place == UNDO_WAY) {
		if (unlinkat(at.fd, at.name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
			errno != EEXIST && errno != EBUSY)
			r = err_errno(e, "removing");
	} else if (r == 0 && got != 0 && got != want) {
		autofree char *path = copy_place_path(&at);

		r = file_remove_tree(path, e);
	}
	close(at.fd);
	return r;
}

/* Once, or what others have twice would go twice. */
static int merge_text(const struct back *b, const struct undo_item *item,
	const struct copy_place *at, const struct copy_place *out, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", b->undo_fd, out->name);
	autofree char *now = NULL, *before = NULL, *after = NULL;
	unsigned type;
	int r = type_of(out, &type, e);

	if (r < 0 || type != 0)
		return r;
	r = file_read_in_root(b->undo_fd, item->copy, TEXT_MAX_BYTES, &before, e);
	if (r == 0)
		r = file_read_in_root(b->undo_fd, item->after, TEXT_MAX_BYTES, &after, e);
	if (r == 0)
		r = file_read_in_root(at->fd, at->name, TEXT_MAX_BYTES, &now, e);
	if (r < 0)
		return r;
	autofree char *text = lines_take_back(item->path, now, before, after);
	r = file_replace(path, text, strlen(text), 0600, e);
	return r == 0 ? copy_attributes(at, out, e) : r;
}

static int put_back(const struct copy_place *copy, const struct copy_place *at, struct err *e)
{
	int r = link_to(copy, at->fd, TEMPORARY, e);

	if (r == 0 && renameat(at->fd, TEMPORARY, at->fd, at->name) < 0)
		r = err_errno(e, "renaming");
	/* Both stay when they are names of one file, as rename(2) says. */
	unlinkat(at->fd, TEMPORARY, 0);
	return r;
}

static int restore_text(const struct back *b, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	autofree char *name = xasprintf("%s-merged", item->copy);
	const struct copy_place merged = {.fd = b->undo_fd, .name = name};
	int r = merge_text(b, item, at, &merged, e);

	return r == 0 ? put_back(&merged, at, e) : r;
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
	int r = b->spec->late ? open_item(b->root_fd, item, &at, e)
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
	r = open_item(b->root_fd, item, &at, e);
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

	if (r == 0 && b->spec->late) {
		r = for_all(b, find_left, false, e);
		leave_database(b);
		say_left(b);
	}
	if (r == 0)
		r = for_all(b, clear_item, true, e);
	if (r == 0)
		r = for_all(b, restore_item, false, e);
	return r == 0 ? for_all(b, finish_folder, true, e) : r;
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
	/* One without a list was never begun, whoever made it. */
	if (r == 0 && faccessat(folder_fd, UNDO "/" LIST, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT)
		r = remove_in(folder_fd, UNDO, e);
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

int transaction_undo(
	int root_fd, const struct undo_list *u, const struct undo_spec *spec, struct err *e)
{
	autofd int folder_fd = open_records(root_fd, e);

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
		r = sync_list(root_fd, folder_fd, u, e);
	if (r == 0)
		r = end(folder_fd, UNDO_DONE, e);
	back_step(&b);
	if (r == 0)
		r = take_away(root_fd, folder_fd, u, e);
	return r;
}
