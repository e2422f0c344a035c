/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/xalloc.h"
#include "node/check.h"

static const struct {
	const char *id, *word, *colour;
} statuses[] = {
	[CHECK_OK] = {"ok", "OK", "\033[32m"},
	[CHECK_WARN] = {"warn", "WARN", "\033[33m"},
	[CHECK_FAILED] = {"failed", "FAILED", "\033[31m"},
};

const char *check_status_id(enum check_status status)
{
	return statuses[status].id;
}

static void put_status(struct strbuf *b, enum check_status status, bool colour)
{
	if (colour)
		strbuf_printf(b, "%s%s\033[0m", statuses[status].colour, statuses[status].word);
	else
		strbuf_puts(b, statuses[status].word);
}

static void put_check(struct strbuf *b, const struct check *c, bool colour)
{
	strbuf_printf(b, "  %s ... ", c->name);
	put_status(b, c->status, colour);
	if (c->reason) {
		autofree char *reason = str_printable(c->reason);

		strbuf_printf(b, " - %s", reason);
	}
	strbuf_putc(b, '\n');
}

char *check_text(const struct check_result *r, bool colour)
{
	autostrbuf b = {0};

	strbuf_puts(&b, "Status: ");
	put_status(&b, r->status, colour);
	strbuf_putc(&b, '\n');
	for (size_t i = 0; i < r->count; i++) {
		const struct check_group *g = &r->groups[i];

		strbuf_printf(&b, "%s ... ", g->name);
		put_status(&b, g->status, colour);
		strbuf_putc(&b, '\n');
		for (size_t n = 0; n < g->count; n++)
			put_check(&b, &g->items[n], colour);
	}
	return strbuf_take(&b);
}

char *check_line(const struct check_result *r, bool colour)
{
	autostrbuf b = {0};

	strbuf_puts(&b, "\n  Node Status: ");
	put_status(&b, r->status, colour);
	strbuf_putc(&b, '\n');
	return strbuf_take(&b);
}

static json_t *group_json(const struct check_group *g)
{
	json_t *checks = json_array();

	for (size_t i = 0; i < g->count; i++) {
		const struct check *c = &g->items[i];

		json_array_append_new(checks,
			json_pack("{s:s, s:s, s:s, s:o}", "id", c->id, "name", c->name, "status",
				check_status_id(c->status), "reason", json_text(c->reason)));
	}
	return json_pack("{s:s, s:s, s:s, s:o}", "id", g->id, "name", g->name, "status",
		check_status_id(g->status), "checks", checks);
}

json_t *check_json(const struct check_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(list, group_json(&r->groups[i]));
	return json_pack("{s:i, s:s, s:o}", "schema", 1, "status", check_status_id(r->status),
		"groups", list);
}
