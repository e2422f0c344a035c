/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/xalloc.h"
#include "image/package-db.h"
#include "liveimg/memory.h"
#include "upgrade/base-make.h"
#include "upgrade/base-view.h"
#include "upgrade/carry.h"
#include "upgrade/merge.h"
#include "upgrade/newest.h"
#include "upgrade/old-layer.h"
#include "upgrade/packages-diff.h"
#include "upgrade/precheck.h"
#include "upgrade/run.h"

#define MEMORY_BYTES   (256 * MIB)
#define NODE_STATUS    "usr/lib/bedplate/dpkg/status"
#define LAYER_SLACK    (32 * MIB) /* an empty ext4 with its journal */
#define BOOT_SLACK     (1 * MIB)
#define METADATA_SLACK (1 * MIB)
/* What a base may take of the pool beyond its plan, which counts in blocks when it is not measured. */
#define LIMIT_PART  10
#define LIMIT_SLACK (4 * MIB)
/* zstd makes less than this of an initramfs, in percent; one that is compressed already is small. */
#define INITRAMFS_PERCENT 60
/* A mapping takes 16 bytes, in nodes that are half full in the worst case; twice for a snapshot. */
#define MAPPING_BYTES 64
/* Of a slow disk and one slow core, a second: what people wait for should be over earlier. */
#define READ_BYTES_SECOND      (25 * MIB) /* unpacked, or through dm-verity */
#define WRITE_BYTES_SECOND     (15 * MIB)
#define INITRAMFS_BYTES_SECOND (4 * MIB) /* compressed */
#define OTHER_SECONDS          30        /* merge, snapshots, thin_check, syncs */

static const struct manifest *manifest_of(const struct upgrade_run *u)
{
	return &u->about->manifest;
}

char *plan_title(const char *name, const char *version, const char *layer)
{
	const char *plus = strrchr(layer, '+');

	return plus && !str_eq(plus, "+1") ? xasprintf("%s %s (%s)", name, version, plus + 1)
					   : xasprintf("%s %s", name, version);
}

static void name_all(struct upgrade_run *u)
{
	const struct manifest *m = manifest_of(u);
	struct upgrade_plan *plan = u->plan;

	plan->from = xstrdup(u->site.layer);
	plan->base = xasprintf("%s-%s", m->name, m->version);
	plan->new_name = xstrdup(m->name);
	plan->new_version = xstrdup(m->version);
	plan->origin = u->about->origin ? str_printable(u->about->origin) : NULL;
	plan->signer = u->about->signer ? str_printable(u->about->signer) : NULL;
	plan->image_bytes = m->rootfs.size_bytes;
	if (u->before.to)
		plan->replaces = xstrdup(u->before.to);
}

static int read_old(struct upgrade_run *u, uint8_t old_hash[SHA256_BYTES], struct err *e)
{
	autobaseview old = {0};
	int r = site_root_hash(&u->site, u->site.layer, old_hash, e);

	if (r == 0)
		r = base_view_open(&u->site, u->site.base, old_hash, BASE_VIEW_OLD, &old, e);
	if (r < 0)
		return err_wrap(e, r, "the node's own image");
	u->plan->old_name = take_ptr(old.name);
	u->plan->old_version = take_ptr(old.version);
	return 0;
}

/* A base of that name is the same image, or another one: dm-verity tells. */
static int look_for_base(struct upgrade_run *u, bool *differs, struct err *e)
{
	const struct manifest *m = manifest_of(u);
	autobaseview view = {0};
	struct err own = {0};

	if (!lvm_find(&u->site.lvm, LVM_TAG_BASE, u->plan->base))
		return 0;
	int r = base_view_open(
		&u->site, u->plan->base, m->verity.root_hash, BASE_VIEW_NEW, &view, &own);
	*differs = r == -EKEYREJECTED;
	u->plan->base_is_there = r == 0;
	return r < 0 && !*differs ? err_set(e, -r, "%s", own.msg) : 0;
}

static uint64_t layer_estimate(const struct site *s)
{
	const struct lvm_lv *lv = lvm_find(&s->lvm, LVM_TAG_LAYER, s->layer);
	double used = lv->data_percent < 0 ? 100 : lv->data_percent;

	return (uint64_t)((double)lv->size_bytes / 100 * used) + LAYER_SLACK;
}

static uint64_t mappings(const struct pool_room *room, uint64_t bytes)
{
	return bytes / MAX(room->chunk_bytes, 1) * MAPPING_BYTES;
}

uint64_t plan_pool(const struct site *s, const struct pool_room *room, struct upgrade_plan *plan)
{
	uint64_t layer_bytes = layer_estimate(s) + carry_plan_bytes(&plan->plugins);

	plan->pool_growth_bytes = plan->write_bytes + layer_bytes;
	plan->pool_free_bytes = base_data_room(room);
	plan->metadata_free_bytes = base_metadata_room(room);
	plan->metadata_growth_bytes = mappings(room, plan->pool_growth_bytes) + METADATA_SLACK;
	return layer_bytes;
}

