/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/records-text.h"
#include "boot/records.h"

static const char *const operations[] = {
	[OPERATION_UPGRADE] = "upgrade",
	[OPERATION_ROLLBACK] = "rollback",
	[OPERATION_RESET] = "factory-reset",
};

static const char *const steps[] = {
	[STEP_BASE] = "base",
	[STEP_LAYER] = "layer",
	[STEP_BOOT] = "boot",
	[STEP_STAGED] = "staged",
	[STEP_COMMIT] = "commit",
	[STEP_TRIAL] = "trial",
};

const char *operation_name(enum operation o)
{
	return operations[o];
}

const char *step_name(enum step s)
{
	return steps[s];
}

void journal_fini(struct journal *j)
{
	free(j->from);
	free(j->to);
	free(j->base);
	free(j->snapshot);
	strv_fini(&j->dropped_plugins);
	*j = (struct journal){0};
}

static int parse_word(const json_t *o, const char *key, const char *const words[], size_t count,
	size_t *out, struct err *e)
{
	const char *word = json_string_value(json_object_get(o, key));

	for (size_t i = 0; word && i < count; i++)
		if (str_eq(word, words[i])) {
			*out = i;
			return 0;
		}
	return err_set(e, EBADMSG, "'%s' is not known", key);
}

/* What stands before the last "+" of the layer. */
static bool is_base_of(const char *base, const char *layer)
{
	size_t len = strlen(base);

	return strncmp(layer, base, len) == 0 && strrchr(layer, '+') == layer + len;
}

/* Not there in what older versions have written. */
static int parse_dropped(const json_t *o, struct strv *out, struct err *e)
{
	const json_t *list = json_object_get(o, "dropped_plugins");

	if (list && !json_is_array(list))
		return err_set(e, EBADMSG, "'dropped_plugins' is no list");
	if (!json_take_texts(list, out))
		return err_set(e, EBADMSG, "'dropped_plugins' is no list of names");
	return 0;
}

int journal_parse(const char *text, size_t len, struct journal *out, struct err *e)
{
	autoptr(json_t) o = NULL;
	autojournal j = {0};
	size_t operation = 0, step = 0;
	int r = record_object(text, len, &o, e);

	if (r == 0)
		r = parse_word(o, "operation", operations, ARRAY_LEN(operations), &operation, e);
	if (r == 0)
		r = parse_word(o, "step", steps, ARRAY_LEN(steps), &step, e);
	if (r == 0)
		r = record_layer(o, "from", false, &j.from, e);
	if (r == 0)
		r = record_layer(o, "to", false, &j.to, e);
	if (r == 0)
		r = record_text(o, "base", false, &j.base, e);
	if (r == 0 && !is_base_of(j.base, j.to))
		r = err_set(e, EBADMSG, "'base' is not that of 'to'");
	if (r == 0)
		r = record_bool(o, "new_base", &j.new_base, e);
	if (r == 0)
		r = record_bool(o, "var", &j.var, e);
	if (r == 0)
		r = record_text(o, "snapshot", true, &j.snapshot, e);
	if (r == 0)
		r = record_time(o, "started", &j.started, e);
	if (r == 0)
		r = parse_dropped(o, &j.dropped_plugins, e);
	if (r < 0)
		return r;
	j.operation = (enum operation)operation;
	j.step = (enum step)step;
	*out = j;
	j = (struct journal){0};
	return 0;
}

char *journal_format(const struct journal *j)
{
	autoptr(json_t) o = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:o, s:I}",
		"schema", 1, "operation", operations[j->operation], "step", steps[j->step], "from",
		json_text(j->from), "to", json_text(j->to), "base", json_text(j->base), "new_base",
		(int)j->new_base, "var", (int)j->var, "snapshot", json_text(j->snapshot), "started",
		(json_int_t)j->started);

	if (j->dropped_plugins.count > 0)
		json_object_set_new(o, "dropped_plugins", json_texts(&j->dropped_plugins));
	return json_format(o);
}

int journal_write(int boot_fd, const struct journal *j, struct err *e)
{
	autofree char *text = journal_format(j);
	autojournal again = {0};
	int r = journal_parse(text, strlen(text), &again, e);

	if (r < 0)
		return err_wrap(e, r, "journal");
	return record_save(boot_fd, JOURNAL_PATH, text, e);
}

int journal_read(int boot_fd, struct journal *out, struct err *e)
{
	autofree char *text = NULL;
	struct err why = {0};
	size_t len = 0;

	(void)e;
	if (!record_load(boot_fd, JOURNAL_PATH, JOURNAL_MAX, &text, &len))
		return 0;
	if (journal_parse(text, len, out, &why) == 0)
		return 1;
	log_warning("'/boot/" RECORDS_FOLDER "/" JOURNAL_PATH "' does not count: %s", why.msg);
	return 0;
}

int journal_clear(int boot_fd, struct err *e)
{
	return record_drop(boot_fd, JOURNAL_PATH, e);
}
