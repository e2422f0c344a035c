/* SPDX-License-Identifier: Apache-2.0 */
#include "node/motd.h"

#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "node/text.h"

#define NOTICES_MAX 8

void node_notices(const struct node_state *s, struct strv *out)
{
	const struct node_boot *b = &s->boot;

	if (b->trial && s->layer && str_eq(b->trial, s->layer))
		strv_take(out, xasprintf("layer %s is on trial", b->trial));
	else if (b->trial)
		strv_take(out, xasprintf("layer %s is tried at the next boot", b->trial));
	if (b->last_failed)
		strv_take(out,
			xasprintf("the trial of layer %s failed: %s", b->last_failed,
				b->last_why ? b->last_why : "it is not known why"));
	if (s->image.edited)
		strv_take(out,
			xasprintf("this image was edited: it is not the one that was released"));
	if (b->staged)
		strv_take(out, xasprintf("layer %s is staged", b->staged));
}

int node_result_save(const struct check_result *r, const struct strv *notices, struct err *e)
{
	json_t *j = check_json(r), *list = json_array();

	for (size_t i = 0; i < notices->count; i++)
		json_array_append_new(list, json_text(notices->items[i]));
	json_object_set_new(j, "notices", list);
	autofree char *text = json_format(j);

	json_decref(j);
	return file_replace(NODE_RESULT_PATH, text, strlen(text), 0644, e);
}

static const char *word_for(const char *status)
{
	if (!status)
		return "UNKNOWN";
	if (str_eq(status, check_status_id(CHECK_OK)))
		return "OK";
	return str_eq(status, check_status_id(CHECK_WARN)) ? "WARN" : "DEGRADED";
}

static void put_notices(const json_t *j, struct strbuf *b)
{
	const json_t *list = json_object_get(j, "notices");

	for (size_t i = 0; i < json_array_size(list) && i < NOTICES_MAX; i++) {
		const char *notice = json_string_value(json_array_get(list, i));

		if (notice)
			text_line(b, "  %s", notice);
	}
}

char *node_motd_text(const char *text, int64_t age_seconds)
{
	bool fresh = text && age_seconds >= 0 && age_seconds <= NODE_RESULT_MAX_SECONDS;
	json_t *j = fresh ? json_loads(text, 0, NULL) : NULL;
	const char *word = word_for(json_string_value(json_object_get(j, "status")));
	bool well = str_eq(word, "OK") || str_eq(word, "WARN");
	autostrbuf b = {0};

	text_line(&b, "  node status: %s", word);
	put_notices(j, &b);
	strbuf_puts(&b,
		well ? "  See `nodectl check` for more information\n"
		     : "  Please check the status manually using `nodectl check`\n");
	json_decref(j);
	return strbuf_take(&b);
}
