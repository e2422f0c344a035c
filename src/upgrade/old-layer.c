/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/old-layer.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/thin.h"

#define RECORD "usr/lib/bedplate/factory.json"

static int take_out_plugins(struct old_layer *o, struct err *e)
{
	int r = added_plugins_read(o->fd, &o->plugins, e);

	if (r < 0 || o->plugins.count == 0)
		return r;
	r = place_make_writable(&o->place, e);
	return r == 0 ? added_plugins_take_out(&o->plugins, e) : r;
}

static int read_upper(struct old_layer *o, const char *layer, bool with_plugins, struct err *e)
{
	autofree char *device = xasprintf("/dev/%s/%s", o->vg, o->name);
	/* Writable, so that ext4 can replay its journal: the mount itself is not. */
	int r = place_open(device, "old", false, &o->place, e);

	if (r < 0)
		return r;
	o->fd = file_open_beneath(o->place.fd, "upper", O_RDONLY | O_DIRECTORY, e);
	if (o->fd < 0)
		return err_set(e, EBADMSG, "'%s' is no layer: it has no folder 'upper'", layer);
	autofree char *path = xasprintf("%s/upper", o->place.path);
	r = with_plugins ? 0 : take_out_plugins(o, e);
	if (r == 0)
		r = tree_scan(path, &o->upper, e);
	if (r < 0)
		return r;
	/* Our own, and of that layer alone: layer-record.h. */
	tree_drop(o->upper, RECORD);
	if (o->plugins.count > 0)
		tree_drop(o->upper, PLUGIN_RECORDS);
	return 0;
}

static int open_layer(const struct site *s, const char *layer, bool with_plugins,
	struct old_layer *out, struct err *e)
{
	const struct lvm_lv *lv = lvm_find(&s->lvm, LVM_TAG_LAYER, layer);
	autooldlayer o = OLD_LAYER_NONE;

	if (!lv)
		return err_set(e, ENOENT, "there is no layer '%s' in volume group '%s'", layer,
			s->vg->name);
	autofree char *name = xasprintf("%s.merge", layer);
	int r = thin_snapshot(s->vg->name, layer, name, lv->size_bytes, e);
	if (r < 0)
		return err_wrap(e, r, "snapshot of layer '%s'", layer);
	o.vg = xstrdup(s->vg->name);
	o.name = take_ptr(name);
	r = read_upper(&o, layer, with_plugins, e);
	if (r < 0)
		return err_wrap(e, r, "layer '%s'", layer);
	*out = o;
	o = (struct old_layer)OLD_LAYER_NONE;
	return 0;
}

int old_layer_open(const struct site *s, const char *layer, struct old_layer *out, struct err *e)
{
	return open_layer(s, layer, false, out, e);
}

int old_layer_open_all(
	const struct site *s, const char *layer, struct old_layer *out, struct err *e)
{
	return open_layer(s, layer, true, out, e);
}

void old_layer_fini(struct old_layer *o)
{
	struct err e = {0};

	added_plugins_fini(&o->plugins);
	tree_free(o->upper);
	if (o->fd >= 0)
		close_auto(&o->fd);
	place_fini(&o->place);
	interrupt_defer();
	if (o->name && thin_drop(o->vg, o->name, &e) < 0)
		log_warning("snapshot '%s' stays until 'nodectl recover': %s", o->name, e.msg);
	interrupt_resume();
	free(o->vg);
	free(o->name);
	*o = (struct old_layer)OLD_LAYER_NONE;
}
