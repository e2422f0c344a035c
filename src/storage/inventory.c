/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sysinfo.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/inventory-internal.h"

static void part_fini(struct inv_part *part)
{
	free(part->path);
	free(part->partuuid);
	free(part->type_uuid);
	free(part->partlabel);
	free(part->fstype);
	free(part->label);
	free(part->uuid);
	free(part->in_use);
	free(part->unsearched);
}

static void disk_fini(struct inv_disk *d)
{
	free(d->path);
	free(d->name);
	free(d->model);
	free(d->bus);
	strv_fini(&d->links);
	free(d->table);
	part_fini(&d->whole);
	for (size_t i = 0; i < d->part_count; i++)
		part_fini(&d->parts[i]);
	free(d->parts);
	free(d->in_use);
}

static void vg_fini(struct inv_vg *vg)
{
	free(vg->name);
	free(vg->uuid);
	strv_fini(&vg->tags);
	strv_fini(&vg->pvs);
	for (size_t i = 0; i < vg->lv_count; i++) {
		free(vg->lvs[i].name);
		strv_fini(&vg->lvs[i].tags);
		free(vg->lvs[i].in_use);
		free(vg->lvs[i].unsearched);
		free(vg->lvs[i].pool);
	}
	free(vg->lvs);
}

void inventory_fini(struct inventory *inv)
{
	for (size_t i = 0; i < inv->disk_count; i++)
		disk_fini(&inv->disks[i]);
	for (size_t i = 0; i < inv->vg_count; i++)
		vg_fini(&inv->vgs[i]);
	free(inv->disks);
	free(inv->vgs);
	*inv = (struct inventory){0};
}

/* With and without "/dev/". */
static bool names_device(const char *name, const char *path)
{
	return str_eq(name, path) || (str_starts(path, "/dev/") && str_eq(name, path + 5));
}

const struct inv_disk *inventory_disk(const struct inventory *inv, const char *name)
{
	for (size_t i = 0; i < inv->disk_count; i++) {
		const struct inv_disk *d = &inv->disks[i];

		if (names_device(name, d->path))
			return d;
		for (size_t j = 0; j < d->links.count; j++)
			if (names_device(name, d->links.items[j]))
				return d;
	}
	return NULL;
}

const struct inv_vg *inventory_vg_of(const struct inventory *inv, const char *device)
{
	for (size_t i = 0; i < inv->vg_count; i++)
		if (strv_has(&inv->vgs[i].pvs, device))
			return &inv->vgs[i];
	return NULL;
}

bool inventory_has_tag(const struct strv *tags, const char *tag)
{
	return strv_has(tags, tag);
}

bool inventory_lv_is_ours(const struct inv_lv *lv)
{
	static const char *const tags[] = {LVM_TAG_BASE, LVM_TAG_LAYER, LVM_TAG_VOLUME,
		LVM_TAG_POOL, LVM_TAG_SNAPSHOT, LVM_TAG_NEW};

	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (inventory_has_tag(&lv->tags, tags[i]))
			return true;
	return false;
}

