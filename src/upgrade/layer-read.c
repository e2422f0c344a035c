/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/layer-read.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "sys/chroot.h"
#include "upgrade/base-view.h"
#include "upgrade/overlay.h"

#define PARTS_MAX  4 /* two layers and their bases */
#define SCAN_TRIES 5
#define MOUNT_DIR  "/run/bedplate/read"

/* A base or the upper half of a layer; what is set has to be released. */
struct part {
	char *name; /* of the base or layer; NULL for the running layer */
	bool is_base;
	struct tree *tree;   /* NULL when it belongs to image */
	struct image *image; /* a base through dm-verity */
	struct base_ref ref;
	char *mapper;    /* open */
	char *folder;    /* made */
	bool is_mounted; /* on folder */
	char *activated; /* "VG/LV" */
};

struct layer_reader {
	const struct node_state *state;
	struct part parts[PARTS_MAX];
	size_t part_count;
	struct tree *roots[PARTS_MAX];
	size_t root_count;
};

static void complain(int r, const struct err *e)
{
	if (r < 0)
		log_warning("not released: %s", e->msg);
}

static void unmount(struct part *p)
{
	if (p->is_mounted && umount2(p->folder, UMOUNT_NOFOLLOW) < 0)
		log_warning("unmounting '%s': %m", p->folder);
	if (p->folder)
		rmdir(p->folder);
}

static void release(struct part *p)
{
	struct err e = {0};

	tree_free(p->tree);
	image_free(p->image);
	unmount(p);
	interrupt_defer();
	if (p->mapper)
		complain(base_ref_close(&p->ref, p->mapper, &e), &e);
	if (p->activated)
		complain(lvm_run(&e, "lvchange", "--activate=n", p->activated, NULL), &e);
	interrupt_resume();
	free(p->name);
	free(p->mapper);
	free(p->folder);
	free(p->activated);
}

void layer_reader_free(struct layer_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->root_count; i++)
		tree_free(r->roots[i]);
	while (r->part_count > 0)
		release(&r->parts[--r->part_count]);
	free(r);
}

int layer_reader_new(const struct node_state *s, struct layer_reader **out, struct err *e)
{
	int r = chroot_enter_namespace(e);

	if (r < 0)
		return r;
	base_ref_drop_leftovers();
	*out = xcalloc(1, sizeof(**out));
	(*out)->state = s;
	return 0;
}

/* On a running system files come and go while they are listed. */
static int scan(const char *path, struct tree **out, struct err *e)
{
	int r = -ENOENT;

	for (int i = 0; r == -ENOENT && i < SCAN_TRIES; i++)
		r = tree_scan(path, out, e);
	return r;
}

static struct part *find_part(struct layer_reader *r, bool is_base, const char *name)
{
	for (size_t i = 0; i < r->part_count; i++) {
		struct part *p = &r->parts[i];

		if (p->is_base == is_base &&
			(p->name && name ? str_eq(p->name, name) : p->name == name))
			return p;
	}
	return NULL;
}

static struct part *add_part(struct layer_reader *r, bool is_base, const char *name)
{
	struct part *p = &r->parts[r->part_count++];

	*p = (struct part){.is_base = is_base, .name = name ? xstrdup(name) : NULL};
	return p;
}

static struct tree *part_tree(const struct part *p)
{
	return p->tree ? p->tree : image_tree(p->image);
}

static int open_base(struct part *p, const struct node_state *s, unsigned number, struct err *e)
{
	autofree char *mapper = base_ref_mapper_name(number);
	autofree char *path = xasprintf("/dev/mapper/%s", mapper);
	int r = base_ref_find(s, p->name, &p->ref, e);

	if (r < 0)
		return r;
	if (p->ref.running)
		return scan(NODE_BASE_DIR, &p->tree, e);
	r = base_ref_open(&p->ref, mapper, true, e);
	if (r < 0)
		return r;
	p->mapper = take_ptr(mapper);
	return image_open(path, &p->image, e);
}

