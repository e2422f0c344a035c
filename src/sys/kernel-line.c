/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/kernel-line.h"

#include <ctype.h>
#include <string.h>

#include "base/xalloc.h"

void cmd_line_split(const char *text, struct strv *words)
{
	autostrbuf word = {0};
	bool quoted = false, any = false;

	for (const char *p = text;; p++) {
		if (*p && (quoted || !isspace((unsigned char)*p))) {
			if (*p == '"')
				quoted = !quoted;
			else
				strbuf_putc(&word, *p);
			any = true;
			continue;
		}
		if (any && words->count < CMD_LINE_WORDS)
			strv_take(words, strbuf_take(&word));
		any = false;
		if (!*p)
			return;
	}
}

const char *cmd_line_value(const struct strv *words, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = words->count; i-- > 0;)
		if (str_starts(words->items[i], name) && words->items[i][len] == '=')
			return words->items[i] + len + 1;
	return NULL;
}

bool cmd_line_has(const struct strv *words, const char *name)
{
	const char *value = cmd_line_value(words, name);

	return value ? str_eq(value, "1") : strv_has(words, name);
}

void cmd_line_add_word(struct strbuf *out, const char *word)
{
	size_t name_len = strcspn(word, "= ");

	if (out->len > 0)
		strbuf_putc(out, ' ');
	if (*word && !strchr(word, ' '))
		strbuf_puts(out, word);
	else if (word[name_len] == '=')
		strbuf_printf(out, "%.*s\"%s\"", (int)(name_len + 1), word, word + name_len + 1);
	else
		strbuf_printf(out, "\"%s\"", word);
}
