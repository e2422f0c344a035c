/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "plugin/candidate.h"
#include "upgrade/carry-image.h"
#include "upgrade/carry.h"

/* The new layer has what it unpacks to, and that once more while it is tried on a copy. */
#define COPIES      2
#define OTHER_BYTES (4 * MIB) /* dpkg's database, and what is made anew of all that there is */

/* The layer that is worked from, to look at. */
struct looking {
	const struct site *site;
	struct place place;
	char *activated; /* volume to deactivate, or NULL */
	int fd;          /* of a tree with its records */
	struct added_plugins plugins;
};

static void looking_fini(struct looking *l)
{
	struct err e = {0};

	added_plugins_fini(&l->plugins);
	if (l->fd >= 0)
		close(l->fd);
	place_fini(&l->place);
	if (l->activated && lvm_run(&e, "lvchange", "--activate=n", l->activated, NULL) < 0)
		log_debug("%s", e.msg);
	free(l->activated);
}

static int open_at_rest(struct looking *l, struct err *e)
{
	const struct site *s = l->site;
	const struct lvm_lv *lv = lvm_find(&s->lvm, LVM_TAG_LAYER, s->layer);
	autofree char *device = xasprintf("/dev/%s/%s", s->vg->name, s->layer);
	autofree char *name = xasprintf("%s/%s", s->vg->name, s->layer);

	if (!lv)
		return err_set(e, ENOENT, "there is no volume '%s'", name);
	if (!lv->active) {
		int r = lvm_run(
			e, "lvchange", "--activate=y", "--ignoreactivationskip", name, NULL);
		if (r < 0)
			return r;
		l->activated = take_ptr(name);
	}
	int r = place_open(device, "plugins", false, &l->place, e);
	if (r < 0)
		return r;
	l->fd = file_open_beneath(l->place.fd, "upper", O_RDONLY | O_DIRECTORY, e);
	return MIN(l->fd, 0);
}

static int look(struct looking *l, struct err *e)
{
	int r = 0;

	if (l->site->running)
		l->fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else
		r = open_at_rest(l, e);
	if (r == 0 && l->fd < 0)
		r = err_errno(e, "'/'");
	return r == 0 ? added_plugins_read(l->fd, &l->plugins, e) : r;
}

void carry_plan_fini(struct carry_plan *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->items[i].name);
		free(c->items[i].version);
		free(c->items[i].why);
		strv_fini(&c->items[i].packages);
	}
	free(c->items);
	*c = (struct carry_plan){0};
}

/* What plugins are judged by. */
struct judge {
	const struct manifest *manifest; /* or */
	const struct carry_image *image;
	struct tree *tree;
	const struct strv *drop;
};

static bool is_in_image(const struct judge *j, const char *name)
{
	autofree char *record = xasprintf(PLUGIN_RECORDS "/%s.json", name);

	return j->manifest ? manifest_find_part(&j->manifest->plugins, name) != NULL
			   : image_resolve(j->tree, record) != NULL;
}

static int fits(const struct judge *j, const struct added_plugin *p, struct err *e)
{
	if (p->file_fd < 0)
		return err_set(e, ENOENT, "its file is not kept on this node");
	if (j->manifest)
		return plugin_fits_manifest(&p->record->manifest, j->manifest, e);
	return added_plugin_check(p, &j->image->image, j->tree, e);
}

static int judge_one(
	const struct judge *j, const struct added_plugin *p, struct carry_item *out, struct err *e)
{
	const struct plugin_manifest *m = &p->record->manifest;
	struct err why = {0};

	*out = (struct carry_item){.name = xstrdup(m->name), .version = xstrdup(m->version)};
	strv_add_all(&out->packages, &p->kept.packages);
	out->bytes = COPIES * added_plugin_bytes(p) + OTHER_BYTES;
	if (strv_has(j->drop, m->name)) {
		out->action = CARRY_DROPPED;
	} else if (is_in_image(j, m->name)) {
		out->action = CARRY_IN_IMAGE;
	} else if (fits(j, p, &why) < 0) {
		if (why.code == EINTR)
			return err_set(e, EINTR, "%s", why.msg);
		out->action = CARRY_UNFIT;
		out->why = str_printable(why.msg);
	}
	return 0;
}

static int judge_all(
	const struct site *s, const struct judge *j, struct carry_plan *out, struct err *e)
{
	auto_with(looking_fini) struct looking l = {.site = s, .place = PLACE_NONE, .fd = -1};
	autocarryplan c = {0};
	int r = look(&l, e);

	if (r < 0)
		return err_wrap(e, r, "plugins of layer '%s'", s->layer);
	c.items = xcalloc(l.plugins.count + 1, sizeof(*c.items));
	while (r == 0 && c.count < l.plugins.count) {
		r = judge_one(j, &l.plugins.items[c.count], &c.items[c.count], e);
		c.count++;
	}
	if (r < 0)
		return r;
	*out = c;
	c = (struct carry_plan){0};
	return 0;
}

int carry_plan_make(const struct site *s, const struct manifest *image, const struct strv *drop,
	struct carry_plan *out, struct err *e)
{
	const struct judge j = {.manifest = image, .drop = drop};

	return judge_all(s, &j, out, e);
}

int carry_plan_check(const struct site *s, struct tree *new_base, const struct strv *drop,
	struct carry_plan *out, struct err *e)
{
	autocarryimage image = {0};
	int r = carry_image_read(new_base, &image, e);
	const struct judge j = {.image = &image, .tree = new_base, .drop = drop};

	return r == 0 ? judge_all(s, &j, out, e) : r;
}

static const struct carry_item *find(const struct carry_plan *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (str_eq(c->items[i].name, name))
			return &c->items[i];
	return NULL;
}

void carry_plan_problems(const struct carry_plan *c, const struct strv *drop, struct strv *problems)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct carry_item *it = &c->items[i];

		if (it->action == CARRY_UNFIT)
			strv_take(problems,
				xasprintf(
					"plugin '%s' of this node does not fit the new image: %s: "
					"--drop-plugin=%s leaves it out",
					it->name, it->why, it->name));
	}
	for (size_t i = 0; i < drop->count; i++) {
		autofree char *safe = str_printable(drop->items[i]);

		if (!find(c, drop->items[i]))
			strv_take(problems,
				xasprintf("there is no plugin '%s' that was added on this node",
					safe));
	}
}

int carry_check_room(const struct carry_item *it, uint64_t room_bytes, struct err *e)
{
	autofree char *needed = str_bytes(it->bytes);
	autofree char *has = str_bytes(room_bytes);

	if (it->bytes <= room_bytes)
		return 0;
	return err_set(
		e, ENOSPC, "the thin pool has no room: up to %s needed, %s free", needed, has);
}

bool carry_plan_has_package(const struct carry_plan *c, const char *package)
{
	autofree char *name = xstrndup(package, strcspn(package, " "));

	for (size_t i = 0; i < c->count; i++)
		if (strv_has(&c->items[i].packages, name))
			return true;
	return false;
}

uint64_t carry_plan_bytes(const struct carry_plan *c)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < c->count; i++)
		bytes += c->items[i].action == CARRY_OVER ? c->items[i].bytes : 0;
	return bytes;
}
