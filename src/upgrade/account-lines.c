/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/account-lines.h"

#include <ctype.h>
#include <search.h>
#include <string.h>

#include "base/xalloc.h"
#include "upgrade/id-set.h"

#define TEXT_MAX_BYTES (4 * MIB)
#define LINES_MAX      65536
#define NAME_MAX_BYTES 256
#define NO_ID          UINT32_MAX

const char *const account_paths[ACC_FILES] = {
	[ACC_PASSWD] = "/etc/passwd",
	[ACC_SHADOW] = "/etc/shadow",
	[ACC_GROUP] = "/etc/group",
	[ACC_GSHADOW] = "/etc/gshadow",
	[ACC_SUBUID] = "/etc/subuid",
	[ACC_SUBGID] = "/etc/subgid",
};

static const struct {
	unsigned fields, needed;
} formats[ACC_FILES] = {
	[ACC_PASSWD] = {7, 4},
	[ACC_SHADOW] = {9, 2},
	[ACC_GROUP] = {4, 3},
	[ACC_GSHADOW] = {4, 2},
	[ACC_SUBUID] = {3, 3},
	[ACC_SUBGID] = {3, 3},
};

static bool is_range(enum account_file file)
{
	return file == ACC_SUBUID || file == ACC_SUBGID;
}

static int compare_names(const void *a, const void *b)
{
	const struct account_line *one = a, *other = b;

	return strcmp(one->fields[FIELD_NAME], other->fields[FIELD_NAME]);
}

static int compare_ids(const void *a, const void *b)
{
	const struct account_line *one = a, *other = b;

	return (one->id > other->id) - (one->id < other->id);
}

static void keep(UNUSED void *line)
{
}

void account_lines_fini(struct account_lines *l)
{
	tdestroy(l->by_name, keep);
	tdestroy(l->by_id, keep);
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i]->text);
		free(l->items[i]);
	}
	free(l->items);
	strv_fini(&l->comments);
	strv_fini(&l->compat);
}

static struct account_line *add(struct account_lines *l, const struct account_line *line)
{
	struct account_line *copy = xmemdup(line, sizeof(*line));

	if (l->count == l->room) {
		l->room = MAX(64, l->room * 2);
		l->items = xrealloc(l->items, l->room * sizeof(struct account_line *));
	}
	l->items[l->count++] = copy;
	if (!tsearch(copy, &l->by_name, compare_names))
		abort();
	if ((l->file == ACC_PASSWD || l->file == ACC_GROUP) &&
		!tsearch(copy, &l->by_id, compare_ids))
		abort();
	return copy;
}

struct account_line *account_lines_add(struct account_lines *l, const struct account_line *line)
{
	struct account_line *copy = add(l, line);

	copy->text = NULL;
	l->present = true;
	return copy;
}

const struct account_line *account_lines_find(const struct account_lines *l, const char *name)
{
	const struct account_line key = {.fields = {name}};
	struct account_line *const *found = tfind(&key, &l->by_name, compare_names);

	return found ? *found : NULL;
}

