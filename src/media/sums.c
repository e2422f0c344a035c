/* SPDX-License-Identifier: Apache-2.0 */
#include "media/sums.h"

#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"

#define SEPARATOR_BYTES 2 /* a blank, then a blank or '*' */

void sums_fini(struct sums *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i].path);
	free(s->items);
	*s = (struct sums){0};
}

void sums_add(struct sums *s, const char *path, const uint8_t sha256[SHA256_BYTES])
{
	if (s->count == s->room) {
		s->room = MAX(32, 2 * s->room);
		s->items = xrealloc(s->items, s->room * sizeof(*s->items));
	}
	struct sum *item = &s->items[s->count++];
	*item = (struct sum){.path = xstrdup(path)};
	memcpy(item->sha256, sha256, SHA256_BYTES);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct sum *)a)->path, ((const struct sum *)b)->path);
}

void sums_sort(struct sums *s)
{
	if (s->count > 1)
		qsort(s->items, s->count, sizeof(*s->items), by_path);
}

struct sum *sums_find(const struct sums *s, const char *path)
{
	autofree char *copy = xstrdup(path);
	const struct sum key = {.path = copy};

	return s->count ? bsearch(&key, s->items, s->count, sizeof(*s->items), by_path) : NULL;
}

char *sums_format(const struct sums *s)
{
	autostrbuf out = {0};

	for (size_t i = 0; i < s->count; i++) {
		char hex[SHA256_HEX_BYTES];

		hex_format(s->items[i].sha256, SHA256_BYTES, hex);
		strbuf_printf(&out, "%s  %s\n", hex, s->items[i].path);
	}
	return strbuf_take(&out);
}

static int parse_line(char *line, struct sums *out)
{
	const size_t digits = SHA256_HEX_BYTES - 1;
	uint8_t sha256[SHA256_BYTES];

	if (strlen(line) <= digits + SEPARATOR_BYTES || line[digits] != ' ' ||
		(line[digits + 1] != ' ' && line[digits + 1] != '*'))
		return -EBADMSG;
	line[digits] = '\0';
	if (hex_parse(line, sha256, sizeof(sha256), NULL) < 0)
		return -EBADMSG;
	sums_add(out, line + digits + SEPARATOR_BYTES, sha256);
	return 0;
}

int sums_parse(const char *text, size_t len, struct sums *out, struct err *e)
{
	autofree char *copy = xstrndup(text, len);
	unsigned number = 0;
	char *rest = copy;

	if (len == 0 || strlen(copy) != len || copy[len - 1] != '\n')
		return err_set(e, EBADMSG, "it is no list of checksums");
	copy[len - 1] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));) {
		number++;
		if (parse_line(line, out) < 0)
			return err_set(e, EBADMSG, "line %u is no checksum", number);
	}
	sums_sort(out);
	for (size_t i = 1; i < out->count; i++)
		if (str_eq(out->items[i - 1].path, out->items[i].path))
			return err_set(e, EBADMSG, "'%s' is in it twice", out->items[i].path);
	return 0;
}