int plan_boot(const struct site *s, uint64_t file_bytes, struct upgrade_plan *plan, struct err *e)
{
	struct statvfs st;

	if (fstatvfs(s->boot_fd, &st) < 0)
		return err_errno(e, "/boot");
	plan->boot_free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	plan->boot_needed_bytes = file_bytes > 0 ? file_bytes + BOOT_SLACK : 0;
	return 0;
}

static uint64_t boot_bytes(const struct upgrade_run *u)
{
	const struct manifest *m = manifest_of(u);

	if (m->kernel_count == 0)
		return 0;
	return m->kernels[0].kernel_bytes +
		m->kernels[0].initramfs_bytes / 100 * INITRAMFS_PERCENT + u->about->manifest_len +
		u->about->sig_len;
}

/* Of the download, which is on disk. */
static int estimate_var(struct upgrade_run *u, struct err *e)
{
	struct statvfs st;

	u->plan->var_needed_bytes = liveimg_download_bytes(&u->from, manifest_of(u));
	if (u->plan->var_needed_bytes == 0)
		return 0;
	if (statvfs(u->from.folder, &st) < 0 && statvfs("/var", &st) < 0)
		return err_errno(e, "/var");
	u->plan->var_free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

const char *plan_like(const struct site *s, const struct manifest *m)
{
	autofree char *previous = m->previous_name && m->previous_version
		? xasprintf("%s-%s", m->previous_name, m->previous_version)
		: NULL;
	const struct lvm_lv *lv = previous ? site_volume(s, LVM_TAG_BASE, previous) : NULL;

	return lv ? lv->name : s->base;
}

static struct base_job base_job_of(const struct upgrade_run *u)
{
	return (struct base_job){
		.lvm = &u->site.lvm,
		.vg = u->site.vg->name,
		.pool = u->site.pool->name,
		.base = u->plan->base,
		.like = plan_like(&u->site, manifest_of(u)),
		.image = &u->image,
	};
}

uint64_t plan_seconds(const struct upgrade_plan *u, uint64_t measure_seconds)
{
	/* Both images are compared, then the new one is read back; measuring has done the first. */
	uint64_t reading = u->base_is_there ? 0 : 3 * (u->image_bytes / READ_BYTES_SECOND);

	return MAX(reading, 2 * measure_seconds) + u->write_bytes / WRITE_BYTES_SECOND +
		u->boot_needed_bytes / INITRAMFS_BYTES_SECOND + OTHER_SECONDS;
}

uint64_t plan_base_limit(const struct upgrade_plan *u, uint64_t layer_bytes)
{
	uint64_t planned = u->pool_growth_bytes - MIN(layer_bytes, u->pool_growth_bytes);
	uint64_t room = u->pool_free_bytes - MIN(layer_bytes, u->pool_free_bytes);

	/* 0 would be no limit. */
	return MAX(1, MIN(planned + planned / LIMIT_PART + LIMIT_SLACK, room));
}

static int measure_base(struct upgrade_run *u, struct err *e)
{
	const struct base_job job = base_job_of(u);
	struct upgrade_plan *plan = u->plan;
	struct timespec began, ended;
	struct base_cost cost;

	if (plan->measured || plan->base_is_there)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &began);
	int r = base_measure(&job, &cost, u->p, e);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	plan->measured = true;
	plan->write_bytes = cost.changed_bytes;
	plan->pool_growth_bytes = cost.chunk_bytes + u->layer_bytes;
	plan->seconds = plan_seconds(plan, (uint64_t)(ended.tv_sec - began.tv_sec));
	return 0;
}

static int estimate(struct upgrade_run *u, struct err *e)
{
	struct upgrade_plan *plan = u->plan;
	int r = pool_room(u->site.vg->name, u->site.pool->name, &u->room, e);

	if (r == 0)
		r = plan_boot(&u->site, boot_bytes(u), plan, e);
	if (r < 0)
		return r;
	/* Without reading anything: as if all of the image had to be written. */
	plan->write_bytes = plan->base_is_there ? 0 : plan->image_bytes;
	u->layer_bytes = plan_pool(&u->site, &u->room, plan);
	plan->seconds = plan_seconds(plan, 0);
	u->tight = !plan->base_is_there && !u->room.failed &&
		plan->pool_growth_bytes + plan->image_bytes / 10 > plan->pool_free_bytes;
	return estimate_var(u, e);
}

static int look_for_machines(struct upgrade_run *u, struct err *e)
{
	if (u->spec->allow_running_vms || !u->site.running)
		return 0;
	return precheck_machines(&u->plan->problems, e);
}

