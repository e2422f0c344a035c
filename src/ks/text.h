/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text rules that kickstart inherits from its reference parser's language, Python: what a line
 * is, what white space is, how words are quoted, what a number looks like.  Internal to ks/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Length in bytes of the white space character at p (Unicode, UTF-8), 0 when it is none. */
size_t ks_space_len(const char *p, const char *end);

/* First byte at or after p that is not white space. */
const char *ks_skip_space(const char *p, const char *end);

/* The text without white space at both ends.  The caller frees it. */
char *ks_strip(const char *text, size_t len) MUST_CHECK;

/*
 * End of the line that starts at p, behind its line end: "\n", "\r", "\r\n", vertical tab, form
 * feed, U+001C to U+001E, U+0085, U+2028 and U+2029 all end a line (str.splitlines).
 */
const char *ks_line_end(const char *p, const char *end);

/*
 * Split into words as a POSIX shell quotes them (shlex.split).  With comments, an unquoted '#' ends
 * the line, also in the middle of a word.  -EINVAL: unbalanced quotes or a backslash at the end.
 */
int ks_shlex(const char *text, size_t len, bool comments, struct strv *out, struct err *e)
	MUST_CHECK;

/* Split at white space, nothing else. */
void ks_words(const char *text, struct strv *out);

/*
 * Python's int(): blanks around, a sign, digits of any script, single underscores between digits.
 * *digits is the shortest decimal form, which the caller frees; *value is cut to int64_t's ends.
 */
int ks_parse_int(const char *text, char **digits, int64_t *value, struct err *e) MUST_CHECK;

/* on, yes, true, 1 or off, no, false, 0 in any case. */
int ks_parse_bool(const char *text, bool *out, struct err *e) MUST_CHECK;

/* Items between commas, without blanks around them; empty ones are left out. */
void ks_split_commas(const char *text, struct strv *out);

/* "/a//b/../c/" -> "/a/c" for a text that starts with '/'; other text is returned as it is. */
char *ks_normalise_path(const char *text) MUST_CHECK;

/* Same for both: the text is quoted for a shell only where it needs it. */
char *ks_shell_quote(const char *text) MUST_CHECK;
