/* SPDX-License-Identifier: Apache-2.0 */
/* Strings: the small helpers that libc lacks, a growing buffer, and a list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix);

/* Cut the next word off *rest, in place.  NULL when only separators are left. */
char *str_next_word(char **rest, const char *separators);

/* A copy for the terminal: control characters become \xHH.  The caller frees it. */
char *str_printable(const char *s) MUST_CHECK;

/* A number of bytes for people: "217.4 MiB".  The caller frees it. */
char *str_bytes(uint64_t bytes) MUST_CHECK;

/* Cut trailing and skip leading white space, in place. */
char *str_trim(char *s);

/* A growing byte buffer.  data is always NUL-terminated once something was added. */
struct strbuf {
	char *data;
	size_t len;
	size_t room;
};

void strbuf_fini(struct strbuf *b);
#define autostrbuf auto_with(strbuf_fini) struct strbuf

void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
/* Hand the text over ("" when empty) and leave the buffer empty. */
char *strbuf_take(struct strbuf *b) MUST_CHECK;

/* A list of owned strings.  items[count] is NULL once something was added. */
struct strv {
	char **items;
	size_t count;
	size_t room;
};

void strv_fini(struct strv *v);
#define autostrv auto_with(strv_fini) struct strv

void strv_add(struct strv *v, const char *s);
void strv_take(struct strv *v, char *s); /* v owns s from here on */
void strv_add_all(struct strv *v, const struct strv *other);
bool strv_has(const struct strv *v, const char *s);
void strv_sort(struct strv *v); /* by bytes */
