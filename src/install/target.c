/* SPDX-License-Identifier: Apache-2.0 */
#include "install/target.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "liveimg/base-write.h"
#include "sys/verity.h"

#define BUSY_TRIES    50
#define BUSY_WAIT_NS  100000000L
#define MOUNTS_MAX    64
#define BASE_NAME_END '+'

struct target {
	char *dir, *base_dir, *layer_dir;
	char *vg, *base;
	bool mapped;
	int mapper_fd;
	struct base_reading *reading; /* of mapper_fd; NULL once it is proved */
	struct strv mounts;           /* paths, in the order of mounting */
	int root_fd, base_fd, boot_fd, esp_fd;
	char *boot_uuid;
};

/* What is mounted in the new root. */
struct place {
	char *device;
	const char *mount, *fstype;
	enum layout_role role;
};

struct places {
	struct place items[MOUNTS_MAX];
	size_t count;
};

static void places_fini(struct places *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].device);
}

static int add_place(struct places *p, char *device, const char *mount, const char *fstype,
	enum layout_role role, struct err *e)
{
	autofree char *owned = device;

	if (p->count == MOUNTS_MAX)
		return err_set(e, E2BIG, "more than %d file systems", MOUNTS_MAX);
	p->items[p->count++] = (struct place){take_ptr(owned), mount, fstype, role};
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->mount, ((const struct place *)b)->mount);
}

/* Parents come before what is mounted in them. */
static int collect(const struct layout *l, struct places *out, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->part_count; i++) {
		const struct layout_part *p = &l->parts[i];

		if (p->mount && p->mount[0] == '/')
			r = add_place(out, xstrdup(p->path), p->mount,
				p->role == LAYOUT_EFI ? "vfat" : p->fstype, p->role, e);
	}
	for (size_t i = 0; r == 0 && i < l->volume_count; i++) {
		const struct layout_volume *v = &l->volumes[i];

		if (v->mount && v->mount[0] == '/' && v->mount[1])
			r = add_place(out, xasprintf("/dev/%s/%s", l->vg, v->name), v->mount,
				v->fstype, LAYOUT_DATA, e);
	}
	qsort(out->items, out->count, sizeof(out->items[0]), compare_places);
	return r;
}

static int mount_on(struct target *t, const char *device, const char *path, const char *type,
	unsigned long flags, const char *options, struct err *e)
{
	if (mount(device, path, type, flags, options) < 0)
		return err_errno(e, "mounting '%s' on '%s'", device, path);
	strv_add(&t->mounts, path);
	return 0;
}

static int mount_folder(struct target *t, const char *device, const char *path, const char *type,
	unsigned long flags, struct err *e)
{
	int r = file_make_folder(path, 0755, e);

	return r == 0 ? mount_on(t, device, path, type, flags, NULL, e) : r;
}

static int open_folder(const char *path, struct err *e)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

/* The same options as in dracut/70bedplate: see docs/node.md. */
static int mount_root(struct target *t, struct err *e)
{
	autofree char *options = xasprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work,"
					   "metacopy=off,index=off,redirect_dir=off,xino=auto",
		t->base_dir, t->layer_dir, t->layer_dir);
	int r = file_make_folder(t->dir, 0755, e);

	if (r == 0)
		r = mount_on(t, "overlay", t->dir, "overlay", 0, options, e);
	if (r < 0)
		return r;
	t->root_fd = open_folder(t->dir, e);
	if (t->root_fd < 0)
		return t->root_fd;
	t->base_fd = open_folder(t->base_dir, e);
	return t->base_fd < 0 ? t->base_fd : 0;
}

