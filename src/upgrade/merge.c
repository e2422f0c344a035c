/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/merge.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "node/text.h"
#include "upgrade/merge-internal.h"

static const char *const action_names[] = {
	[MERGE_KEPT] = "kept",
	[MERGE_MERGED] = "merged",
	[MERGE_CONFLICT] = "conflict",
	[MERGE_VENDOR] = "vendor",
	[MERGE_DROPPED] = "dropped",
	[MERGE_OWNER] = "owner",
};

void merge_report_fini(struct merge_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].path);
		free(r->items[i].why);
		free(r->items[i].beside);
	}
	free(r->items);
	*r = (struct merge_report){0};
}

const char *merge_action_name(enum merge_action action)
{
	return action_names[action];
}

char *merge_report_text(const struct merge_report *r)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < r->count; i++) {
		const struct merge_change *c = &r->items[i];

		if (c->action == MERGE_OWNER)
			continue;
		text_line(&b, "%-8s  %s%s%s%s%s", merge_action_name(c->action), c->path,
			c->why ? ": " : "", c->why ? c->why : "",
			c->beside ? "; the new image's: " : "", c->beside ? c->beside : "");
	}
	return strbuf_take(&b);
}

json_t *merge_report_json(const struct merge_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct merge_change *c = &r->items[i];
		json_t *j = json_object();

		json_object_set_new(j, "action", json_text(merge_action_name(c->action)));
		json_object_set_new(j, "path", json_text(c->path));
		json_object_set_new(j, "why", json_text(c->why));
		json_object_set_new(j, "beside", json_text(c->beside));
		json_array_append_new(list, j);
	}
	return list;
}

int merge_layer(const struct merge_trees *t, int out_fd, struct merge_report *out,
	struct progress *p, struct err *e)
{
	struct merge m = {.trees = t};
	automergereport report = {0};
	int r = merge_items_load(&m, e);

	if (r == 0)
		r = merge_accounts_load(&m, e);
	if (r == 0)
		r = merge_decide(&m, p, e);
	if (r == 0) {
		merge_units(&m);
		merge_shape(&m);
		r = merge_say(&m, &report, e);
	}
	if (r == 0 && out_fd >= 0)
		r = merge_write(&m, out_fd, p, e);
	merge_accounts_free(m.accounts);
	merge_items_fini(&m);
	if (r < 0)
		return err_wrap(e, r, "merging");
	*out = report;
	report = (struct merge_report){0};
	return 0;
}
