/* SPDX-License-Identifier: Apache-2.0 */
#include "node/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "base/xalloc.h"

void text_line(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *line = xvasprintf(fmt, ap);
	va_end(ap);
	autofree char *clean = str_printable(line);
	strbuf_puts(b, clean);
	strbuf_putc(b, '\n');
}

char *text_percent(double percent)
{
	return percent < 0 ? xstrdup("?") : xasprintf("%.1f %%", percent);
}

char *text_date(int64_t seconds)
{
	time_t t = (time_t)seconds;
	char out[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return xasprintf("%" PRId64, seconds);
	return xstrdup(out);
}

json_t *text_percent_json(double percent)
{
	return percent < 0 ? json_null() : json_real(percent);
}
