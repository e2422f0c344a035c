/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/apply.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "storage/lvm.h"
#include "storage/mkfs.h"
#include "storage/wipe.h"
#include "sys/partition.h"

#define POOL_PROFILE    "bedplate-pool"
#define PARTITION_TRIES 5

struct apply {
	const struct layout *l;
	const char *layer;
	char *base;
	struct strv vg_tags;
	bool discarded; /* the physical volumes have no old content */
	struct progress *p;
	uint64_t steps; /* of the stage, done */
};

static void apply_fini(struct apply *a)
{
	free(a->base);
	strv_fini(&a->vg_tags);
}

static void stage(struct apply *a, const char *name, size_t steps)
{
	progress_begin(a->p, name, steps, "steps");
	a->steps = 0;
}

static int step(struct apply *a, struct err *e)
{
	return progress_advance(a->p, ++a->steps, e);
}

static const char *volume_name(const struct apply *a, const struct layout_volume *v)
{
	return v->name ? v->name : a->layer;
}

static bool has_fs(const struct layout_part *part)
{
	return part->role != LAYOUT_BIOS && part->role != LAYOUT_PV && !part->keep;
}

static int check_volume(const struct apply *a, const struct layout_volume *v, struct err *e)
{
	autofree char *tag = xasprintf(LVM_TAG_MOUNT "%s", v->mount);
	const char *name = volume_name(a, v);

	if (!lvm_name_ok(name))
		return err_set(e, EINVAL, "'%s' cannot be the name of a volume", name);
	if (!lvm_tag_ok(tag))
		return err_set(e, EINVAL, "mount point '%s' has characters that LVM's tags lack",
			v->mount);
	return mkfs_check(v->fstype, e);
}

/* What would otherwise fail only after the disk was erased. */
static int check(const struct apply *a, struct err *e)
{
	const struct layout *l = a->l;
	const char *const names[] = {l->vg, l->pool, a->base};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!lvm_name_ok(names[i]))
			return err_set(e, EINVAL, "'%s' cannot be the name of a volume", names[i]);
	for (size_t i = 0; r == 0 && i < l->volume_count; i++)
		r = check_volume(a, &l->volumes[i], e);
	for (size_t i = 0; r == 0 && i < l->part_count; i++)
		if (has_fs(&l->parts[i]))
			r = mkfs_check(l->parts[i].fstype, e);
	return r;
}

/* A group whose name another one has, too, can only be selected; one that is gone selects nothing. */
static int close_group(const char *vg, struct err *e)
{
	autofree char *select = xasprintf("--select=vg_name=%s", vg);

	if (!lvm_name_ok(vg))
		return err_set(e, EINVAL, "'%s' cannot be the name of a volume group", vg);
	return lvm_run(e, "vgchange", "--activate=n", select, NULL);
}

/* The old content of what goes, and of what will be found where new partitions start. */
static int wipe_disk(const struct apply *a, size_t disk, struct err *e)
{
	const struct layout_disk *d = &a->l->disks[disk];
	int r = d->new_table ? wipe_device(d->path, e) : 0;

	for (size_t i = 0; r == 0 && !d->new_table && i < d->remove_count; i++) {
		autofree char *path = partition_path(d->path, d->remove[i]);

		r = wipe_device(path, e);
	}
	for (size_t i = 0; r == 0 && i < a->l->part_count; i++) {
		const struct layout_part *part = &a->l->parts[i];

		if (part->disk == disk && !part->keep)
			r = wipe_region(d->path, part->start_bytes, part->size_bytes, e);
	}
	return r;
}

static const char *type_of(enum layout_role role)
{
	switch (role) {
	case LAYOUT_BIOS:
		return PARTITION_TYPE_BIOS;
	case LAYOUT_EFI:
		return PARTITION_TYPE_EFI;
	case LAYOUT_BOOT:
		return PARTITION_TYPE_BOOT;
	case LAYOUT_PV:
		return PARTITION_TYPE_LVM;
	case LAYOUT_SWAP:
		return PARTITION_TYPE_SWAP;
	case LAYOUT_DATA:
		break;
	}
	return PARTITION_TYPE_DATA;
}

