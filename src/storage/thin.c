/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/thin.h"

#include <errno.h>
#include <inttypes.h>

#include "base/cmd.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/pool-metadata.h"

#define SETTLE_NAME          "bedplate.settle"
#define SECTOR_BYTES         512
#define METADATA_BLOCK_BYTES 4096

/* lvm(8) takes whole sectors, and makes whole extents of them. */
static char *size_option(const char *option, uint64_t bytes)
{
	uint64_t sectors = bytes / SECTOR_BYTES + (bytes % SECTOR_BYTES > 0);

	return xasprintf("%s=%" PRIu64 "s", option, sectors);
}

static int check_names(const char *vg, const char *name, struct err *e)
{
	if (!lvm_name_ok(vg) || !lvm_name_ok(name))
		return err_set(e, EINVAL, "'%s/%s' cannot be the name of a volume", vg, name);
	return 0;
}

/* What device-mapper calls it: "VG-LV", dashes in names are doubled. */
static char *mapper_name(const char *vg, const char *name, const char *suffix)
{
	const char *const parts[] = {vg, name};
	autostrbuf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (i > 0)
			strbuf_putc(&b, '-');
		for (const char *s = parts[i]; *s; s++) {
			if (*s == '-')
				strbuf_putc(&b, '-');
			strbuf_putc(&b, *s);
		}
	}
	strbuf_puts(&b, suffix);
	return strbuf_take(&b);
}

static int ask_mapper(const char *what, const char *device, struct strv *words, struct err *e)
{
	autofree char *text = NULL;
	autocmd c = {0};

	cmd_add(&c, "dmsetup", what, device, NULL);
	int r = cmd_output(&c, &text, e);
	char *rest = text;
	for (char *word; r == 0 && (word = str_next_word(&rest, " \n"));)
		strv_add(words, word);
	if (r == 0 && (words->count < 4 || !str_eq(words->items[2], "thin-pool")))
		r = err_set(e, EPROTO, "dmsetup %s %s: it is no thin pool", what, device);
	return r;
}

/* "USED/TOTAL" */
static int parse_use(
	const char *text, uint64_t unit, uint64_t *used, uint64_t *total, struct err *e)
{
	char *end;
	uint64_t u = strtoumax(text, &end, 10), t;

	if (end == text || *end != '/' || end[1] < '0' || end[1] > '9')
		return err_set(e, EPROTO, "'%s' is not USED/TOTAL", text);
	t = strtoumax(end + 1, &end, 10);
	if (*end != '\0' || u > t || t > UINT64_MAX / unit)
		return err_set(e, EPROTO, "'%s' is not USED/TOTAL", text);
	*used = u * unit;
	*total = t * unit;
	return 0;
}

/* Documentation/admin-guide/device-mapper/thin-provisioning.rst of the kernel, "Status". */
static int parse_status(const struct strv *words, struct pool_room *out, struct err *e)
{
	int r;

	if (str_eq(words->items[3], "Fail") || str_eq(words->items[3], "Error")) {
		out->failed = true;
		return 0;
	}
	if (words->count < 7)
		return err_set(e, EPROTO, "%zu words of status, expected 7 or more", words->count);
	r = parse_use(words->items[4], METADATA_BLOCK_BYTES, &out->metadata_used_bytes,
		&out->metadata_bytes, e);
	if (r == 0)
		r = parse_use(words->items[5], out->chunk_bytes, &out->data_used_bytes,
			&out->data_bytes, e);
	out->read_only = strv_has(words, "ro");
	out->out_of_data = strv_has(words, "out_of_data_space");
	out->needs_check = strv_has(words, "needs_check");
	out->error_if_full = strv_has(words, "error_if_no_space");
	return r;
}

/* A pool as device-mapper knows it. */
struct pool_device {
	char *name;
	uint64_t chunk_bytes;
};

static void pool_device_fini(struct pool_device *d)
{
	free(d->name);
}
#define autopooldevice auto_with(pool_device_fini) struct pool_device

