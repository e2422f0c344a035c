/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/layout.h"

#include <errno.h>
#include <stdarg.h>

#include "base/xalloc.h"
#include "ks/ks.h"
#include "storage/layout-internal.h"

/* No disk is larger, and sums of a few such sizes still fit into 64 bits. */
#define SIZE_MAX_BYTES (1ULL << 60)

void layout_fini(struct layout *l)
{
	for (size_t i = 0; i < l->disk_count; i++) {
		free(l->disks[i].path);
		free(l->disks[i].remove);
	}
	for (size_t i = 0; i < l->part_count; i++) {
		free(l->parts[i].path);
		free(l->parts[i].label);
		free(l->parts[i].mount);
		free(l->parts[i].fstype);
		free(l->parts[i].fsoptions);
	}
	for (size_t i = 0; i < l->volume_count; i++) {
		free(l->volumes[i].name);
		free(l->volumes[i].mount);
		free(l->volumes[i].fstype);
		free(l->volumes[i].fsoptions);
	}
	for (size_t i = 0; i < l->erase_count; i++) {
		free(l->erase[i].device);
		free(l->erase[i].what);
	}
	free(l->disks);
	free(l->parts);
	free(l->vg);
	free(l->pool);
	free(l->volumes);
	free(l->erase);
	strv_fini(&l->remove_vgs);
	strv_fini(&l->remove_lvs);
	*l = (struct layout){0};
}

void plan_fini(struct plan *p)
{
	for (size_t i = 0; i < p->pick_count; i++)
		free(p->picks[i].goes);
	free(p->picks);
	free(p->want.parts);
	free(p->want.volumes);
}

int plan_refuse(const struct ks_cmd *c, struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = xvasprintf(fmt, ap);
	va_end(ap);
	return err_set(e, code, "%s:%u: %s: %s", ks_file(c), ks_line(c), ks_name(c), text);
}

uint64_t plan_round_up(uint64_t bytes, uint64_t unit)
{
	return plan_round_down(bytes + unit - 1, unit);
}

uint64_t plan_round_down(uint64_t bytes, uint64_t unit)
{
	return bytes - bytes % unit;
}

int plan_bytes(const struct ks_cmd *c, const char *option, uint64_t unit_bytes, uint64_t *out,
	struct err *e)
{
	int64_t n;

	*out = 0;
	if (!ks_int(c, option, &n))
		return 0;
	if (n <= 0 || (uint64_t)n > SIZE_MAX_BYTES / unit_bytes)
		return plan_refuse(c, e, EINVAL, "--%s must be between 1 and %llu", option,
			SIZE_MAX_BYTES / unit_bytes);
	*out = (uint64_t)n * unit_bytes;
	return 0;
}

/* What one of them may still take, for its share of pot; weights: of all that may. */
static uint64_t share_of(const struct grower *g, uint64_t pot, uint64_t weights)
{
	uint64_t room = g->got < g->limit ? g->limit - g->got : 0;
	uint64_t share = (uint64_t)((unsigned __int128)pot * g->base / weights);

	/* Rounding must not leave anything: the first ones may get a unit more. */
	if (share == 0)
		share = 1;
	return MIN(share, room);
}

/* One round, which reaches a limit or gives out everything.  Returns what is left. */
static uint64_t grow_round(struct grower *g, size_t count, uint64_t pot)
{
	uint64_t weights = 0, left = pot;

	for (size_t i = 0; i < count; i++)
		weights += g[i].got < g[i].limit ? g[i].base : 0;
	for (size_t i = 0; i < count && weights > 0; i++) {
		uint64_t share = MIN(share_of(&g[i], pot, weights), left);

		g[i].got += share;
		left -= share;
	}
	return left;
}

void plan_grow(struct grower *g, size_t count, uint64_t left)
{
	uint64_t before;

	for (size_t i = 0; i < count; i++)
		g[i].got = g[i].base;
	do {
		before = left;
		left = grow_round(g, count, left);
	} while (left > 0 && left < before);
}

static int make_plan(struct plan *p, struct err *e)
{
	int r = plan_read_want(p, e);

	if (r < 0)
		return r;
	if (p->params->reinstall) {
		r = plan_keep_node(p, e);
	} else {
		r = plan_choose_disks(p, e);
		if (r == 0)
			r = plan_clear_disks(p, e);
		if (r == 0)
			r = plan_parts(p, e);
	}
	if (r == 0)
		r = plan_volumes(p, e);
	return r == 0 ? plan_check_names(p, e) : r;
}

static int plan_once(const struct ks_doc *doc, const struct inventory *inv,
	const struct layout_params *params, bool looks_again, struct layout *out, struct err *e)
{
	autolayout l = {0};
	autoplan p = {
		.doc = doc, .inv = inv, .params = params, .looks_again = looks_again, .out = &l};
	int r = make_plan(&p, e);

	if (r < 0)
		return r;
	*out = l;
	l = (struct layout){0};
	return 0;
}

int layout_plan(const struct ks_doc *doc, const struct inventory *inv,
	const struct layout_params *params, struct layout *out, struct err *e)
{
	return plan_once(doc, inv, params, false, out, e);
}

int layout_plan_here(const struct ks_doc *doc, struct inventory *inv,
	const struct layout_params *params, struct layout *out, struct err *e)
{
	autolayout first = {0};
	int r = plan_once(doc, inv, params, true, &first, e);

	if (r == 0)
		r = inventory_search(inv, &first.remove_vgs, e);
	/* Also where nothing was searched: the first plan let volumes pass that it could not judge. */
	return r < 0 ? r : plan_once(doc, inv, params, false, out, e);
}