const struct account_line *account_lines_find_id(const struct account_lines *l, uint32_t id)
{
	const struct account_line key = {.id = id};
	struct account_line *const *found = tfind(&key, &l->by_id, compare_ids);

	return found ? *found : NULL;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	for (const char *p = text; *p; p++) {
		if (!isdigit((unsigned char)*p) || n > max)
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	*out = n;
	return *text && n <= max;
}

static bool parse_id(const char *text, uint32_t *out)
{
	uint64_t n;

	if (!parse_number(text, NO_ID - 1, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == ',' || *p == '/')
			return false;
	return len > 0 && len <= NAME_MAX_BYTES;
}

/* What is wrong with a line, or NULL. */
static const char *parse_line(enum account_file file, char *text, struct account_line *out)
{
	unsigned n = 0;

	*out = (struct account_line){.text = text};
	for (char *rest = text; rest; n++) {
		const char *field = strsep(&rest, ":");

		if (n == formats[file].fields)
			return "too many fields";
		out->fields[n] = field;
	}
	if (n < formats[file].needed)
		return "too few fields";
	for (; n < formats[file].fields; n++)
		out->fields[n] = "";
	if (!is_name(out->fields[FIELD_NAME]))
		return "bad name";
	if (is_range(file)) {
		if (!parse_number(out->fields[1], NO_ID, &out->first) ||
			!parse_number(out->fields[2], NO_ID, &out->count) || out->count == 0 ||
			out->first + out->count > ID_SET_END)
			return "bad range of ids";
		return NULL;
	}
	if (file != ACC_PASSWD && file != ACC_GROUP)
		return NULL;
	if (!parse_id(out->fields[FIELD_ID], &out->id) ||
		(file == ACC_PASSWD && !parse_id(out->fields[FIELD_GID], &out->gid)))
		return "bad id";
	return NULL;
}

static const char *take_line(struct account_lines *l, const char *text)
{
	struct account_line line;

	if (text[0] == '#')
		strv_add(&l->comments, text);
	else if (!is_range(l->file) && (text[0] == '+' || text[0] == '-'))
		strv_add(&l->compat, text);
	if (!*text || text[0] == '#' || (!is_range(l->file) && (text[0] == '+' || text[0] == '-')))
		return NULL;

	autofree char *copy = xstrdup(text);
	const char *wrong = parse_line(l->file, copy, &line);
	if (!wrong && !is_range(l->file) && account_lines_find(l, line.fields[FIELD_NAME]))
		wrong = "this name is there already";
	if (wrong)
		return wrong;
	line.text = take_ptr(copy);
	add(l, &line);
	return NULL;
}

static int check_size(
	const struct account_lines *l, const char *text, const char *of, struct err *e)
{
	size_t len = strnlen(text, TEXT_MAX_BYTES + 1), lines = 0;

	for (const char *p = text; len <= TEXT_MAX_BYTES && (p = strchr(p, '\n')); p++)
		lines++;
	if (len > TEXT_MAX_BYTES || lines > LINES_MAX)
		return err_set(e, EBADMSG,
			"'%s' of %s is too large: expected at most %llu bytes and %d lines",
			account_paths[l->file], of, TEXT_MAX_BYTES, LINES_MAX);
	return 0;
}

int account_lines_parse(enum account_file file, const char *text, const char *of,
	struct strv *notes, struct account_lines *out, struct err *e)
{
	autofree char *copy = NULL;
	bool has_returns = false;

	out->file = file;
	out->present = text != NULL;
	int r = text ? check_size(out, text, of, e) : 0;
	if (r < 0 || !text)
		return r;
	char *rest = copy = xstrdup(text);
	for (unsigned number = 1; rest; number++) {
		char *line = strsep(&rest, "\n");
		size_t len = strlen(line);

		for (; len > 0 && line[len - 1] == '\r'; has_returns = true)
			line[--len] = '\0';
		const char *wrong = take_line(out, line);
		if (wrong && notes)
			strv_take(notes,
				xasprintf("%s:%u of %s is left out: %s", account_paths[file],
					number, of, wrong));
	}
	if (has_returns && notes)
		strv_take(notes,
			xasprintf("%s of %s has carriage returns at the ends of lines: taken away",
				account_paths[file], of));
	return 0;
}

char *account_lines_format(const struct account_lines *l)
{
	const struct strv *const rest[] = {&l->comments, &l->compat};
	autostrbuf b = {0};

	if (!l->present)
		return NULL;
	for (size_t i = 0; i < l->count; i++)
		for (unsigned k = 0; k < formats[l->file].fields; k++) {
			strbuf_puts(&b, l->items[i]->fields[k]);
			strbuf_putc(&b, k + 1 < formats[l->file].fields ? ':' : '\n');
		}
	for (size_t i = 0; i < ARRAY_LEN(rest); i++)
		for (size_t k = 0; k < rest[i]->count; k++)
			strbuf_printf(&b, "%s\n", rest[i]->items[k]);
	return strbuf_take(&b);
}