/*
 * As long as there are volumes in it LVM keeps the pool under a name of its own, and puts something
 * else over it under its plain name.
 */
static int find_device(const char *vg, const char *pool, struct pool_device *out, struct err *e)
{
	static const char *const suffixes[] = {"-tpool", ""};
	struct err own = {0};
	int r = check_names(vg, pool, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		autofree char *name = mapper_name(vg, pool, suffixes[i]);
		autostrv table = {0};

		r = ask_mapper("table", name, &table, &own);
		if (r == -EPROTO)
			continue;
		if (r < 0)
			break;
		if (table.count > 5)
			out->chunk_bytes = strtoumax(table.items[5], NULL, 10) * SECTOR_BYTES;
		if (out->chunk_bytes == 0)
			return err_set(e, EPROTO, "dmsetup table %s: no size of chunks", name);
		out->name = take_ptr(name);
		return 0;
	}
	if (r == -EPROTO)
		return err_set(e, ENOENT, "there is none that is active");
	return err_set(e, own.code, "%s", own.msg);
}

static int read_room(const struct pool_device *d, struct pool_room *out, struct err *e)
{
	struct pool_room room = {.chunk_bytes = d->chunk_bytes};
	autostrv status = {0};
	int r = ask_mapper("status", d->name, &status, e);

	if (r == 0)
		r = parse_status(&status, &room, e);
	if (r < 0)
		return r;
	*out = room;
	return 0;
}

int pool_room(const char *vg, const char *pool, struct pool_room *out, struct err *e)
{
	autopooldevice d = {0};
	int r = find_device(vg, pool, &d, e);

	if (r == 0)
		r = read_room(&d, out, e);
	return r < 0 ? err_wrap(e, r, "thin pool '%s/%s'", vg, pool) : 0;
}

static int send(const char *device, const char *message, struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "dmsetup", "message", device, "0", message, NULL);
	return cmd_run(&c, e);
}

/* Asked for by LVM, and as far as the pool has counted not made. */
static const struct lvm_lv *find_pending(
	const struct lvm_report *lvm, const struct lvm_lv *pool, uint64_t counted)
{
	for (size_t i = 0; i < lvm->lv_count; i++) {
		const struct lvm_lv *lv = &lvm->lvs[i];

		if (str_eq(lv->vg, pool->vg) && lv->is_thin && lv->pool &&
			str_eq(lv->pool, pool->name) && lv->transaction_id == counted &&
			lvm_has_tag(&lv->tags, LVM_TAG_NEW))
			return lv;
	}
	return NULL;
}

static int drop_pending(const struct pool_device *d, const struct lvm_lv *lv, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", lv->vg, lv->name);
	autofree char *message = xasprintf("delete %" PRIu64, lv->thin_id);
	struct err own = {0};
	int r = lvm_run(e, "lvchange", "--activate=n", path, NULL);

	if (r < 0)
		return r;
	/* That it does not exist is as well. */
	if (send(d->name, message, &own) < 0) {
		log_debug("%s", own.msg);
		return 0;
	}
	log_info("volume '%s', which was cut off while it was made, is taken out of the pool",
		lv->name);
	return 1;
}

int pool_mend(const struct lvm_report *lvm, const struct lvm_lv *pool, struct err *e)
{
	autopooldevice d = {0};
	autostrv status = {0};
	int r = find_device(pool->vg, pool->name, &d, e);

	if (r == 0)
		r = ask_mapper("status", d.name, &status, e);
	if (r == 0 && status.items[3][0] >= '0' && status.items[3][0] <= '9') {
		uint64_t counted = strtoumax(status.items[3], NULL, 10);
		const struct lvm_lv *lv = counted + 1 == pool->transaction_id
			? find_pending(lvm, pool, counted)
			: NULL;

		if (lv)
			r = drop_pending(&d, lv, e);
	}
	return r < 0 ? err_wrap(e, r, "thin pool '%s/%s'", pool->vg, pool->name) : r;
}