/*
 * Read-only by the block layer: lvm's own way (read_only_volume_list) would make the pool read-only,
 * too, which it cannot be while others write.
 */
static int forbid_writing(const char *device, struct err *e)
{
	autofd int fd = open(device, O_RDONLY | O_CLOEXEC);
	int on = 1;

	return fd < 0 || ioctl(fd, BLKROSET, &on) < 0 ? err_errno(e, "'%s'", device) : 0;
}

static int activate(struct part *p, const struct lvm_lv *lv, struct err *e)
{
	autofree char *name = xasprintf("%s/%s", lv->vg, lv->name);

	if (lv->active)
		return 0;
	int r = lvm_run(e, "lvchange", "--activate=y", "--ignoreactivationskip", name, NULL);
	if (r < 0)
		return r;
	p->activated = take_ptr(name);
	return forbid_writing(lv->path, e);
}

static int mount_volume(struct part *p, const char *device, unsigned number, struct err *e)
{
	autofree char *folder = xasprintf(MOUNT_DIR ".%d.%u", (int)getpid(), number);
	int r = file_make_folder(folder, 0700, e);

	if (r < 0)
		return r;
	p->folder = take_ptr(folder);
	if (mount(device, p->folder, "ext4", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "noload") < 0)
		return err_errno(e, "mounting '%s'", device);
	p->is_mounted = true;
	return 0;
}

static int open_upper(struct part *p, const struct node_state *s, unsigned number, struct err *e)
{
	if (!p->name)
		return scan(NODE_LAYER_DIR "/upper", &p->tree, e);
	const struct lvm_lv *lv = lvm_find(&s->storage.lvm, LVM_TAG_LAYER, p->name);
	if (!lv)
		return err_set(e, ENOENT, "there is no layer '%s' on this node", p->name);
	int r = activate(p, lv, e);
	if (r == 0)
		r = mount_volume(p, lv->path, number, e);
	if (r < 0)
		return err_wrap(e, r, "layer '%s'", p->name);
	autofree char *upper = xasprintf("%s/upper", p->folder);
	return tree_scan(upper, &p->tree, e);
}

static int get_part(
	struct layer_reader *r, bool is_base, const char *name, struct tree **out, struct err *e)
{
	struct part *p = find_part(r, is_base, name);
	unsigned number = (unsigned)r->part_count;
	int result = 0;

	if (!p && r->part_count == PARTS_MAX)
		return err_set(e, E2BIG, "more than %d bases and layers to read", PARTS_MAX);
	if (!p) {
		p = add_part(r, is_base, name);
		result = is_base ? open_base(p, r->state, number, e)
				 : open_upper(p, r->state, number, e);
	}
	if (result < 0) {
		release(&r->parts[--r->part_count]);
		return result;
	}
	*out = part_tree(p);
	return 0;
}

static bool is_running(const struct node_state *s, const char *layer)
{
	return !layer || (!s->stateless && s->layer && str_eq(layer, s->layer));
}

int layer_reader_base(struct layer_reader *r, const char *layer, struct tree **out, struct err *e)
{
	const char *name = layer ? layer : r->state->layer;
	size_t len = name ? node_base_len(name) : 0;

	if (len == 0)
		return err_set(e, EINVAL, "'%s' is not the name of a layer", name ? name : "");
	autofree char *base = xstrndup(name, len);
	return get_part(r, true, base, out, e);
}

int layer_reader_root(struct layer_reader *r, const char *layer, struct tree **out, struct err *e)
{
	struct tree *base, *upper;

	if (r->root_count == PARTS_MAX)
		return err_set(e, E2BIG, "more than %d layers to read", PARTS_MAX);
	if (layer && node_base_len(layer) == 0)
		return err_set(e, EINVAL, "'%s' is not the name of a layer", layer);
	int result = get_part(r, false, is_running(r->state, layer) ? NULL : layer, &upper, e);
	if (result == 0)
		result = layer_reader_base(r, layer, &base, e);
	if (result < 0)
		return result;
	*out = r->roots[r->root_count++] = overlay_compose(base, upper);
	return 0;
}