/* The group remembers the partitions that belong to it: docs/node.md. */
static void note_uuid(struct apply *a, enum layout_role role, const char *uuid)
{
	static const char *const prefixes[] = {
		[LAYOUT_BIOS] = LVM_TAG_BIOS,
		[LAYOUT_EFI] = LVM_TAG_EFI,
		[LAYOUT_BOOT] = LVM_TAG_BOOT,
	};

	if (role < ARRAY_LEN(prefixes))
		strv_take(&a->vg_tags, xasprintf("%s%s", prefixes[role], uuid));
}

static int partition_disk(struct apply *a, size_t disk, struct err *e)
{
	const struct layout *l = a->l;
	const struct layout_disk *d = &l->disks[disk];
	autofree struct partition *add = xcalloc(l->part_count + 1, sizeof(*add));
	struct partition_change c = {
		.create = d->new_table,
		.remove = d->remove,
		.remove_count = d->new_table ? 0 : d->remove_count,
		.add = add,
	};
	int r;

	for (size_t i = 0; i < l->part_count; i++)
		if (l->parts[i].disk == disk && !l->parts[i].keep)
			add[c.add_count++] = (struct partition){
				.number = l->parts[i].number,
				.start_bytes = l->parts[i].start_bytes,
				.size_bytes = l->parts[i].size_bytes,
				.type = type_of(l->parts[i].role),
				.label = l->parts[i].label,
			};
	if (!c.create && c.remove_count == 0 && c.add_count == 0)
		return 0;
	r = partition_write(d->path, &c, e);
	if (r < 0)
		return r;
	for (size_t i = 0, added = 0; i < l->part_count; i++)
		if (l->parts[i].disk == disk && !l->parts[i].keep)
			note_uuid(a, l->parts[i].role, add[added++].uuid);
	return 0;
}

static int make_partitions(struct apply *a, struct err *e)
{
	const struct layout *l = a->l;
	int r = 0;

	stage(a, "partitions", l->disk_count);
	for (size_t i = 0; r == 0 && i < l->remove_vgs.count; i++)
		r = close_group(l->remove_vgs.items[i], e);
	for (size_t i = 0; r == 0 && i < l->disk_count; i++) {
		r = wipe_disk(a, i, e);
		if (r == 0)
			r = partition_disk(a, i, e);
		if (r == 0)
			r = step(a, e);
	}
	if (r == 0)
		progress_end(a->p);
	return r;
}

static int make_group(struct apply *a, struct err *e)
{
	const struct layout *l = a->l;
	autostrv args = {0};

	a->discarded = true;
	strv_add(&args, "vgcreate");
	strv_take(&args, xasprintf("--physicalextentsize=%" PRIu64 "b", l->extent_bytes));
	strv_add(&args, "--addtag=" LVM_TAG_VG);
	for (size_t i = 0; i < a->vg_tags.count; i++)
		strv_take(&args, xasprintf("--addtag=%s", a->vg_tags.items[i]));
	strv_add(&args, l->vg);
	for (size_t i = 0; i < l->part_count; i++) {
		if (l->parts[i].role != LAYOUT_PV)
			continue;
		strv_add(&args, l->parts[i].path);
		a->discarded = wipe_discard(l->parts[i].path) && a->discarded;
	}
	/* udev reads a table that was written once more, and for that moment its partitions are gone. */
	int r = -EAGAIN;
	for (int i = 0; r < 0 && i < PARTITION_TRIES; i++) {
		partition_settle();
		r = lvm_run_args(&args, e);
		if (r == 0 || !strstr(e->msg, "No device found"))
			break;
		nanosleep(&(const struct timespec){.tv_sec = 2}, NULL);
	}
	return r;
}

