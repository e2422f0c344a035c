/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *program_name = "bedplate";
static enum log_level shown = LOG_LEVEL_NORMAL;

void log_init(const char *program)
{
	program_name = program;
}

void log_set_level(enum log_level level)
{
	shown = level;
}

enum log_level log_get_level(void)
{
	return shown;
}

PRINTF(3, 0)
static void say(int priority, const char *kind, const char *fmt, va_list ap)
{
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>", priority);
	fprintf(stderr, "%s: %s", program_name, kind);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

#define DEFINE_LOG(name, level, priority, kind)                                                    \
	void log_##name(const char *fmt, ...)                                                      \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		if (shown < (level))                                                               \
			return;                                                                    \
		va_start(ap, fmt);                                                                 \
		say(priority, kind, fmt, ap);                                                      \
		va_end(ap);                                                                        \
	}

DEFINE_LOG(error, LOG_LEVEL_QUIET, 3, "")
DEFINE_LOG(warning, LOG_LEVEL_NORMAL, 4, "warning: ")
DEFINE_LOG(info, LOG_LEVEL_INFO, 6, "")
DEFINE_LOG(debug, LOG_LEVEL_DEBUG, 7, "")