static int verify(const struct pool_device *d, const char *metadata, struct err *e)
{
	struct pool_room room;
	int r = read_room(d, &room, e);

	if (r == 0 && (room.failed || room.needs_check))
		r = err_set(e, EBADMSG, "the kernel has found its metadata damaged");
	return r == 0 ? pool_metadata_check(metadata, e) : r;
}

int pool_verify(const char *vg, const char *pool, struct err *e)
{
	autofree char *name = mapper_name(vg, pool, "_tmeta");
	autofree char *metadata = xasprintf("/dev/mapper/%s", name);
	autopooldevice d = {0};
	int r = find_device(vg, pool, &d, e);

	if (r == 0)
		r = verify(&d, metadata, e);
	return r < 0 ? err_wrap(e, r, "thin pool '%s/%s'", vg, pool) : 0;
}

static const struct lvm_lv *find_lv(const struct lvm_report *r, const char *vg, const char *name)
{
	for (size_t i = 0; i < r->lv_count; i++)
		if (str_eq(r->lvs[i].vg, vg) && str_eq(r->lvs[i].name, name))
			return &r->lvs[i];
	return NULL;
}

int thin_drop(const char *vg, const char *name, struct err *e)
{
	autofree char *select = xasprintf(
		"--select=lv_name=\"%s\" && lv_tags=\"" LVM_TAG_NEW "\"", name);
	int r = check_names(vg, name, e);

	/* This is how what was interrupted is taken back. */
	interrupt_defer();
	if (r == 0)
		r = lvm_run(e, "lvremove", "--force", select, vg, NULL);
	interrupt_resume();
	return r < 0 ? err_wrap(e, r, "removing volume '%s'", name) : 0;
}

/* lvcreate(8) may have been ended after it made it. */
static void take_back(const char *vg, const char *name)
{
	struct err removing = {0};

	if (thin_drop(vg, name, &removing) < 0)
		log_warning("%s", removing.msg);
}

int thin_create(const char *vg, const char *pool, const char *name, uint64_t bytes, struct err *e)
{
	autofree char *size = size_option("--virtualsize", bytes);
	autofree char *in_pool = xasprintf("--thinpool=%s", pool);
	autofree char *named = xasprintf("--name=%s", name);
	int r = check_names(vg, pool, e);

	if (r == 0)
		r = check_names(vg, name, e);
	if (r < 0)
		return err_wrap(e, r, "new volume '%s'", name);
	r = lvm_run(e, "lvcreate", "--type=thin", size, in_pool, "--addtag=" LVM_TAG_NEW, named, vg,
		NULL);
	if (r == 0)
		return 0;
	take_back(vg, name);
	return err_wrap(e, r, "new volume '%s'", name);
}

int pool_settle(const char *vg, const char *pool, struct err *e)
{
	autofree char *in_pool = xasprintf("--thinpool=%s", pool);
	int r = check_names(vg, pool, e);

	if (r == 0)
		r = lvm_run(e, "lvcreate", "--type=thin", "--virtualsize=4m", in_pool,
			"--addtag=" LVM_TAG_NEW, "--activate=n", "--name=" SETTLE_NAME, vg, NULL);
	if (r == 0)
		r = thin_remove(vg, SETTLE_NAME, e);
	return r < 0 ? err_wrap(e, r, "thin pool '%s/%s'", vg, pool) : 0;
}

static int grow(const char *vg, const char *name, uint64_t min_bytes, struct err *e)
{
	autofree char *lv = xasprintf("%s/%s", vg, name);
	autofree char *path = xasprintf("/dev/%s", lv);
	autofree char *size = size_option("--size", min_bytes);
	autoptr(source) volume = NULL;
	int r = source_open_path(path, &volume, e);

	if (r < 0 || volume->size_bytes >= min_bytes)
		return r;
	return lvm_run(e, "lvextend", size, lv, NULL);
}

