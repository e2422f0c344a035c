/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lvm.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cmd.h"
#include "base/xalloc.h"

#define NAME_MAX_LEN 127
#define TAG_MAX_LEN  1024
#define NAME_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-"
#define TAG_CHARS    NAME_CHARS "/=!:&#"

/* A disk that does not answer would be waited for. */
#define REPORT_TIMEOUT_SECONDS 60

static void lvm_lv_fini(struct lvm_lv *lv)
{
	free(lv->vg);
	free(lv->name);
	free(lv->path);
	free(lv->pool);
	free(lv->origin);
	free(lv->profile);
	free(lv->health);
	strv_fini(&lv->tags);
}

static void lvm_vg_fini(struct lvm_vg *vg)
{
	free(vg->name);
	free(vg->uuid);
	strv_fini(&vg->tags);
	strv_fini(&vg->pvs);
}

void lvm_report_fini(struct lvm_report *r)
{
	for (size_t i = 0; i < r->vg_count; i++)
		lvm_vg_fini(&r->vgs[i]);
	for (size_t i = 0; i < r->lv_count; i++)
		lvm_lv_fini(&r->lvs[i]);
	free(r->vgs);
	free(r->lvs);
	*r = (struct lvm_report){0};
}

DEFINE_AUTOPTR(json_t, json_decref)

/* The value of a column, "" when it has none. */
static const char *column(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	return value ? value : "";
}

static char *column_or_null(const json_t *row, const char *name)
{
	const char *value = column(row, name);

	return *value ? xstrdup(value) : NULL;
}

static uint64_t column_number(const json_t *row, const char *name)
{
	return strtoumax(column(row, name), NULL, 10);
}

static double column_percent(const json_t *row, const char *name)
{
	const char *value = column(row, name);

	return *value ? strtod(value, NULL) : -1;
}

/* lvm(8) prints -1 for "cannot tell", which is no. */
static bool column_is(const json_t *row, const char *name, const char *value)
{
	return str_eq(column(row, name), value);
}

static void add_tags(struct strv *out, const json_t *row, const char *name)
{
	autofree char *copy = xstrdup(column(row, name));
	char *rest = copy;

	for (char *tag; (tag = str_next_word(&rest, ","));)
		strv_add(out, tag);
}

static void add_lv(struct lvm_report *r, const char *vg, const json_t *row)
{
	const char *name = column(row, "lv_name"), *layout = column(row, "lv_layout");
	struct lvm_lv lv = {
		.vg = xstrdup(vg),
		.name = xstrdup(name),
		.path = xasprintf("/dev/%s/%s", vg, name),
		.pool = column_or_null(row, "pool_lv"),
		.origin = column_or_null(row, "origin"),
		.size_bytes = column_number(row, "lv_size"),
		.is_pool = strstr(layout, "thin") && strstr(layout, "pool"),
		.is_thin = strstr(layout, "thin") && strstr(layout, "sparse"),
		.active = column_is(row, "lv_active", "active"),
		.read_only = str_starts(column(row, "lv_permissions"), "read-only"),
		.skips_activation = column_is(row, "lv_skip_activation", "1"),
		.data_percent = column_percent(row, "data_percent"),
		.metadata_percent = column_percent(row, "metadata_percent"),
		.metadata_bytes = column_number(row, "lv_metadata_size"),
		.error_if_full = column_is(row, "lv_when_full", "error"),
		.profile = column_or_null(row, "lv_profile"),
		.health = xstrdup(column(row, "lv_health_status")),
	};

	add_tags(&lv.tags, row, "lv_tags");
	r->lvs = xrealloc(r->lvs, (r->lv_count + 1) * sizeof(*r->lvs));
	r->lvs[r->lv_count++] = lv;
}

/* What is known of the segment only. */
static void add_segment(struct lvm_report *r, const char *vg, const json_t *row)
{
	for (size_t i = 0; i < r->lv_count; i++) {
		struct lvm_lv *lv = &r->lvs[i];

		if (!str_eq(lv->vg, vg) || !str_eq(lv->name, column(row, "lv_name")))
			continue;
		lv->transaction_id = column_number(row, "transaction_id");
		lv->thin_id = column_number(row, "thin_id");
		if (!lv->is_pool)
			continue;
		lv->has_discards = column_is(row, "discards", "passdown");
		lv->chunk_bytes = column_number(row, "chunk_size");
		lv->monitored = column_is(row, "seg_monitor", "monitored");
	}
}

static void add_vg(struct lvm_report *r, const json_t *report)
{
	const json_t *vg_row = json_array_get(json_object_get(report, "vg"), 0), *row;
	const char *name = column(vg_row, "vg_name");
	struct lvm_vg vg = {
		.name = xstrdup(name),
		.uuid = xstrdup(column(vg_row, "vg_uuid")),
		.size_bytes = column_number(vg_row, "vg_size"),
		.free_bytes = column_number(vg_row, "vg_free"),
		.extent_bytes = column_number(vg_row, "vg_extent_size"),
		.partial = column_is(vg_row, "vg_partial", "1"),
	};
	size_t i;

	add_tags(&vg.tags, vg_row, "vg_tags");
	json_array_foreach(json_object_get(report, "pv"), i, row)
		strv_add(&vg.pvs, column(row, "pv_name"));
	r->vgs = xrealloc(r->vgs, (r->vg_count + 1) * sizeof(*r->vgs));
	r->vgs[r->vg_count++] = vg;
	json_array_foreach(json_object_get(report, "lv"), i, row) add_lv(r, name, row);
	json_array_foreach(json_object_get(report, "seg"), i, row) add_segment(r, name, row);
}