/* Virtual machines run on until the restart, which neither a plan nor a staged layer comes to. */
static int judge(struct upgrade_run *u, bool base_differs, struct err *e)
{
	const bool commits = !u->spec->stage && !u->spec->plan_only;
	struct err memory = {0};
	const struct precheck c = {
		.spec = u->spec,
		.plan = u->plan,
		.site = &u->site,
		.failed = &u->failed,
		.root_hash = manifest_of(u)->verity.root_hash,
		.room = &u->room,
		.upgrades_from_min = manifest_of(u)->upgrades_from_min,
		.upgrades_from_max = manifest_of(u)->upgrades_from_max,
		.base_differs = base_differs,
	};
	const uint64_t growth = u->plan->pool_growth_bytes;

	precheck_image(&c, &u->plan->problems);
	u->unwanted = u->plan->problems.count > 0;
	int r = commits ? look_for_machines(u, e) : 0;
	if (r < 0)
		return r;
	/* Of the base it may be nothing: plan_fit(). */
	if (u->tight)
		u->plan->pool_growth_bytes = u->layer_bytes;
	precheck_plugins(&c, &u->plan->problems);
	precheck_node(&c, &u->plan->problems);
	u->plan->pool_growth_bytes = growth;
	if (memory_check(MEMORY_BYTES, "an upgrade", &memory) < 0)
		strv_add(&u->plan->problems, memory.msg);
	r = precheck_result(&u->plan->problems, "upgrade", e);
	return r < 0 || commits ? r : look_for_machines(u, e);
}

int plan_make(struct upgrade_run *u, struct err *e)
{
	uint8_t old_hash[SHA256_BYTES];
	bool differs = false;

	name_all(u);
	int r = read_old(u, old_hash, e);
	if (r < 0)
		return r;
	u->plan->already = memcmp(old_hash, manifest_of(u)->verity.root_hash, SHA256_BYTES) == 0;
	if (u->plan->already)
		return 0;
	u->plan->to = site_next_layer(&u->site, u->plan->base);
	if (!lvm_name_ok(u->plan->to))
		return err_set(e, EINVAL, "'%s' cannot be the name of a volume", u->plan->to);
	r = failed_read(u->site.boot_fd, &u->failed, e);
	if (r == 0)
		r = look_for_base(u, &differs, e);
	if (r == 0)
		r = carry_plan_make(
			&u->site, manifest_of(u), &u->spec->drop_plugins, &u->plan->plugins, e);
	if (r == 0)
		r = estimate(u, e);
	return r < 0 ? r : judge(u, differs, e);
}

int plan_fit(struct upgrade_run *u, struct err *e)
{
	autostrv problems = {0};
	int r = u->tight ? measure_base(u, e) : 0;

	if (r < 0 || !u->tight)
		return r;
	precheck_rooms(u->plan, &u->site, &problems);
	for (size_t i = 0; i < problems.count; i++)
		strv_add(&u->plan->problems, problems.items[i]);
	return precheck_result(&problems, "upgrade", e);
}

int plan_plugins(struct upgrade_run *u, struct err *e)
{
	const struct strv *drop = &u->spec->drop_plugins;
	autocarryplan checked = {0};
	autostrv problems = {0};

	if (u->plan->plugins.count == 0)
		return 0;
	int r = carry_plan_check(&u->site, image_tree(u->image.img), drop, &checked, e);
	if (r < 0)
		return r;
	carry_plan_fini(&u->plan->plugins);
	u->plan->plugins = checked;
	checked = (struct carry_plan){0};
	carry_plan_problems(&u->plan->plugins, drop, &problems);
	strv_add_all(&u->plan->problems, &problems);
	return precheck_result(&problems, "upgrade", e);
}

static int read_node_packages(struct old_layer *old, struct manifest *out, struct err *e)
{
	autofree char *text = NULL;
	int r = image_read(old->upper, NODE_STATUS, DPKG_STATUS_MAX_BYTES, &text, NULL, e);

	if (r == -ENOENT) {
		*e = (struct err){0};
		return 0;
	}
	return r < 0 ? r : packages_parse(text, out, e);
}

static int compare_packages(
	struct upgrade_run *u, struct base_view *old_base, struct old_layer *old, struct err *e)
{
	automanifest base = {0}, node = {0};
	autostrv lost = {0};
	int r = packages_read(image_tree(old_base->img), &base, e);

	if (r == 0)
		r = read_node_packages(old, &node, e);
	if (r < 0)
		return err_wrap(e, r, "the node's packages");
	packages_compare(&base, manifest_of(u), &u->plan->packages);
	packages_lost(&node, &base, manifest_of(u), &lost);
	for (size_t i = 0; i < lost.count; i++)
		if (!carry_plan_has_package(&u->plan->plugins, lost.items[i]))
			strv_add(&u->plan->lost_packages, lost.items[i]);
	return 0;
}

int plan_measure(struct upgrade_run *u, struct err *e)
{
	autooldlayer old = OLD_LAYER_NONE;
	autobaseview base = {0};
	uint8_t hash[SHA256_BYTES];
	int r = measure_base(u, e);

	if (r == 0)
		r = site_root_hash(&u->site, u->site.layer, hash, e);
	if (r == 0)
		r = old_layer_open(&u->site, u->site.layer, &old, e);
	if (r == 0)
		r = base_view_open(&u->site, u->site.base, hash, BASE_VIEW_OLD, &base, e);
	if (r == 0)
		r = compare_packages(u, &base, &old, e);
	if (r < 0)
		return r;
	const struct merge_trees trees = {
		.old_base = image_tree(base.img),
		.upper = old.upper,
		.new_base = image_tree(u->image.img),
	};
	return merge_layer(&trees, -1, &u->plan->merge, u->p, e);
}