/* The base's own links lead nowhere outside: the place is opened first, then mounted on. */
static int mount_place(struct target *t, const struct place *p, struct err *e)
{
	char real[PATH_MAX];
	int r = file_make_folder_in_root(t->root_fd, p->mount, e);

	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(t->root_fd, p->mount, O_PATH | O_DIRECTORY, 0, e);
	if (fd < 0)
		return fd;
	autofree char *name = xasprintf("/proc/self/fd/%d", fd);
	ssize_t len = readlink(name, real, sizeof(real) - 1);
	if (len < 0)
		return err_errno(e, "'%s'", p->mount);
	real[len] = '\0';
	if (mount(p->device, name, p->fstype, 0, NULL) < 0)
		return err_errno(e, "mounting '%s' (%s) on '%s'", p->device, p->fstype, p->mount);
	strv_add(&t->mounts, real);
	if (p->role != LAYOUT_BOOT && p->role != LAYOUT_EFI)
		return 0;

	int *keep = p->role == LAYOUT_BOOT ? &t->boot_fd : &t->esp_fd;
	*keep = file_open_in_root(t->root_fd, p->mount, O_RDONLY | O_DIRECTORY, 0, e);
	return *keep < 0 ? *keep : 0;
}

static int find_boot_uuid(struct target *t, const struct places *places, struct err *e)
{
	for (size_t i = 0; i < places->count; i++) {
		if (places->items[i].role != LAYOUT_BOOT)
			continue;
		/* No cache: it would tell of what was there before. */
		t->boot_uuid = blkid_get_tag_value(NULL, "UUID", places->items[i].device);
		return t->boot_uuid
			? 0
			: err_set(e, ENOENT, "'%s' has no UUID", places->items[i].device);
	}
	return err_set(e, ENOENT, "the layout has no /boot");
}

static int mount_places(struct target *t, const struct layout *l, struct err *e)
{
	auto_with(places_fini) struct places places = {0};
	int r = collect(l, &places, e);

	for (size_t i = 0; r == 0 && i < places.count; i++)
		r = mount_place(t, &places.items[i], e);
	return r == 0 ? find_boot_uuid(t, &places, e) : r;
}

static int open_base(struct target *t, const struct target_spec *spec, struct err *e)
{
	/* Error correction would mend what the reading has to find. */
	const struct base_verity v = {.hash_offset = spec->verity.hash_offset, .once = true};
	int r = base_open(t->vg, t->base, &v, spec->root_hash, TARGET_MAPPER_NAME, e);

	if (r < 0)
		return r;
	t->mapped = true;
	t->mapper_fd = open("/dev/mapper/" TARGET_MAPPER_NAME, O_RDONLY | O_CLOEXEC);
	if (t->mapper_fd < 0)
		return err_errno(e, "'/dev/mapper/" TARGET_MAPPER_NAME "'");
	return base_reading_start(t->mapper_fd, spec->data_bytes, &t->reading, e);
}

static int open_all(struct target *t, const struct target_spec *spec, struct err *e)
{
	autofree char *layer = xasprintf("/dev/%s/%s", t->vg, spec->layer);
	int r = open_base(t, spec, e);

	if (r == 0)
		r = mount_folder(
			t, "/dev/mapper/" TARGET_MAPPER_NAME, t->base_dir, "ext4", MS_RDONLY, e);
	if (r == 0)
		r = mount_folder(t, layer, t->layer_dir, "ext4", 0, e);
	if (r == 0)
		r = mount_root(t, e);
	return r == 0 ? mount_places(t, spec->layout, e) : r;
}

static void stop_reading(struct target *t)
{
	base_reading_free(t->reading);
	t->reading = NULL;
	close_auto(&t->mapper_fd);
	t->mapper_fd = -1;
}

int target_prove(struct target *t, struct progress *p, struct err *e)
{
	int r = t->reading ? base_reading_wait(t->reading, p, e) : 0;

	stop_reading(t);
	return r < 0 ? err_wrap(e, r, "base '%s'", t->base) : 0;
}

int target_explain(struct target *t, int r, struct err *e)
{
	struct err own = {0};

	if (r == -EINTR || target_prove(t, NULL, &own) >= 0)
		return r;
	return err_set(e, own.code, "%s", own.msg);
}

