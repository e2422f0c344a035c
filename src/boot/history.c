/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/records-text.h"
#include "boot/records.h"

#define LOGIN_UID      "/proc/self/loginuid"
#define LOGIN_UID_NONE 0xffffffffUL
#define PASSWD_MAX     (16 * KIB)

void transition_fini(struct transition *t)
{
	free(t->operation);
	free(t->from);
	free(t->to);
	free(t->result);
	free(t->why);
	free(t->who);
	free(t->signer);
	*t = (struct transition){0};
}
#define autotransition auto_with(transition_fini) struct transition

void history_fini(struct history *h)
{
	for (size_t i = 0; i < h->count; i++)
		transition_fini(&h->items[i]);
	free(h->items);
	*h = (struct history){0};
}

int transition_parse(const char *line, size_t len, struct transition *out, struct err *e)
{
	autoptr(json_t) o = NULL;
	autotransition t = {0};
	int r = record_object(line, len, &o, e);

	if (r == 0)
		r = record_time(o, "time", &t.time, e);
	if (r == 0)
		r = record_text(o, "operation", false, &t.operation, e);
	if (r == 0)
		r = record_layer(o, "from", true, &t.from, e);
	if (r == 0)
		r = record_layer(o, "to", false, &t.to, e);
	if (r == 0)
		r = record_text(o, "result", false, &t.result, e);
	if (r == 0)
		r = record_text(o, "why", true, &t.why, e);
	if (r == 0)
		r = record_text(o, "who", true, &t.who, e);
	if (r == 0)
		r = record_text(o, "signer", true, &t.signer, e);
	if (r == 0)
		r = record_bool(o, "unsigned", &t.is_unsigned, e);
	if (r < 0)
		return r;
	*out = t;
	t = (struct transition){0};
	return 0;
}

char *transition_format(const struct transition *t)
{
	autoptr(json_t) o = json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}",
		"schema", 1, "time", (json_int_t)t->time, "operation", record_cut(t->operation),
		"from", json_text(t->from), "to", json_text(t->to), "result", record_cut(t->result),
		"why", record_cut(t->why), "who", record_cut(t->who), "signer",
		record_cut(t->signer), "unsigned", (int)t->is_unsigned);
	autofree char *body = json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT);

	assert(body);
	return xasprintf("%s\n", body);
}

bool history_parse(const char *text, struct history *out, struct strv *raw)
{
	bool wrong = false;

	while (*text) {
		size_t len = strcspn(text, "\n");
		struct transition t = {0};

		if (out->count == HISTORY_LINES_MAX || transition_parse(text, len, &t, NULL) < 0) {
			wrong = true;
		} else {
			out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
			out->items[out->count++] = t;
			if (raw)
				strv_take(raw, xstrndup(text, len));
		}
		text += len + (text[len] == '\n');
	}
	return wrong;
}

/* The user that a root shell or sudo was started by. */
static char *find_who(void)
{
	const char *sudo = getenv("SUDO_USER");
	autofree char *text = NULL, *room = xcalloc(1, PASSWD_MAX);
	struct passwd entry, *found = NULL;
	char *end;

	if (sudo && *sudo)
		return xstrdup(sudo);
	if (file_read(LOGIN_UID, 64, &text, NULL, NULL) < 0)
		return xstrdup("system");
	uintmax_t uid = strtoumax(text, &end, 10);
	if (end == text || uid >= LOGIN_UID_NONE)
		return xstrdup("system");
	if (getpwuid_r((uid_t)uid, &entry, room, PASSWD_MAX, &found) != 0 || !found)
		return xasprintf("%ju", uid);
	return xstrdup(found->pw_name);
}

static void load(int boot_fd, struct history *out, struct strv *raw)
{
	autofree char *text = NULL;
	size_t len = 0;

	if (!record_load(boot_fd, HISTORY_PATH, HISTORY_MAX, &text, &len))
		return;
	if (history_parse(text, out, raw) || strlen(text) != len)
		log_warning(
			"'/boot/" RECORDS_FOLDER "/" HISTORY_PATH "': damaged lines do not count");
}

/* The last lines, as many as there is room for. */
static char *join(const struct strv *lines)
{
	autostrbuf out = {0};
	size_t first = lines->count, bytes = 0;

	while (first > 0 && lines->count - first < HISTORY_LINES_MAX) {
		bytes += strlen(lines->items[first - 1]) + 1;
		if (bytes > HISTORY_MAX)
			break;
		first--;
	}
	for (size_t i = first; i < lines->count; i++)
		strbuf_printf(&out, "%s\n", lines->items[i]);
	return strbuf_take(&out);
}

int history_add(int boot_fd, const struct transition *t, struct err *e)
{
	struct transition filled = *t;
	autofree char *who = t->who ? xstrdup(t->who) : find_who();
	autohistory old = {0};
	autostrv lines = {0};
	autotransition again = {0};

	filled.who = who;
	if (filled.time == 0)
		filled.time = time(NULL);
	autofree char *line = transition_format(&filled);
	int r = transition_parse(line, strlen(line), &again, e);
	if (r < 0)
		return err_wrap(e, r, "history");
	load(boot_fd, &old, &lines);
	line[strlen(line) - 1] = '\0';
	strv_add(&lines, line);
	autofree char *text = join(&lines);
	return record_save(boot_fd, HISTORY_PATH, text, e);
}

int history_read(int boot_fd, struct history *out, struct err *e)
{
	(void)e;
	load(boot_fd, out, NULL);
	return 0;
}
