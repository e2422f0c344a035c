/* SPDX-License-Identifier: Apache-2.0 */
#include "certify/guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/xalloc.h"

#define GUEST_MAGIC  "bedplate-plugin-check 1"
#define LINE_MAX_LEN 256
#define STATUS_MAX   255

struct reader {
	const char *at, *end;
	char line[LINE_MAX_LEN + 1]; /* the last one that was read */
	struct guest_report *out;
};

void guest_report_fini(struct guest_report *g)
{
	for (size_t i = 0; i < g->unit_count; i++) {
		free(g->units[i].name);
		free(g->units[i].output);
	}
	for (size_t i = 0; i < g->test_count; i++) {
		free(g->tests[i].name);
		free(g->tests[i].output);
	}
	free(g->units);
	free(g->tests);
	free(g->state);
	*g = (struct guest_report){0};
}

static int malformed(struct err *e)
{
	return err_set(e, EBADMSG, "what the machine wrote is not a report");
}

/* 1 for a line, 0 at the end. */
static int next_line(struct reader *rd, struct err *e)
{
	size_t left = (size_t)(rd->end - rd->at);
	size_t room = MIN(left, LINE_MAX_LEN + 1);
	const char *newline;
	size_t len;

	if (left == 0 || *rd->at == '\0')
		return 0;
	newline = memchr(rd->at, '\n', room);
	len = newline ? (size_t)(newline - rd->at) : 0;
	if (!newline || memchr(rd->at, '\0', len))
		return malformed(e);
	memcpy(rd->line, rd->at, len);
	rd->line[len] = '\0';
	rd->at = newline + 1;
	return 1;
}

/* The rest of the last line when it begins with key, which is never all of it; else NULL. */
static const char *value(const struct reader *rd, const char *key)
{
	size_t len = strlen(key);

	return str_starts(rd->line, key) && rd->line[len] ? rd->line + len : NULL;
}

static int read_number(const char *text, unsigned max, unsigned *out, struct err *e)
{
	char *end = NULL;
	uintmax_t n;

	if (!text || *text < '0' || *text > '9')
		return malformed(e);
	errno = 0;
	n = strtoumax(text, &end, 10);
	if (errno != 0 || *end || n > max)
		return malformed(e);
	*out = (unsigned)n;
	return 0;
}

static int read_output(struct reader *rd, char **out, struct err *e)
{
	unsigned len = 0;
	char *text;
	int r = next_line(rd, e);

	if (r == 0)
		return malformed(e);
	if (r > 0)
		r = read_number(value(rd, "output "), GUEST_OUTPUT_MAX, &len, e);
	if (r < 0)
		return r;
	if ((size_t)(rd->end - rd->at) <= len || rd->at[len] != '\n')
		return malformed(e);
	text = xcalloc(len + 1, 1);
	memcpy(text, rd->at, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = '?';
	rd->at += len + 1;
	*out = text;
	return 0;
}

/* Units are looked for twice. */
static int read_unit(struct reader *rd, const char *name, struct err *e)
{
	struct guest_report *g = rd->out;
	autofree char *copy = xstrdup(name);
	autofree char *output = NULL;
	int r = read_output(rd, &output, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < g->unit_count; i++)
		if (str_eq(g->units[i].name, copy))
			return 0;
	if (g->unit_count == GUEST_UNITS_MAX)
		return malformed(e);
	g->units = xrealloc(g->units, (g->unit_count + 1) * sizeof(*g->units));
	g->units[g->unit_count++] = (struct guest_unit){
		.name = take_ptr(copy), .output = take_ptr(output)};
	return 0;
}

static int read_test(struct reader *rd, const char *name, struct err *e)
{
	struct guest_report *g = rd->out;
	struct guest_test *t;
	int r;

	if (g->test_count == GUEST_TESTS_MAX || guest_report_test(g, name))
		return malformed(e);
	g->tests = xrealloc(g->tests, (g->test_count + 1) * sizeof(*g->tests));
	t = &g->tests[g->test_count++];
	*t = (struct guest_test){.name = xstrdup(name)};
	if (rd->at == rd->end || *rd->at == '\0')
		return 0;
	r = read_output(rd, &t->output, e);
	if (r == 0)
		r = next_line(rd, e) > 0 ? 0 : malformed(e);
	if (r == 0)
		r = read_number(value(rd, "end "), STATUS_MAX, &t->status, e);
	t->ended = r == 0;
	return r;
}

static int read_record(struct reader *rd, struct err *e)
{
	const char *name;

	if ((name = value(rd, "unit ")))
		return read_unit(rd, name, e);
	if ((name = value(rd, "begin ")))
		return read_test(rd, name, e);
	if (!str_eq(rd->line, "done") || rd->out->done)
		return malformed(e);
	rd->out->done = true;
	return 0;
}

static int read_head(struct reader *rd, struct err *e)
{
	int r = next_line(rd, e);

	if (r <= 0)
		return r;
	if (!str_eq(rd->line, GUEST_MAGIC))
		return malformed(e);
	r = next_line(rd, e);
	if (r <= 0)
		return r;
	if (!value(rd, "state "))
		return malformed(e);
	rd->out->state = xstrdup(value(rd, "state "));
	return 1;
}

int guest_report_parse(const char *data, size_t len, struct guest_report *out, struct err *e)
{
	struct reader rd = {.at = data, .end = data + len, .out = out};
	int r = read_head(&rd, e);

	while (r > 0 && !out->done) {
		r = next_line(&rd, e);
		if (r > 0) {
			int read = read_record(&rd, e);

			r = read < 0 ? read : 1;
		}
	}
	return MIN(r, 0);
}

const struct guest_test *guest_report_test(const struct guest_report *g, const char *name)
{
	for (size_t i = 0; i < g->test_count; i++)
		if (str_eq(g->tests[i].name, name))
			return &g->tests[i];
	return NULL;
}