/* The pool goes last, with nothing left in it. */
static int remove_volumes(const struct layout *l, struct err *e)
{
	autolvmreport report = {0};
	int r = l->remove_lvs.count > 0 ? lvm_report(&report, e) : 0;

	for (unsigned pools = 0; pools < 2; pools++) {
		for (size_t i = 0; r == 0 && i < report.lv_count; i++) {
			const struct lvm_lv *lv = &report.lvs[i];
			autofree char *name = xasprintf("%s/%s", lv->vg, lv->name);

			if (lv->is_pool == pools && strv_has(&l->remove_lvs, name))
				r = lvm_run(e, "lvremove", "--force", "--force", name, NULL);
		}
	}
	return r;
}

static bool has_profile(void)
{
	const char *folder = getenv("LVM_SYSTEM_DIR");
	autofree char *path = xasprintf(
		"%s/profile/" POOL_PROFILE ".profile", folder ? folder : "/etc/lvm");

	return file_exists(path);
}

static int make_pool(const struct apply *a, struct err *e)
{
	const struct layout *l = a->l;
	autostrv args = {0};

	strv_add(&args, "lvcreate");
	/* With --type=thin-pool it would not take --errorwhenfull: lvm2 2.03.16. */
	strv_add(&args, "--thin");
	/* The first volume needs other devices for it, with udev at work on each. */
	strv_add(&args, "--activate=n");
	strv_take(&args, xasprintf("--size=%" PRIu64 "b", l->pool_bytes));
	strv_take(&args, xasprintf("--poolmetadatasize=%" PRIu64 "b", l->pool_metadata_bytes));
	strv_take(&args, xasprintf("--chunksize=%" PRIu64 "b", l->pool_chunk_bytes));
	strv_add(&args, "--discards=passdown");
	/* A chunk that is written in part has zeros in the rest. */
	strv_add(&args, "--zero=y");
	/* A root file system that waits for room would wait for ever. */
	strv_add(&args, "--errorwhenfull=y");
	strv_add(&args, "--poolmetadataspare=y");
	/*
	 * LVM writes zeros over all of the metadata and its spare, lest a repair takes up what an
	 * older pool has left there: gigabytes, for nothing when there cannot be any.
	 */
	if (a->discarded)
		strv_add(&args, "--config=" LVM_CONFIG " allocation{zero_metadata=0}");
	if (has_profile())
		strv_add(&args, "--metadataprofile=" POOL_PROFILE);
	strv_add(&args, "--addtag=" LVM_TAG_POOL);
	strv_take(&args, xasprintf("--name=%s", l->pool));
	strv_add(&args, l->vg);
	return lvm_run_args(&args, e);
}

/* mount may be NULL. */
static int make_volume(const struct layout *l, const char *name, uint64_t bytes, const char *tag,
	const char *mount, struct err *e)
{
	autostrv args = {0};

	strv_add(&args, "lvcreate");
	strv_add(&args, "--type=thin");
	strv_take(&args, xasprintf("--virtualsize=%" PRIu64 "b", bytes));
	strv_take(&args, xasprintf("--thinpool=%s", l->pool));
	strv_take(&args, xasprintf("--addtag=%s", tag));
	if (mount)
		strv_take(&args, xasprintf("--addtag=" LVM_TAG_MOUNT "%s", mount));
	strv_take(&args, xasprintf("--name=%s", name));
	strv_add(&args, l->vg);
	return lvm_run_args(&args, e);
}