static int run_report(char **text, struct err *e)
{
	autocmd c = {.timeout_seconds = REPORT_TIMEOUT_SECONDS};

	cmd_add(&c, "lvm", "fullreport", "--config=" LVM_CONFIG, "--reportformat=json", "--units=b",
		"--nosuffix", "--binary", NULL);
	cmd_add(&c, "--configreport=vg", "-o",
		"vg_name,vg_uuid,vg_tags,vg_size,vg_free,vg_extent_size,vg_partial", NULL);
	cmd_add(&c, "--configreport=pv", "-o", "pv_name", NULL);
	cmd_add(&c, "--configreport=lv", "-o",
		"lv_name,pool_lv,origin,lv_tags,lv_size,lv_layout,lv_active,lv_permissions,"
		"lv_skip_activation,lv_health_status,data_percent,metadata_percent,"
		"lv_metadata_size,lv_profile,lv_when_full",
		NULL);
	cmd_add(&c, "--configreport=seg", "-o",
		"lv_name,discards,seg_monitor,chunk_size,transaction_id,thin_id", NULL);
	cmd_add(&c, "--configreport=pvseg", "-o", "pvseg_start", NULL);
	return cmd_output(&c, text, e);
}

int lvm_report(struct lvm_report *out, struct err *e)
{
	autoptr(json_t) root = NULL;
	autofree char *text = NULL;
	json_error_t where;
	const json_t *report;
	size_t i;
	int r = run_report(&text, e);

	if (r < 0)
		return err_wrap(e, r, "asking LVM for its volumes");
	root = json_loads(text, 0, &where);
	if (!root)
		return err_set(e, EPROTO, "lvm fullreport: line %d: %s", where.line, where.text);
	/* Physical volumes without a group come in a report that has no group. */
	json_array_foreach(json_object_get(root, "report"), i,
		report) if (json_array_size(json_object_get(report, "vg")) > 0) add_vg(out, report);
	return 0;
}

const struct lvm_vg *lvm_node_vg(const struct lvm_report *r)
{
	const struct lvm_vg *found = NULL;

	for (size_t i = 0; i < r->vg_count; i++) {
		if (!lvm_has_tag(&r->vgs[i].tags, LVM_TAG_VG))
			continue;
		if (found)
			return NULL;
		found = &r->vgs[i];
	}
	return found;
}

/* name may be NULL: any. */
static const struct lvm_lv *find(const struct lvm_report *r, const char *tag, const char *name)
{
	const struct lvm_vg *vg = lvm_node_vg(r);

	for (size_t i = 0; vg && i < r->lv_count; i++) {
		const struct lvm_lv *lv = &r->lvs[i];

		if (str_eq(lv->vg, vg->name) && lvm_has_tag(&lv->tags, tag) &&
			(!name || str_eq(lv->name, name)))
			return lv;
	}
	return NULL;
}

const struct lvm_lv *lvm_node_pool(const struct lvm_report *r)
{
	return find(r, LVM_TAG_POOL, NULL);
}

const struct lvm_lv *lvm_find(const struct lvm_report *r, const char *tag, const char *name)
{
	return find(r, tag, name);
}

bool lvm_has_tag(const struct strv *tags, const char *tag)
{
	return strv_has(tags, tag);
}

const char *lvm_tag_value(const struct strv *tags, const char *prefix)
{
	for (size_t i = 0; i < tags->count; i++)
		if (str_starts(tags->items[i], prefix))
			return tags->items[i] + strlen(prefix);
	return NULL;
}

bool lvm_name_ok(const char *name)
{
	/* lvm(8), "valid names": what its own hidden volumes are called. */
	static const char *const reserved[] = {"_cdata", "_cmeta", "_corig", "_mimage", "_mlog",
		"_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_imeta",
		"_iorig", "_cvol", "_wcorig"};
	size_t len = strspn(name, NAME_CHARS);

	if (len == 0 || len > NAME_MAX_LEN || name[len] != '\0' || name[0] == '-' ||
		str_eq(name, ".") || str_eq(name, "..") || str_starts(name, "snapshot") ||
		str_starts(name, "pvmove"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (strstr(name, reserved[i]))
			return false;
	return true;
}

bool lvm_tag_ok(const char *tag)
{
	size_t len = strspn(tag, TAG_CHARS);

	return len > 0 && len <= TAG_MAX_LEN && tag[len] == '\0' && tag[0] != '-';
}

int lvm_run_args(const struct strv *args, struct err *e)
{
	autocmd c = {0};

	const char *config = "--config=" LVM_CONFIG;

	cmd_add(&c, "lvm", args->items[0], "--yes", NULL);
	/*
	 * It would start dmeventd if nobody else has, in our mount namespace, whose mounts would then
	 * outlive us.  A node has lvm2-monitor.service for that.
	 */
	if (str_eq(args->items[0], "lvcreate") || str_eq(args->items[0], "lvchange"))
		strv_add(&c.argv, "--ignoremonitoring");
	for (size_t i = 1; i < args->count; i++) {
		strv_add(&c.argv, args->items[i]);
		if (str_starts(args->items[i], "--config="))
			config = NULL;
	}
	if (config)
		strv_add(&c.argv, config);
	int r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "%s", args->items[0]) : 0;
}

int lvm_run(struct err *e, ...)
{
	autostrv args = {0};
	va_list ap;

	va_start(ap, e);
	for (const char *arg; (arg = va_arg(ap, const char *));)
		strv_add(&args, arg);
	va_end(ap);
	return lvm_run_args(&args, e);
}
