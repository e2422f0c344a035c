/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/shared-text.h"

#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && (at[len] == '\n' || at[len] == '\0'))
			return true;
	return false;
}

/* The line of the same account: they begin with its name and a colon. */
static char *find_account(const char *text, const char *line)
{
	const char *colon = strchr(line, ':');
	size_t len = colon ? (size_t)(colon - line) + 1 : 0;

	if (len < 2 || memchr(line, ' ', len) || memchr(line, '\t', len))
		return NULL;
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, len) == 0)
			return xstrndup(at, strcspn(at, "\n"));
	}
	return NULL;
}

char *shared_text_without(const char *now, const char *before, const char *after)
{
	autofree char *copy = xstrdup(now);
	char *rest = copy;
	autostrbuf b = {0};

	for (char *line; rest && *rest && (line = strsep(&rest, "\n"));) {
		bool added = has_line(after, line) && !has_line(before, line);
		autofree char *old = added ? find_account(before, line) : NULL;

		if (!added || old)
			strbuf_printf(&b, "%s\n", old ? old : line);
	}
	return strbuf_take(&b);
}