static int make_volumes(struct apply *a, struct err *e)
{
	const struct layout *l = a->l;
	int r;

	stage(a, "volumes", l->volume_count + 3);
	r = l->vg_is_new ? make_group(a, e) : remove_volumes(l, e);
	if (r == 0)
		r = step(a, e);
	if (r == 0)
		r = make_pool(a, e);
	if (r == 0)
		r = step(a, e);
	if (r == 0)
		r = make_volume(l, a->base, l->base_bytes, LVM_TAG_BASE, NULL, e);
	if (r == 0)
		r = step(a, e);
	for (size_t i = 0; r == 0 && i < l->volume_count; i++) {
		const struct layout_volume *v = &l->volumes[i];

		if (v->name)
			r = make_volume(l, v->name, v->size_bytes, LVM_TAG_VOLUME, v->mount, e);
		else
			r = make_volume(l, a->layer, v->size_bytes, LVM_TAG_LAYER, NULL, e);
		if (r == 0)
			r = step(a, e);
	}
	if (r < 0)
		return r;
	partition_settle();
	progress_end(a->p);
	return 0;
}

static int format_part(const struct layout_part *part, struct err *e)
{
	const struct mkfs_spec spec = {
		.device = part->path,
		.fstype = part->fstype,
		.label = part->role == LAYOUT_EFI ? "BEDPLATE"
			: part->label             ? part->label
						  : "data",
		.for_grub = part->role == LAYOUT_BOOT,
	};

	return mkfs_run(&spec, e);
}

int layer_format(const char *vg, const char *layer, struct err *e)
{
	static const char *const folders[] = {"upper", "work"};
	char template[] = "/run/bedplate-layer.XXXXXX";
	const char *content = mkdtemp(template);
	autofree char *device = xasprintf("/dev/%s/%s", vg, layer);
	struct err removing = {0};
	int r = content ? chmod(content, 0755) : -1;

	if (r < 0)
		return err_errno(e, "'%s'", template);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++) {
		autofree char *path = xasprintf("%s/%s", content, folders[i]);

		if (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0)
			r = err_errno(e, "'%s'", path);
	}
	const struct mkfs_spec spec = {
		.device = device,
		.fstype = "ext4",
		.label = "layer",
		.content = content,
		.reads_as_zeros = true,
	};
	if (r == 0)
		r = mkfs_run(&spec, e);
	int removed = file_remove_tree(content, &removing);
	return r == 0 && removed < 0 ? err_set(e, -removed, "%s", removing.msg) : r;
}

static int format_volume(const struct apply *a, const struct layout_volume *v, struct err *e)
{
	if (!v->name)
		return layer_format(a->l->vg, a->layer, e);
	autofree char *device = xasprintf("/dev/%s/%s", a->l->vg, v->name);
	const struct mkfs_spec spec = {
		.device = device,
		.fstype = v->fstype,
		.label = v->name,
		.reads_as_zeros = true,
	};
	return mkfs_run(&spec, e);
}

static int make_file_systems(struct apply *a, struct err *e)
{
	const struct layout *l = a->l;
	size_t count = l->volume_count;
	int r = 0;

	for (size_t i = 0; i < l->part_count; i++)
		count += has_fs(&l->parts[i]);
	stage(a, "file systems", count);
	for (size_t i = 0; r == 0 && i < l->part_count; i++) {
		if (!has_fs(&l->parts[i]))
			continue;
		r = format_part(&l->parts[i], e);
		if (r == 0)
			r = step(a, e);
	}
	for (size_t i = 0; r == 0 && i < l->volume_count; i++) {
		r = format_volume(a, &l->volumes[i], e);
		if (r == 0)
			r = step(a, e);
	}
	if (r < 0)
		return r;
	partition_settle();
	progress_end(a->p);
	return 0;
}

int layout_apply(const struct layout *l, const char *layer, struct progress *p, struct err *e)
{
	auto_with(apply_fini) struct apply a = {.l = l, .layer = layer, .p = p};
	const char *plus = strrchr(layer, '+');
	int r;

	if (!plus)
		return err_set(e, EINVAL, "'%s' is not the name of a layer", layer);
	a.base = xstrndup(layer, (size_t)(plus - layer));
	r = check(&a, e);
	if (r == 0)
		r = make_partitions(&a, e);
	if (r == 0)
		r = make_volumes(&a, e);
	return r == 0 ? make_file_systems(&a, e) : r;
}