static int compare_disks(const void *a, const void *b)
{
	const struct inv_disk *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int read_disks(struct inventory *inv, struct err *e)
{
	autostrv names = {0};
	int r = file_list("/sys/block", &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		struct inv_disk d = {0};
		struct err cause = {0};

		r = probe_disk(names.items[i], &d, &cause);
		if (r <= 0) {
			/* A broken disk keeps nobody from using the others. */
			if (r < 0)
				log_warning("%s; it is left out", cause.msg);
			disk_fini(&d);
			continue;
		}
		inv->disks = xrealloc(inv->disks, (inv->disk_count + 1) * sizeof(*inv->disks));
		inv->disks[inv->disk_count++] = d;
	}
	if (inv->disk_count > 0)
		qsort(inv->disks, inv->disk_count, sizeof(*inv->disks), compare_disks);
	return 0;
}

/* /dev/disk/by-id/... and so on; nothing without udev. */
static void read_links(struct inventory *inv)
{
	autostrv kinds = {0};

	if (file_list("/dev/disk", &kinds, NULL) < 0)
		return;
	for (size_t i = 0; i < kinds.count; i++) {
		autofree char *folder = xasprintf("/dev/disk/%s", kinds.items[i]);
		autostrv names = {0};

		if (file_list(folder, &names, NULL) < 0)
			continue;
		for (size_t j = 0; j < names.count; j++) {
			autofree char *link = xasprintf("%s/%s", folder, names.items[j]);
			autofree char *target = realpath(link, NULL);

			for (size_t k = 0; target && k < inv->disk_count; k++)
				if (str_eq(inv->disks[k].path, target))
					strv_add(&inv->disks[k].links, link);
		}
	}
}

static void note_use(struct inv_disk *d, const struct inv_part *part)
{
	if (part->in_use && !d->in_use)
		d->in_use = xasprintf("%s is %s", part->path, part->in_use);
}

static void read_uses(struct inventory *inv, const struct uses *u)
{
	for (size_t i = 0; i < inv->disk_count; i++) {
		struct inv_disk *d = &inv->disks[i];

		d->live_medium = d->live_medium || uses_live(u, d->path);
		for (size_t j = 0; j < d->part_count; j++) {
			d->parts[j].in_use = uses_of(u, d->parts[j].path, false);
			d->live_medium = d->live_medium || uses_live(u, d->parts[j].path);
			note_use(d, &d->parts[j]);
		}
		if (!d->in_use) {
			d->whole.in_use = uses_of(u, d->path, d->part_count > 0);
			note_use(d, &d->whole);
		}
	}
}

static const char *find_pv(const struct inventory *inv)
{
	for (size_t i = 0; i < inv->disk_count; i++) {
		const struct inv_disk *d = &inv->disks[i];

		if (d->whole.fstype && str_eq(d->whole.fstype, "LVM2_member"))
			return d->path;
		for (size_t j = 0; j < d->part_count; j++)
			if (d->parts[j].fstype && str_eq(d->parts[j].fstype, "LVM2_member"))
				return d->parts[j].path;
	}
	return NULL;
}

/* As the disks call it: lvm may use another name for the same device. */
static void add_pv(struct inv_vg *vg, const char *name)
{
	char *path = name[0] == '/' ? realpath(name, NULL) : NULL;

	strv_take(&vg->pvs, path ? path : xstrdup(name));
}

static void add_lv(struct inv_vg *vg, const struct lvm_lv *lv, const struct uses *u)
{
	vg->lvs = xrealloc(vg->lvs, (vg->lv_count + 1) * sizeof(*vg->lvs));
	struct inv_lv *out = &vg->lvs[vg->lv_count++];

	*out = (struct inv_lv){
		.name = xstrdup(lv->name),
		.size_bytes = lv->size_bytes,
		.in_use = uses_of(u, lv->path, false),
		.pool = lv->pool ? xstrdup(lv->pool) : NULL,
		.metadata_bytes = lv->metadata_bytes,
	};
	strv_add_all(&out->tags, &lv->tags);
}

static void add_vg(struct inventory *inv, const struct lvm_vg *vg, const struct lvm_report *report,
	const struct uses *u)
{
	inv->vgs = xrealloc(inv->vgs, (inv->vg_count + 1) * sizeof(*inv->vgs));
	struct inv_vg *out = &inv->vgs[inv->vg_count++];

	*out = (struct inv_vg){
		.name = xstrdup(vg->name),
		.uuid = xstrdup(vg->uuid),
		.size_bytes = vg->size_bytes,
		.free_bytes = vg->free_bytes,
		.extent_bytes = vg->extent_bytes,
	};
	strv_add_all(&out->tags, &vg->tags);
	for (size_t i = 0; i < vg->pvs.count; i++)
		add_pv(out, vg->pvs.items[i]);
	for (size_t i = 0; i < report->lv_count; i++)
		if (str_eq(report->lvs[i].vg, vg->name))
			add_lv(out, &report->lvs[i], u);
}

static int read_groups(struct inventory *inv, const struct uses *u, struct err *e)
{
	autolvmreport report = {0};
	const char *pv = find_pv(inv);
	struct err cause = {0};
	int r = lvm_report(&report, &cause);

	if (r == -ENOENT && !pv)
		return 0;
	if (r < 0)
		return err_set(e, -r, "%s", cause.msg);
	for (size_t i = 0; i < report.vg_count; i++)
		add_vg(inv, &report.vgs[i], &report, u);
	return 0;
}

static bool has_domain_tag(const struct strv *tags)
{
	for (size_t i = 0; i < tags->count; i++)
		if (strcasestr(tags->items[i], "storage_domain"))
			return true;
	return false;
}

/*
 * What an install of ours that was cut off has left may be damaged, and must not be in the way of the
 * next one.
 */
static void forgive_own(const char *device, bool ours, char **unsearched)
{
	if (!ours || !*unsearched)
		return;
	log_warning(
		"%s of the node was not searched for a storage domain: %s", device, *unsearched);
	free(take_ptr(*unsearched));
}

/* Of what is in use nothing is asked: it is refused anyway. */
static void find_domain_in_part(struct inv_part *part)
{
	if (part->in_use)
		return;
	part->storage_domain = domain_is_on(part->path, part->fstype, &part->unsearched);
	forgive_own(part->path, part->partlabel && str_starts(part->partlabel, OWN_PARTLABEL),
		&part->unsearched);
}

static void find_domains_on_disk(struct inv_disk *d)
{
	if (!d->table)
		find_domain_in_part(&d->whole);
	for (size_t i = 0; i < d->part_count; i++)
		find_domain_in_part(&d->parts[i]);
}

void domain_search_volume(int fd, const char *device, struct inv_lv *lv)
{
	struct inv_part content = {0};

	probe_content(fd, 0, lv->size_bytes, &content);
	if (content.fstype && domain_is_on(device, content.fstype, &lv->unsearched))
		lv->storage_domain = true;
	forgive_own(device, inventory_lv_is_ours(lv), &lv->unsearched);
	part_fini(&content);
}

static void find_domain_in_volume(struct inv_vg *vg, struct inv_lv *lv)
{
	autofree char *device = xasprintf("/dev/%s/%s", vg->name, lv->name);

	lv->storage_domain = has_domain_tag(&lv->tags);
	/* A pool has no content of its own. */
	if (!lv->in_use && lv->metadata_bytes == 0) {
		autofd int fd = open(device, O_RDONLY | O_CLOEXEC);

		lv->idle = fd < 0;
		if (fd >= 0)
			domain_search_volume(fd, device, lv);
		/* Bases and snapshots never are. */
		if (fd < 0 && !inventory_lv_is_ours(lv))
			lv->unsearched = xstrdup("it is not active");
	}
	vg->storage_domain = vg->storage_domain || lv->storage_domain;
}

static void find_domains(struct inventory *inv)
{
	for (size_t i = 0; i < inv->disk_count; i++)
		find_domains_on_disk(&inv->disks[i]);
	for (size_t i = 0; i < inv->vg_count; i++) {
		struct inv_vg *vg = &inv->vgs[i];

		vg->storage_domain = has_domain_tag(&vg->tags);
		for (size_t j = 0; j < vg->lv_count; j++)
			find_domain_in_volume(vg, &vg->lvs[j]);
	}
}

int inventory_read(struct inventory *out, struct err *e)
{
	autoinventory inv = {0};
	autoptr(uses) u = NULL;
	struct sysinfo info;
	int r = domain_prepare(e);

	if (r == 0)
		r = uses_read(&u, e);
	if (r == 0)
		r = read_disks(&inv, e);
	if (r < 0)
		return r;
	if (sysinfo(&info) == 0)
		inv.memory_bytes = (uint64_t)info.totalram * info.mem_unit;
	inv.uefi = file_exists("/sys/firmware/efi");
	read_links(&inv);
	read_uses(&inv, u);
	r = read_groups(&inv, u, e);
	if (r < 0)
		return r;
	find_domains(&inv);
	*out = inv;
	inv = (struct inventory){0};
	return 0;
}
