/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

static const char *program_name = "bedplate";
static enum log_level shown = LOG_LEVEL_NORMAL;
static struct copy {
	FILE *out; /* NULL: free */
	enum log_level level;
} copies[LOG_COPIES_MAX];

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

void log_add_copy(FILE *out, enum log_level level)
{
	size_t i = 0;

	while (i < LOG_COPIES_MAX && copies[i].out)
		i++;
	assert(i < LOG_COPIES_MAX);
	copies[i] = (struct copy){out, level};
}

void log_drop_copy(FILE *out)
{
	for (size_t i = 0; i < LOG_COPIES_MAX; i++)
		if (copies[i].out == out)
			copies[i].out = NULL;
}

/* One call a line: threads may log, and lines stay whole. */
static void say(enum log_level level, int priority, const char *line)
{
	if (shown >= level && getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s: %s\n", priority, program_name, line);
	else if (shown >= level)
		fprintf(stderr, "%s: %s\n", program_name, line);
	for (size_t i = 0; i < LOG_COPIES_MAX; i++) {
		if (!copies[i].out || copies[i].level < level)
			continue;
		fprintf(copies[i].out, "%s\n", line);
		fflush(copies[i].out);
	}
}

static bool is_wanted(enum log_level level)
{
	bool wanted = shown >= level;

	for (size_t i = 0; i < LOG_COPIES_MAX; i++)
		wanted = wanted || (copies[i].out && copies[i].level >= level);
	return wanted;
}

#define DEFINE_LOG(name, level, priority, kind)                                                    \
	void log_##name(const char *fmt, ...)                                                      \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		if (!is_wanted(level))                                                             \
			return;                                                                    \
		va_start(ap, fmt);                                                                 \
		autofree char *text = xvasprintf(fmt, ap);                                         \
		va_end(ap);                                                                        \
		autofree char *line = xasprintf("%s%s", kind, text);                               \
		say(level, priority, line);                                                        \
	}

DEFINE_LOG(error, LOG_LEVEL_QUIET, 3, "")
DEFINE_LOG(warning, LOG_LEVEL_NORMAL, 4, "warning: ")
DEFINE_LOG(info, LOG_LEVEL_INFO, 6, "")
DEFINE_LOG(debug, LOG_LEVEL_DEBUG, 7, "")
