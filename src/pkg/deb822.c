/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/deb822.h"

#include <string.h>

#include "base/xalloc.h"

bool slice_eq(struct slice s, const char *text)
{
	return s.data && s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

char *slice_dup(struct slice s)
{
	return s.data ? xstrndup(s.data, s.len) : xstrdup("");
}

static struct slice next_line(struct deb822 *d)
{
	const char *start = d->at;
	const char *nl = memchr(start, '\n', (size_t)(d->end - start));
	const char *stop = nl ? nl : d->end;

	d->at = nl ? nl + 1 : d->end;
	return (struct slice){.data = start, .len = (size_t)(stop - start)};
}

static bool is_blank(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
			return false;
	return true;
}

static struct slice trim(const char *start, const char *end)
{
	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	return (struct slice){.data = start, .len = (size_t)(end - start)};
}

static void take_field(
	struct slice line, const char *const names[], struct slice values[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(names[i]);

		if (line.len > len && line.data[len] == ':' &&
			memcmp(line.data, names[i], len) == 0) {
			values[i] = trim(line.data + len + 1, line.data + line.len);
			return;
		}
	}
}

bool deb822_next(struct deb822 *d, const char *const names[], struct slice values[], size_t count)
{
	bool any = false;

	memset(values, 0, count * sizeof(*values));
	while (d->at < d->end) {
		struct slice line = next_line(d);

		if (is_blank(line)) {
			if (any)
				return true;
			continue;
		}
		any = true;
		if (line.data[0] != ' ' && line.data[0] != '\t')
			take_field(line, names, values, count);
	}
	return any;
}

bool slice_next_relation(struct slice *list, struct slice *name)
{
	const char *p = list->data, *end = p ? p + list->len : NULL;

	while (p < end && (*p == ' ' || *p == ','))
		p++;
	if (p == end)
		return false;
	const char *start = p;
	while (p < end && *p != ',')
		p++;

	*list = (struct slice){.data = p, .len = (size_t)(end - p)};
	*name = (struct slice){.data = start, .len = 0};
	while (start + name->len < p && !strchr(" (:[", start[name->len]))
		name->len++;
	return true;
}
