/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a kernel command line. */
#pragma once

#include "base/str.h"

#define CMD_LINE_WORDS 512

/* "name=\"a b\"" is one word, name=a b. */
void cmd_line_split(const char *text, struct strv *words);
/* What follows the last "NAME=" of the words; NULL: there is none. */
const char *cmd_line_value(const struct strv *words, const char *name);
/* The word itself, or NAME=1. */
bool cmd_line_has(const struct strv *words, const char *name);
/* The inverse: behind a blank, and with quotes around its value if that has blanks. */
void cmd_line_add_word(struct strbuf *out, const char *word);
