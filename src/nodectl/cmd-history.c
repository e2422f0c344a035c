/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "boot/records.h"
#include "node/text.h"
#include "nodectl/commands.h"
#include "upgrade/site.h"

struct options {
	uint64_t limit;
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "limit", "N", "only the last N (default: all)", OPT_NUMBER,
		offsetof(struct options, limit)},
};

static void print_json(const struct history *h, size_t first)
{
	json_t *list = json_array();

	for (size_t i = first; i < h->count; i++) {
		const struct transition *t = &h->items[i];

		json_array_append_new(list,
			json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "time",
				(json_int_t)t->time, "operation", json_text(t->operation), "from",
				json_text(t->from), "to", json_text(t->to), "result",
				json_text(t->result), "why", json_text(t->why), "who",
				json_text(t->who), "signer", json_text(t->signer), "unsigned",
				(int)t->is_unsigned));
	}
	json_print(json_pack("{s:i, s:o}", "schema", 1, "transitions", list));
}

static void print_text(const struct history *h, size_t first)
{
	autostrbuf out = {0};

	for (size_t i = first; i < h->count; i++) {
		const struct transition *t = &h->items[i];
		autofree char *date = text_date(t->time);

		text_line(&out, "%s  %s: %s -> %s, %s%s%s%s%s%s%s", date, t->operation,
			t->from ? t->from : "-", t->to, t->result, t->who ? ", by " : "",
			t->who ? t->who : "", t->is_unsigned ? ", not signed" : "",
			t->signer ? ", signed by " : "", t->signer ? t->signer : "",
			t->why ? ":" : "");
		if (t->why)
			text_line(&out, "    %s", t->why);
	}
	fputs(out.data ? out.data : "", stdout);
}

static int run(
	const void *parsed, UNUSED char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	autohistory history = {0};
	autosite site = {0};
	int r = site_open(true, &site, e);

	if (r == 0)
		r = history_read(site.boot_fd, &history, e);
	if (r < 0)
		return r;
	size_t first = o->limit && o->limit < history.count ? history.count - o->limit : 0;
	(o->json ? print_json : print_text)(&history, first);
	return 0;
}

const struct cli_command cmd_history = {
	.name = "history",
	.args = "",
	.summary = "Show the upgrades and rollbacks of this node",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.run = run,
};
