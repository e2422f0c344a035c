/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "upgrade/base-make.h"
#include "upgrade/carry-image.h"
#include "upgrade/site.h"

#define FACTORY_VAR "usr/share/factory/var"
#define SCRATCH     ".plugins" /* on the new layer, until it is done */
#define OPTIONS     "metacopy=off,index=off,redirect_dir=off,xino=off"

/*
 * The new layer over its base, as the root that it will be.  /var is the image's own, with a copy to write
 * to: the node's has what the plugin keeps there, and the old layer still uses it.
 */
struct new_root {
	struct place base;
	char *path, *scratch;
	struct strv mounts;
	int fd;
};

static int mount_at(struct new_root *n, const char *path, const char *type, const char *source,
	unsigned long flags, const char *options, struct err *e)
{
	if (mount(source, path, type, flags, options) < 0)
		return err_errno(e, "mounting '%s'", path);
	strv_add(&n->mounts, path);
	return 0;
}

static int make_folder(const char *parent, const char *name, char **out, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", parent, name);
	int r = file_make_folder(path, 0755, e);

	if (r == 0)
		*out = take_ptr(path);
	return r;
}

/* 1: it is a folder, and no link to one. */
static int has_folder(int root_fd, const char *path, struct err *e)
{
	struct err own = {0};
	autofd int fd = file_open_beneath(root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, &own);

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	return fd < 0 ? err_set(e, own.code, "%s", own.msg) : 1;
}

static int cover_var(struct new_root *n, struct err *e)
{
	autofree char *target = xasprintf("%s/var", n->path);
	autofree char *upper = NULL, *work = NULL;
	int there = has_folder(n->base.fd, "var", e);
	int factory = there > 0 ? has_folder(n->base.fd, FACTORY_VAR, e) : 0;

	if (there <= 0 || factory < 0)
		return MIN(there, factory);
	int r = make_folder(n->scratch, "var", &upper, e);
	if (r == 0)
		r = make_folder(n->scratch, "var-work", &work, e);
	if (r < 0)
		return r;
	autofree char *options = xasprintf("lowerdir=%s/%s,upperdir=%s,workdir=%s," OPTIONS
					   ",volatile",
		n->base.path, factory ? FACTORY_VAR : "var", upper, work);
	return mount_at(n, target, "overlay", "bedplate-plugin", 0, options, e);
}

/* Where a copy to try a plugin in lies on a node that runs: stage.h. */
static int show_layer(struct new_root *n, const struct place *layer, struct err *e)
{
	autofree char *run = xasprintf("%s/run", n->path);
	autofree char *target = NULL;
	int r = has_folder(n->base.fd, "run", e);

	if (r <= 0)
		return r < 0 ? r : err_set(e, EBADMSG, "the image has no folder '/run'");
	r = mount_at(n, run, "tmpfs", "bedplate-plugin", MS_NOSUID | MS_NODEV, "mode=0755", e);
	if (r == 0)
		r = make_folder(run, "bedplate/layer", &target, e);
	return r == 0 ? mount_at(n, target, NULL, layer->path, MS_BIND, NULL, e) : r;
}

static int new_root_open(
	const struct base_view *base, const struct place *layer, struct new_root *n, struct err *e)
{
	int r = place_open(base->device, "base", false, &n->base, e);

	if (r < 0)
		return r;
	r = make_folder(layer->path, SCRATCH, &n->scratch, e);
	if (r == 0)
		r = make_folder(SITE_FOLDER, "root", &n->path, e);
	if (r < 0)
		return r;
	autofree char *options = xasprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work," OPTIONS,
		n->base.path, layer->path, layer->path);
	r = mount_at(n, n->path, "overlay", "bedplate-plugin", 0, options, e);
	if (r == 0)
		r = cover_var(n, e);
	if (r == 0)
		r = show_layer(n, layer, e);
	if (r < 0)
		return r;
	n->fd = open(n->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return n->fd < 0 ? err_errno(e, "'%s'", n->path) : 0;
}

static void new_root_fini(struct new_root *n)
{
	struct err e = {0};

	if (n->fd >= 0)
		close(n->fd);
	for (size_t i = n->mounts.count; i-- > 0;)
		place_unmount(n->mounts.items[i]);
	strv_fini(&n->mounts);
	place_fini(&n->base);
	if (n->scratch && file_remove_tree(n->scratch, &e) < 0)
		log_warning("%s", e.msg);
	free(n->scratch);
	free(n->path);
}

/* NULL: it does not go over. */
static const struct carry_item *find_wanted(const struct carry_plan *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (str_eq(c->items[i].name, name))
			return c->items[i].action == CARRY_OVER ? &c->items[i] : NULL;
	return NULL;
}

/* A full pool fails what the running layer writes, too. */
static int look_for_room(const struct carry_job *j, const struct carry_item *it, struct err *e)
{
	uint64_t room_bytes;

	/* What is not written back yet has no place in the pool. */
	if (syncfs(j->layer->fd) < 0)
		return err_errno(e, "writing to the new layer");
	int r = base_look(j->site->vg->name, j->site->pool->name, &room_bytes, e);
	return r < 0 ? r : carry_check_room(it, room_bytes, e);
}

static int put_all_in(
	const struct carry_job *j, const struct added_place *at, struct progress *p, struct err *e)
{
	for (size_t i = 0; i < j->old->count; i++) {
		const char *name = j->old->items[i].record->manifest.name;
		const struct carry_item *it = find_wanted(j->plan, name);

		if (!it)
			continue;
		int r = look_for_room(j, it, e);
		if (r == 0)
			r = added_plugin_put_in(&j->old->items[i], at, p, e);
		if (r < 0) {
			struct err why = *e;

			return err_set(e, why.code,
				"plugin '%s' does not go into the new layer: %s: --drop-plugin=%s "
				"leaves it out",
				name, why.msg, name);
		}
	}
	return 0;
}

int carry_into(const struct carry_job *j, struct progress *p, struct err *e)
{
	auto_with(new_root_fini) struct new_root n = {.base = PLACE_NONE, .fd = -1};
	autocarryimage image = {0};
	bool wanted = false;

	for (size_t i = 0; i < j->old->count; i++)
		wanted = wanted || find_wanted(j->plan, j->old->items[i].record->manifest.name);
	if (!wanted)
		return 0;
	int r = carry_image_read(image_tree(j->base->img), &image, e);
	if (r == 0)
		r = new_root_open(j->base, j->layer, &n, e);
	if (r < 0)
		return err_wrap(e, r, "a root to put plugins into");
	autofree char *aside = xasprintf("%s/aside", n.scratch);
	const struct hotadd_site site = {.root = n.path, .root_fd = n.fd};
	const struct added_place at = {.site = &site, .image = &image.image, .scratch = aside};
	return put_all_in(j, &at, p, e);
}
