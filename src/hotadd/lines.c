/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "plugin/policy.h"

bool lines_shared(const char *path)
{
	return plugin_path_is_of_accounts(path) || str_eq(path, LINES_RULES);
}

static void split(const char *text, struct strv *out)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;

	for (char *line; rest && *rest && (line = strsep(&rest, "\n"));)
		strv_add(out, line);
}

static char *join(const struct strv *lines)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < lines->count; i++)
		strbuf_printf(&b, "%s\n", lines->items[i]);
	return strbuf_take(&b);
}

/* ---- account files: one line a name ---- */

static const char *find_name(const struct strv *lines, const char *like)
{
	size_t len = strcspn(like, ":");

	for (size_t i = 0; i < lines->count; i++) {
		const char *line = lines->items[i];

		if (strncmp(line, like, len) == 0 && (line[len] == ':' || line[len] == '\0'))
			return line;
	}
	return NULL;
}

static void split_at(const char *text, char separator, struct strv *out)
{
	const char separators[] = {separator, '\0'};
	autofree char *copy = xstrdup(text);
	char *rest = copy;

	for (char *part; (part = strsep(&rest, separators));)
		strv_add(out, part);
}

/* Each of from once that is not in without. */
static void add_all_but(const struct strv *from, const struct strv *without, struct strv *out)
{
	for (size_t i = 0; i < from->count; i++)
		if (*from->items[i] && !strv_has(without, from->items[i]) &&
			!strv_has(out, from->items[i]))
			strv_add(out, from->items[i]);
}

/* Now's, without whom the plugin put in, and with whom it took out: whom others took out stays so. */
static char *merge_members(const char *now, const char *before, const char *after)
{
	autostrv is = {0}, was = {0}, made = {0}, put_in = {0}, all = {0};
	autostrbuf b = {0};

	split_at(now, ',', &is);
	split_at(before, ',', &was);
	split_at(after, ',', &made);
	add_all_but(&made, &was, &put_in);
	add_all_but(&is, &put_in, &all);
	add_all_but(&was, &made, &all);
	for (size_t i = 0; i < all.count; i++)
		strbuf_printf(&b, "%s%s", i > 0 ? "," : "", all.items[i]);
	return strbuf_take(&b);
}

/* A field that others have changed once more stays. */
static char *merge_fields(bool of_groups, const char *now, const char *before, const char *after)
{
	autostrv is = {0}, was = {0}, made = {0};
	autostrbuf b = {0};

	split_at(now, ':', &is);
	split_at(before, ':', &was);
	split_at(after, ':', &made);
	if (is.count != was.count || was.count != made.count)
		return xstrdup(before);
	for (size_t i = 0; i < is.count; i++) {
		bool ours = str_eq(is.items[i], made.items[i]);
		bool members = of_groups && i + 1 == is.count;
		autofree char *field = members
			? merge_members(is.items[i], was.items[i], made.items[i])
			: xstrdup(ours ? was.items[i] : is.items[i]);

		strbuf_printf(&b, "%s%s", i > 0 ? ":" : "", field);
	}
	return strbuf_take(&b);
}

static char *take_back_names(
	bool of_groups, const struct strv *now, const struct strv *before, const struct strv *after)
{
	autostrv out = {0};

	for (size_t i = 0; i < now->count; i++) {
		const char *line = now->items[i];
		const char *was = find_name(before, line), *made = find_name(after, line);

		if (!made || (was && str_eq(was, made)))
			strv_add(&out, line);
		else if (was)
			strv_take(&out, merge_fields(of_groups, line, was, made));
	}
	for (size_t i = 0; i < before->count; i++)
		if (!find_name(after, before->items[i]) && !find_name(now, before->items[i]))
			strv_add(&out, before->items[i]);
	return join(&out);
}

/* ---- all others ---- */

static size_t count(const struct strv *lines, const char *line)
{
	size_t n = 0;

	for (size_t i = 0; i < lines->count; i++)
		n += str_eq(lines->items[i], line);
	return n;
}

struct lines {
	const struct strv *now, *before, *after;
	bool *gone; /* of each of now */
};

/* How many lines like this one have to go yet. */
static size_t left_over(const struct lines *l, const char *line)
{
	size_t was = count(l->before, line), made = count(l->after, line), done = 0;

	for (size_t i = 0; i < l->now->count; i++)
		done += l->gone[i] && str_eq(l->now->items[i], line);
	return made > was + done ? made - was - done : 0;
}

/* Of equal lines those that follow one that has gone, as the end of a block does, then the last. */
static void choose(const struct lines *l)
{
	const struct strv *now = l->now;

	for (size_t i = 0; i < now->count; i++) {
		size_t n = left_over(l, now->items[i]);

		l->gone[i] = n > 0 && (n >= count(now, now->items[i]) || (i > 0 && l->gone[i - 1]));
	}
	for (size_t i = now->count; i-- > 0;)
		if (!l->gone[i] && left_over(l, now->items[i]) > 0)
			l->gone[i] = true;
}

static char *take_back_lines(
	const struct strv *now, const struct strv *before, const struct strv *after)
{
	autofree bool *gone = xcalloc(now->count + 1, sizeof(*gone));
	const struct lines l = {.now = now, .before = before, .after = after, .gone = gone};
	autostrv out = {0};

	choose(&l);
	for (size_t i = 0; i < now->count; i++)
		if (!gone[i])
			strv_add(&out, now->items[i]);
	return join(&out);
}

char *lines_take_back(const char *path, const char *now, const char *before, const char *after)
{
	static const char *const names[] = {"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"};
	autostrv n = {0}, b = {0}, a = {0};
	bool by_name = false;

	split(now, &n);
	split(before, &b);
	split(after, &a);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		by_name |= str_eq(path, names[i]);
	bool of_groups = by_name && (str_ends(path, "group") || str_ends(path, "gshadow"));
	return by_name ? take_back_names(of_groups, &n, &b, &a) : take_back_lines(&n, &b, &a);
}
