/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <stdarg.h>

#include "base/xalloc.h"

bool str_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), tail = strlen(suffix);

	return len >= tail && memcmp(s + len - tail, suffix, tail) == 0;
}

char *str_next_word(char **rest, const char *separators)
{
	char *word = *rest + strspn(*rest, separators);
	char *end = word + strcspn(word, separators);

	*rest = *end ? end + 1 : end;
	*end = '\0';
	return *word ? word : NULL;
}

char *str_printable(const char *s)
{
	autostrbuf b = {0};

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];

		if (c < ' ' || c == 0x7f) {
			strbuf_printf(&b, "\\x%02x", c);
		} else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			/* U+0080 to U+009F: terminals obey them, too. */
			strbuf_printf(&b, "\\x%02x\\x%02x", c, next);
			s++;
		} else {
			strbuf_putc(&b, *s);
		}
	}
	return strbuf_take(&b);
}

char *str_bytes(uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double n = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < KIB)
		return xasprintf("%u bytes", (unsigned)bytes);
	for (; n >= 1024 && i + 1 < ARRAY_LEN(units); i++)
		n /= 1024;
	return xasprintf("%.1f %s", n, units[i]);
}

char *str_trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

void strbuf_fini(struct strbuf *b)
{
	free(b->data);
	*b = (struct strbuf){0};
}

static void reserve(struct strbuf *b, size_t more)
{
	size_t need = b->len + more + 1;

	if (need <= b->room)
		return;
	b->room = MAX(need, 2 * b->room);
	b->data = xrealloc(b->data, b->room);
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	reserve(b, len);
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_putc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	strbuf_puts(b, text);
}

char *strbuf_take(struct strbuf *b)
{
	char *text = b->data ? b->data : xstrdup("");

	*b = (struct strbuf){0};
	return text;
}

void strv_fini(struct strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){0};
}

void strv_take(struct strv *v, char *s)
{
	if (v->count + 2 > v->room) {
		v->room = MAX(8, 2 * v->room);
		v->items = xrealloc(v->items, v->room * sizeof(*v->items));
	}
	v->items[v->count++] = s;
	v->items[v->count] = NULL;
}

void strv_add(struct strv *v, const char *s)
{
	strv_take(v, xstrdup(s));
}

void strv_add_all(struct strv *v, const struct strv *other)
{
	for (size_t i = 0; i < other->count; i++)
		strv_add(v, other->items[i]);
}

bool strv_has(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->count; i++)
		if (str_eq(v->items[i], s))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *v)
{
	if (v->count > 1)
		qsort(v->items, v->count, sizeof(*v->items), compare);
}
