/* SPDX-License-Identifier: Apache-2.0 */
/* What the lab tests call of src/storage: driver VERB ARG... */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "ks/ks.h"
#include "storage/apply.h"
#include "storage/inventory.h"
#include "storage/layout.h"
#include "storage/lvm.h"

static json_t *list(const struct strv *v)
{
	json_t *j = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(j, json_text(v->items[i]));
	return j;
}

static int report(char *const args[] UNUSED, struct err *e)
{
	autolvmreport r = {0};
	int status = lvm_report(&r, e);

	if (status < 0)
		return status;
	const struct lvm_vg *node = lvm_node_vg(&r);
	const struct lvm_lv *pool = lvm_node_pool(&r);
	json_t *j = json_pack("{s:o, s:o, s:[], s:[]}", "node", json_text(node ? node->name : NULL),
		"pool", json_text(pool ? pool->name : NULL), "vgs", "lvs");

	for (size_t i = 0; i < r.vg_count; i++)
		json_array_append_new(json_object_get(j, "vgs"),
			json_pack("{s:s, s:o, s:o, s:b, s:I}", "name", r.vgs[i].name, "tags",
				list(&r.vgs[i].tags), "pvs", list(&r.vgs[i].pvs), "partial",
				r.vgs[i].partial, "extent", r.vgs[i].extent_bytes));
	for (size_t i = 0; i < r.lv_count; i++) {
		const struct lvm_lv *lv = &r.lvs[i];

		json_array_append_new(json_object_get(j, "lvs"),
			json_pack("{s:s, s:s, s:o, s:I, s:b, s:b, s:b, s:b, s:b, s:b, s:o, s:f}",
				"path", lv->path, "health", lv->health, "tags", list(&lv->tags),
				"size", lv->size_bytes, "is_pool", lv->is_pool, "is_thin",
				lv->is_thin, "active", lv->active, "read_only", lv->read_only,
				"skips_activation", lv->skips_activation, "has_discards",
				lv->has_discards, "origin", json_text(lv->origin), "data_percent",
				lv->data_percent));
	}
	json_print(j);
	return 0;
}

static uint64_t number(const char *text)
{
	return strtoumax(text, NULL, 10);
}

static int plan(const char *kickstart, bool reinstall, const char *base_bytes, struct layout *out,
	struct err *e)
{
	const struct layout_params params = {
		.name = "node",
		.version = "1.0",
		.rootfs_bytes = number(base_bytes),
		.boot_bytes = 16 * MIB,
		.reinstall = reinstall,
	};
	autoptr(ks_doc) doc = NULL;
	autoinventory inv = {0};
	int r = ks_parse_file(kickstart, NULL, &doc, e);

	if (r == 0 && ks_error_count(doc) > 0)
		r = err_set(e, EINVAL, "%s: %s", kickstart, ks_problem_at(doc, 0)->text);
	if (r == 0)
		r = inventory_read(&inv, e);
	return r == 0 ? layout_plan_here(doc, &inv, &params, out, e) : r;
}

/* MODE KICKSTART BASE-BYTES */
static int apply(char *const args[], struct err *e)
{
	autolayout l = {0};
	struct progress p;
	int r = plan(args[1], str_eq(args[0], "reinstall"), args[2], &l, e);

	if (r < 0)
		return r;
	autofree char *text = layout_text(&l);
	fputs(text, stdout);
	setvbuf(stdout, NULL, _IOLBF, 0);
	progress_init_json(&p, stdout);
	return layout_apply(&l, "node-1.0+1", &p, e);
}

static struct base_verity verity(char *const args[])
{
	return (struct base_verity){
		.hash_offset = number(args[0]),
		.fec_offset = number(args[1]),
		.fec_roots = (unsigned)number(args[2]),
	};
}

/* VG BASE HASH-OFFSET FEC-OFFSET FEC-ROOTS */
static int protect(char *const args[], struct err *e)
{
	const struct base_verity v = verity(args + 2);

	return base_protect(args[0], args[1], &v, e);
}

/* VG BASE HASH-OFFSET FEC-OFFSET FEC-ROOTS ROOT-HASH NAME */
static int open_base(char *const args[], struct err *e)
{
	const struct base_verity v = verity(args + 2);
	uint8_t root_hash[SHA256_BYTES];
	int r = hex_parse(args[5], root_hash, sizeof(root_hash), e);

	return r == 0 ? base_open(args[0], args[1], &v, root_hash, args[6], e) : r;
}

/* VG BASE NAME */
static int close_base(char *const args[], struct err *e)
{
	return base_close(args[0], args[1], args[2], e);
}

/* "dry" or "wet" */
static int remove_node(char *const args[], struct err *e)
{
	autoinventory inv = {0};
	autostrv removed = {0};
	struct progress p;
	int r = inventory_read(&inv, e);

	setvbuf(stdout, NULL, _IOLBF, 0);
	progress_init_json(&p, stdout);
	if (r == 0)
		r = node_remove(&inv, true, str_eq(args[0], "dry"), &removed, &p, e);
	for (size_t i = 0; r == 0 && i < removed.count; i++)
		printf("removed: %s\n", removed.items[i]);
	return r;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char *const args[], struct err *e);
} verbs[] = {
	{"report", 0, report},
	{"apply", 3, apply},
	{"protect", 5, protect},
	{"open", 7, open_base},
	{"close", 3, close_base},
	{"remove", 1, remove_node},
};

int main(int argc, char *argv[])
{
	struct err e = {0};

	log_init("driver");
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++) {
		if (!str_eq(verbs[i].name, argv[1]) || argc - 2 != verbs[i].args)
			continue;
		if (verbs[i].run(argv + 2, &e) == 0)
			return 0;
		fprintf(stderr, "driver: %s (errno %d)\n", e.msg, e.code);
		return 1;
	}
	fprintf(stderr, "driver: unknown verb or wrong number of arguments\n");
	return 2;
}
