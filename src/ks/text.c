/* SPDX-License-Identifier: Apache-2.0 */
#include "ks/text.h"

#include <errno.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

/* int() of the reference refuses longer numbers (sys.int_info). */
#define DIGITS_MAX 4300

size_t ks_space_len(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;

	if (p >= end)
		return 0;
	if ((u[0] >= '\t' && u[0] <= '\r') || u[0] == ' ' || (u[0] >= 0x1c && u[0] <= 0x1f))
		return 1;
	if (end - p >= 2 && u[0] == 0xc2 && (u[1] == 0x85 || u[1] == 0xa0))
		return 2;
	if (end - p < 3)
		return 0;
	if (u[0] == 0xe1 && u[1] == 0x9a && u[2] == 0x80)
		return 3; /* U+1680 */
	if (u[0] == 0xe2 && u[1] == 0x80 &&
		((u[2] >= 0x80 && u[2] <= 0x8a) || u[2] == 0xa8 || u[2] == 0xa9 || u[2] == 0xaf))
		return 3; /* U+2000 to U+200A, U+2028, U+2029, U+202F */
	if (u[0] == 0xe2 && u[1] == 0x81 && u[2] == 0x9f)
		return 3;                                            /* U+205F */
	return u[0] == 0xe3 && u[1] == 0x80 && u[2] == 0x80 ? 3 : 0; /* U+3000 */
}

const char *ks_skip_space(const char *p, const char *end)
{
	for (size_t n; (n = ks_space_len(p, end)) > 0;)
		p += n;
	return p;
}

/* End of the text once white space at its end is cut. */
static const char *trim_end(const char *p, const char *end)
{
	const char *last = p;

	while (p < end) {
		size_t n = ks_space_len(p, end);

		p += n ? n : 1;
		if (n == 0)
			last = p;
	}
	return last;
}

char *ks_strip(const char *text, size_t len)
{
	const char *end = text + len;
	const char *start = ks_skip_space(text, end);

	return xstrndup(start, (size_t)(trim_end(start, end) - start));
}

static size_t line_end_len(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;

	if (u[0] == '\r')
		return end - p > 1 && p[1] == '\n' ? 2 : 1;
	if ((u[0] >= '\n' && u[0] <= '\f') || (u[0] >= 0x1c && u[0] <= 0x1e))
		return 1;
	if (end - p >= 2 && u[0] == 0xc2 && u[1] == 0x85)
		return 2;
	return end - p >= 3 && u[0] == 0xe2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9) ? 3
											      : 0;
}

const char *ks_line_end(const char *p, const char *end)
{
	for (; p < end; p++) {
		size_t n = line_end_len(p, end);

		if (n > 0)
			return p + n;
	}
	return end;
}

/* What shlex is in the middle of. */
struct lexer {
	struct strbuf word;
	bool in_word; /* also for an empty quoted word */
	char quote;   /* open quote, or 0 */
	bool escaped; /* after a backslash */
};

static void end_word(struct lexer *l, struct strv *out)
{
	if (l->in_word)
		strv_take(out, strbuf_take(&l->word));
	l->in_word = false;
}

static void lex_quoted(struct lexer *l, char c)
{
	if (c == l->quote)
		l->quote = '\0';
	else if (c == '\\' && l->quote == '"')
		l->escaped = true;
	else
		strbuf_putc(&l->word, c);
}

static void lex_plain(struct lexer *l, char c, struct strv *out)
{
	if (strchr(" \t\r\n", c)) {
		end_word(l, out);
		return;
	}
	l->in_word = true;
	if (c == '\'' || c == '"')
		l->quote = c;
	else if (c == '\\')
		l->escaped = true;
	else
		strbuf_putc(&l->word, c);
}

int ks_shlex(const char *text, size_t len, bool comments, struct strv *out, struct err *e)
{
	struct lexer l = {0};
	int r = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (l.escaped) {
			/* Between double quotes a backslash escapes only itself and the quote. */
			if (l.quote && c != '\\' && c != l.quote)
				strbuf_putc(&l.word, '\\');
			strbuf_putc(&l.word, c);
			l.escaped = false;
		} else if (l.quote) {
			lex_quoted(&l, c);
		} else if (c == '#' && comments) {
			break;
		} else if (c == '\0') {
			r = err_set(e, EINVAL, "the line holds a NUL byte");
			break;
		} else {
			lex_plain(&l, c, out);
		}
	}
	if (r == 0 && l.escaped)
		r = err_set(e, EINVAL, "nothing follows the backslash at the end of the line");
	else if (r == 0 && l.quote)
		r = err_set(e, EINVAL, "no closing quotation mark (%c)", l.quote);
	end_word(&l, out);
	strbuf_fini(&l.word);
	return r;
}

void ks_words(const char *text, struct strv *out)
{
	const char *end = text + strlen(text);

	for (const char *p = ks_skip_space(text, end); p < end;) {
		const char *start = p;

		while (p < end && ks_space_len(p, end) == 0)
			p++;
		strv_take(out, xstrndup(start, (size_t)(p - start)));
		p = ks_skip_space(p, end);
	}
}

