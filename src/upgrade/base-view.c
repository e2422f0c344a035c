/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/base-view.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "liveimg/base-write.h"
#include "node/state.h"
#include "sys/verity.h"

#define IMAGE_JSON     "usr/lib/bedplate/image.json"
#define JSON_MAX_BYTES (64 * KIB)

/* Of a process that was killed. */
static int drop_leftover(const char *mapper_name, struct err *e)
{
	autofree char *path = xasprintf("/dev/mapper/%s", mapper_name);
	int r = file_exists(path) ? verity_close(mapper_name, e) : 0;

	return r == -ENODEV ? 0 : r;
}

bool base_view_drop_leftovers(void)
{
	static const char *const names[] = {BASE_VIEW_OLD, BASE_VIEW_NEW, BASE_VERIFY_NAME};
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = xasprintf("/dev/mapper/%s", names[i]);
		struct err e = {0};

		found = file_exists(path) || found;
		if (drop_leftover(names[i], &e) < 0)
			log_warning("'%s' stays open: %s", names[i], e.msg);
	}
	base_ref_drop_leftovers();
	return found;
}

static int open_device(const struct site *s, const char *base, const uint8_t root_hash[32],
	const char *mapper_name, struct base_view *v, struct err *e)
{
	struct base_ref *ref = &v->ref;

	ref->lv = lvm_find(&s->lvm, LVM_TAG_BASE, base);
	if (!ref->lv)
		return err_set(
			e, ENOENT, "there is no base '%s' in volume group '%s'", base, s->vg->name);
	ref->name = ref->lv->name;
	memcpy(ref->root_hash, root_hash, sizeof(ref->root_hash));
	int r = base_ref_verity(ref->lv, &ref->verity, e);
	if (r == 0)
		r = drop_leftover(mapper_name, e);
	if (r == 0)
		r = base_ref_open(ref, mapper_name, true, e);
	if (r == 0)
		v->mapper = xstrdup(mapper_name);
	return r;
}

static char *one_line(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? str_printable(text) : NULL;
}

/* It is only compared and shown: an image that has none can still be upgraded. */
static void read_identity(struct base_view *v)
{
	autofree char *text = NULL;
	struct err own = {0};

	if (image_read(image_tree(v->img), IMAGE_JSON, JSON_MAX_BYTES, &text, NULL, &own) < 0) {
		log_debug("%s", own.msg);
		return;
	}
	json_t *object = json_loads(text, 0, NULL);
	v->name = one_line(object, "name");
	v->version = one_line(object, "version");
	json_decref(object);
}

int base_view_open(const struct site *s, const char *base, const uint8_t root_hash[32],
	const char *mapper_name, struct base_view *out, struct err *e)
{
	autobaseview v = {0};
	bool runs = s->running && str_eq(base, s->base) &&
		file_exists("/dev/mapper/" NODE_VERITY_NAME);
	int r = runs ? 0 : open_device(s, base, root_hash, mapper_name, &v, e);

	if (r < 0)
		return r;
	v.device = xasprintf("/dev/mapper/%s", runs ? NODE_VERITY_NAME : mapper_name);
	r = image_open(v.device, &v.img, e);
	if (r < 0)
		return err_wrap(e, r, "base '%s'", base);
	read_identity(&v);
	*out = v;
	v = (struct base_view){0};
	return 0;
}

/* The running base's volume stays active: device-mapper has it open. */
void base_view_fini(struct base_view *v)
{
	struct err e = {0};

	image_free(v->img);
	interrupt_defer();
	if (v->mapper && base_ref_close(&v->ref, v->mapper, &e) < 0)
		log_debug("%s", e.msg);
	interrupt_resume();
	free(v->mapper);
	free(v->device);
	free(v->name);
	free(v->version);
	*v = (struct base_view){0};
}
