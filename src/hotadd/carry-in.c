/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "hotadd/carry.h"
#include "hotadd/copy.h"
#include "plugin/policy.h"

struct putting {
	const struct added_plugin *p;
	int root_fd, aside_fd;
};

/*
 * Users have their numbers already, so the plugin makes none.  It is given a root that does not have
 * their lines, and a copy that has: they count as its own, and go with it when it is removed.
 */
static int hide_lines(const struct added_plugin *p, const struct undo_item *item, int root_fd,
	struct hotadd_texts *texts, struct err *e)
{
	autoundotext text = {0};
	int r = undo_text_read(p->kept_fd, item, root_fd, item->path, &text, e);

	if (r < 0 || str_eq(text.without, text.now))
		return r;
	r = hotadd_text_write(root_fd, item->path, text.without, e);
	if (r < 0)
		return r;
	strv_add(&texts->paths, item->path);
	strv_take(&texts->texts, take_ptr(text.now));
	return 0;
}

static int hide_accounts(
	const struct added_plugin *p, int root_fd, struct hotadd_texts *texts, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->kept.count; i++) {
		const struct undo_item *item = &p->kept.items[i];

		if (!item->copy || !item->after || !plugin_path_is_of_accounts(item->path))
			continue;
		r = hide_lines(p, item, root_fd, texts, e);
		if (r < 0)
			r = err_wrap(e, r, "'/%s'", item->path);
	}
	return r;
}

/* 1: it was there. */
static int remove_in(int root_fd, const char *path, struct err *e)
{
	struct copy_place at;
	int r = copy_place_find(root_fd, path, &at, NULL);

	if (r <= 0)
		return r < 0 ? err_set(e, -r, "'/%s' cannot be reached", path) : 0;
	if (unlinkat(at.fd, at.name, 0) < 0)
		r = errno == ENOENT ? 0 : err_errno(e, "'/%s'", path);
	close(at.fd);
	return r;
}

static bool was_there(const struct added_plugin *p, const char *path)
{
	for (size_t i = 0; i < p->kept.count; i++)
		if (p->kept.items[i].copy && str_eq(p->kept.items[i].path, path))
			return true;
	return false;
}

/* 1: it was there, and has another name in the folder. */
static int save_one(int root_fd, const char *path, const struct copy_place *to, struct err *e)
{
	struct copy_place from;
	struct stat st;
	int r = copy_place_find(root_fd, path, &from, NULL);

	if (r <= 0)
		return r < 0 ? err_set(e, -r, "'/%s' cannot be reached", path) : 0;
	if (fstatat(from.fd, from.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? 0 : err_errno(e, "looking");
	else if (S_ISDIR(st.st_mode))
		r = 0;
	else if (copy_object(&from, to, e) < 0)
		r = -e->code;
	close(from.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", path) : r;
}

/*
 * What the administrator made of it was merged already, as far as it is carried over.  It stands aside
 * until the plugin is there.
 */
static int set_aside(const struct putting *t, struct strv *aside, struct err *e)
{
	const struct strv *changed = &t->p->changed;

	for (size_t i = 0; i < changed->count; i++) {
		autofree char *name = xasprintf("%zu", aside->count);
		const struct copy_place to = {.fd = t->aside_fd, .name = name};
		int r = save_one(t->root_fd, changed->items[i], &to, e);

		if (r > 0) {
			strv_add(aside, changed->items[i]);
			if (!was_there(t->p, changed->items[i]))
				r = remove_in(t->root_fd, changed->items[i], e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_back(const struct putting *t, const struct strv *aside, size_t i, struct err *e)
{
	autofree char *name = xasprintf("%zu", i);
	const struct copy_place from = {.fd = t->aside_fd, .name = name};
	struct copy_place to;
	int r = remove_in(t->root_fd, aside->items[i], e);

	if (r >= 0)
		r = copy_place_open(t->root_fd, aside->items[i], &to, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", aside->items[i]);
	r = copy_object(&from, &to, e);
	close(to.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", aside->items[i]) : 0;
}

static int put_all_back(const struct putting *t, const struct strv *aside, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < aside->count; i++)
		r = put_back(t, aside, i, e);
	for (size_t i = 0; r >= 0 && i < t->p->gone.count; i++)
		r = remove_in(t->root_fd, t->p->gone.items[i], e);
	return MIN(r, 0);
}

static int open_aside(const char *folder, int *fd, struct err *e)
{
	int r = file_remove_tree(folder, e);

	if (r == 0)
		r = file_make_folder(folder, 0700, e);
	if (r < 0)
		return r;
	*fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? err_errno(e, "'%s'", folder) : 0;
}

int added_plugin_put_in(const struct added_plugin *p, const struct added_place *place,
	struct progress *progress, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d", p->file_fd);
	auto_with(hotadd_texts_fini) struct hotadd_texts texts = {0};
	int root_fd = place->site->root_fd;
	autohotaddplan plan = {0};
	autostrv aside = {0};
	autofd int aside_fd = -1;

	if (p->file_fd < 0)
		return err_set(e, ENOENT, "its file is not kept on this node");
	int r = open_aside(place->scratch, &aside_fd, e);
	const struct putting t = {.p = p, .root_fd = root_fd, .aside_fd = aside_fd};
	if (r == 0)
		r = set_aside(&t, &aside, e);
	if (r == 0)
		r = hide_accounts(p, root_fd, &texts, e);
	if (r < 0)
		return r;
	const struct hotadd_spec spec = {
		.file = path,
		.demand = {.sha256 = p->record->sha256},
		.texts = &texts,
	};
	r = hotadd_add(place->site, place->image, &spec, &plan, progress, e);
	return r == 0 ? put_all_back(&t, &aside, e) : r;
}