/*
 * The first digit of each run 0..9 in the Unicode Basic Multilingual Plane (general category Nd),
 * as int() takes them.
 */
static const uint16_t digit_zeros[] = {
	0x0660,
	0x06f0,
	0x07c0,
	0x0966,
	0x09e6,
	0x0a66,
	0x0ae6,
	0x0b66,
	0x0be6,
	0x0c66,
	0x0ce6,
	0x0d66,
	0x0de6,
	0x0e50,
	0x0ed0,
	0x0f20,
	0x1040,
	0x1090,
	0x17e0,
	0x1810,
	0x1946,
	0x19d0,
	0x1a80,
	0x1a90,
	0x1b50,
	0x1bb0,
	0x1c40,
	0x1c50,
	0xa620,
	0xa8d0,
	0xa900,
	0xa9d0,
	0xa9f0,
	0xaa50,
	0xabf0,
	0xff10,
};

/* Value of the digit at *p, which is moved behind it; -1 when there is none. */
static int next_digit(const char **p)
{
	const unsigned char *u = (const unsigned char *)*p;
	unsigned code, len;

	if (u[0] >= '0' && u[0] <= '9') {
		*p += 1;
		return u[0] - '0';
	}
	if ((u[0] & 0xe0) == 0xc0 && (u[1] & 0xc0) == 0x80) {
		code = (u[0] & 0x1fU) << 6 | (u[1] & 0x3fU);
		len = 2;
	} else if ((u[0] & 0xf0) == 0xe0 && (u[1] & 0xc0) == 0x80 && (u[2] & 0xc0) == 0x80) {
		code = (u[0] & 0xfU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
		len = 3;
	} else {
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(digit_zeros); i++) {
		if (code >= digit_zeros[i] && code < digit_zeros[i] + 10U) {
			*p += len;
			return (int)(code - digit_zeros[i]);
		}
	}
	return -1;
}

static int64_t clamp_value(const char *digits, bool negative)
{
	int64_t value = 0;

	for (; *digits; digits++) {
		int d = *digits - '0';

		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, negative ? -d : d, &value))
			return negative ? INT64_MIN : INT64_MAX;
	}
	return value;
}

int ks_parse_int(const char *text, char **digits, int64_t *value, struct err *e)
{
	autofree char *stripped = ks_strip(text, strlen(text));
	autostrbuf b = {0};
	const char *p = stripped;
	bool negative = *p == '-';
	size_t count = 0;

	if (*p == '-' || *p == '+')
		p++;
	for (;;) {
		int d = next_digit(&p);

		if (d < 0 || ++count > DIGITS_MAX)
			return err_set(e, EINVAL, "'%.80s' is not a whole number", text);
		if (b.len > 0 || d > 0)
			strbuf_putc(&b, (char)('0' + d));
		if (*p == '\0')
			break;
		if (*p == '_')
			p++;
	}
	if (b.len == 0)
		strbuf_putc(&b, '0');

	*value = clamp_value(b.data, negative);
	*digits = negative && *value != 0 ? xasprintf("-%s", b.data) : strbuf_take(&b);
	return 0;
}

int ks_parse_bool(const char *text, bool *out, struct err *e)
{
	static const char *const yes[] = {"on", "yes", "true", "1"};
	static const char *const no[] = {"off", "no", "false", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%.80s' is neither yes nor no", text);
}

void ks_split_commas(const char *text, struct strv *out)
{
	for (;;) {
		size_t len = strcspn(text, ",");
		char *item = ks_strip(text, len);

		if (*item)
			strv_take(out, item);
		else
			free(item);
		if (text[len] == '\0')
			return;
		text += len + 1;
	}
}

/* Put one component onto the path in b. */
static void add_component(struct strbuf *b, size_t root, const char *name, size_t len)
{
	if (len == 0 || (len == 1 && name[0] == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		while (b->len > root && b->data[--b->len] != '/')
			;
		b->len = MAX(b->len, root);
		b->data[b->len] = '\0';
		return;
	}
	if (b->len > root)
		strbuf_putc(b, '/');
	strbuf_add(b, name, len);
}

char *ks_normalise_path(const char *text)
{
	autostrbuf b = {0};

	if (text[0] != '/')
		return xstrdup(text);
	/* POSIX gives exactly two slashes a meaning of their own, and os.path.normpath keeps them. */
	strbuf_puts(&b, text[1] == '/' && text[2] != '/' ? "//" : "/");

	size_t root = b.len;
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "/");

		add_component(&b, root, p, len);
		p += len;
		p += strspn(p, "/");
	}
	return strbuf_take(&b);
}

char *ks_shell_quote(const char *text)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
	autostrbuf b = {0};

	if (text[0] && text[strspn(text, safe)] == '\0')
		return xstrdup(text);
	strbuf_putc(&b, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			strbuf_puts(&b, "'\"'\"'");
		else
			strbuf_putc(&b, *p);
	}
	strbuf_putc(&b, '\'');
	return strbuf_take(&b);
}