int target_drop_leftovers(struct err *e)
{
	static const char *const names[] = {TARGET_MAPPER_NAME, BASE_VERIFY_NAME};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = xasprintf("/dev/mapper/%s", names[i]);
		int r = file_exists(path) ? verity_close(names[i], e) : 0;

		if (r < 0 && r != -ENODEV)
			return err_wrap(e, r, "'%s', left by an earlier install", path);
	}
	return 0;
}

int target_open(const struct target_spec *spec, struct target **out, struct err *e)
{
	const char *plus = strrchr(spec->layer, BASE_NAME_END);
	autoptr(target) t = xcalloc(1, sizeof(*t));

	t->root_fd = t->base_fd = t->boot_fd = t->esp_fd = t->mapper_fd = -1;
	if (!plus)
		return err_set(e, EINVAL, "'%s' is not the name of a layer", spec->layer);
	t->base = xstrndup(spec->layer, (size_t)(plus - spec->layer));
	t->vg = xstrdup(spec->layout->vg);
	t->dir = xstrdup(spec->dir);
	t->base_dir = xasprintf("%s-base", spec->dir);
	t->layer_dir = xasprintf("%s-layer", spec->dir);
	int r = target_drop_leftovers(e);
	if (r == 0)
		r = open_all(t, spec, e);
	if (r < 0)
		return err_wrap(e, target_explain(t, r, e), "opening the new root");
	*out = take_ptr(t);
	return 0;
}

static void close_folders(struct target *t)
{
	int *const fds[] = {&t->root_fd, &t->base_fd, &t->boot_fd, &t->esp_fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close_auto(fds[i]);
	t->root_fd = t->base_fd = t->boot_fd = t->esp_fd = -1;
}

static int sync_one(const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return err_errno(e, "writing to '%s'", path);
	return 0;
}

/* The last program that ran in there may still be on its way out. */
static int unmount_one(const char *path, struct err *e)
{
	for (unsigned i = 0; umount2(path, UMOUNT_NOFOLLOW) < 0; i++) {
		if (errno != EBUSY || i == BUSY_TRIES)
			return err_errno(e, "unmounting '%s'", path);
		nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_NS}, NULL);
	}
	return 0;
}

int target_close(struct target *t, struct err *e)
{
	int r = 0;

	stop_reading(t);
	close_folders(t);
	for (size_t i = t->mounts.count; r == 0 && i > 0; i--)
		r = sync_one(t->mounts.items[i - 1], e);
	while (r == 0 && t->mounts.count > 0) {
		r = unmount_one(t->mounts.items[t->mounts.count - 1], e);
		if (r == 0)
			free(t->mounts.items[--t->mounts.count]);
	}
	if (r == 0 && t->mapped) {
		r = base_close(t->vg, t->base, TARGET_MAPPER_NAME, e);
		t->mapped = r < 0;
	}
	return r < 0 ? err_wrap(e, r, "closing the new root") : 0;
}

void target_free(struct target *t)
{
	struct err e = {0};

	if (!t)
		return;
	stop_reading(t);
	close_folders(t);
	while (t->mounts.count > 0) {
		char *path = t->mounts.items[--t->mounts.count];

		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			log_debug("unmounting '%s': %m", path);
		free(path);
	}
	if (t->mapped && base_close(t->vg, t->base, TARGET_MAPPER_NAME, &e) < 0)
		log_debug("%s", e.msg);
	strv_fini(&t->mounts);
	free(t->boot_uuid);
	free(t->dir);
	free(t->base_dir);
	free(t->layer_dir);
	free(t->vg);
	free(t->base);
	free(t);
}

const char *target_path(const struct target *t)
{
	return t->dir;
}

int target_root_fd(const struct target *t)
{
	return t->root_fd;
}

int target_base_fd(const struct target *t)
{
	return t->base_fd;
}

int target_boot_fd(const struct target *t)
{
	return t->boot_fd;
}

int target_esp_fd(const struct target *t)
{
	return t->esp_fd;
}

const char *target_boot_uuid(const struct target *t)
{
	return t->boot_uuid;
}