int thin_snapshot(
	const char *vg, const char *origin, const char *name, uint64_t min_bytes, struct err *e)
{
	autofree char *of = xasprintf("%s/%s", vg, origin);
	autofree char *named = xasprintf("--name=%s", name);
	int r = check_names(vg, origin, e);

	if (r == 0)
		r = check_names(vg, name, e);
	if (r < 0)
		return err_wrap(e, r, "snapshot '%s' of '%s'", name, origin);
	/* Without a size lvcreate(8) makes a thin one or none. */
	r = lvm_run(e, "lvcreate", "--snapshot", "--setactivationskip=n", "--permission=rw",
		"--addtag=" LVM_TAG_NEW, named, of, NULL);
	if (r == 0)
		r = grow(vg, name, min_bytes, e);
	if (r == 0)
		return 0;
	take_back(vg, name);
	return err_wrap(e, r, "snapshot '%s' of '%s'", name, origin);
}

static int accept(const char *path, bool read_only, const char *const tags[], struct err *e)
{
	autostrv args = {0};

	strv_add(&args, "lvchange");
	if (read_only) {
		strv_add(&args, "--permission=r");
		strv_add(&args, "--setactivationskip=y");
	}
	strv_add(&args, "--deltag=" LVM_TAG_NEW);
	for (size_t i = 0; tags[i]; i++)
		strv_take(&args, xasprintf("--addtag=%s", tags[i]));
	strv_add(&args, path);
	return lvm_run_args(&args, e);
}

int thin_accept(
	const char *vg, const char *name, bool read_only, const char *const tags[], struct err *e)
{
	autofree char *path = xasprintf("%s/%s", vg, name);
	int r = check_names(vg, name, e);

	for (size_t i = 0; r == 0 && tags[i]; i++)
		if (!lvm_tag_ok(tags[i]))
			r = err_set(e, EINVAL, "'%s' cannot be a tag", tags[i]);
	if (r == 0 && read_only)
		r = lvm_run(e, "lvchange", "--activate=n", path, NULL);
	if (r == 0)
		r = accept(path, read_only, tags, e);
	return r < 0 ? err_wrap(e, r, "finishing volume '%s'", name) : 0;
}

static bool may_go(const struct lvm_lv *lv)
{
	static const char *const tags[] = {
		LVM_TAG_NEW, LVM_TAG_BASE, LVM_TAG_LAYER, LVM_TAG_VOLUME, LVM_TAG_SNAPSHOT};

	for (size_t i = 0; !lv->is_pool && i < ARRAY_LEN(tags); i++)
		if (lvm_has_tag(&lv->tags, tags[i]))
			return true;
	return false;
}

static bool is_open(const char *vg, const char *name)
{
	autofree char *device = mapper_name(vg, name, "");
	autofree char *text = NULL;
	struct err ignored = {0};
	autocmd c = {0};

	cmd_add(&c, "dmsetup", "info", "--columns", "--noheadings", "--options=open", device, NULL);
	return cmd_output(&c, &text, &ignored) == 0 && strtoumax(str_trim(text), NULL, 10) > 0;
}

static int remove_volume(const char *vg, const char *name, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", vg, name);
	autolvmreport report = {0};
	int r = lvm_report(&report, e);
	const struct lvm_lv *lv = r == 0 ? find_lv(&report, vg, name) : NULL;

	if (!lv)
		return r;
	if (!may_go(lv))
		return err_set(e, EPERM, "'%s' has no tag of this node's volumes: it stays", path);
	r = lvm_run(e, "lvremove", "--force", path, NULL);
	if (r < 0 && is_open(vg, name))
		r = err_set(e, EBUSY, "'%s' is in use", path);
	return r;
}

int thin_remove(const char *vg, const char *name, struct err *e)
{
	int r = check_names(vg, name, e);

	if (r < 0)
		return r;
	/* This is how what was interrupted is taken back. */
	interrupt_defer();
	r = remove_volume(vg, name, e);
	interrupt_resume();
	return r < 0 ? err_wrap(e, r, "removing volume '%s'", name) : 0;
}
