/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people, on stderr.  Answers go to stdout and errors up through struct err.
 *
 * Warnings are always shown, log_info() with -v, log_debug() with -vv.  Under systemd (with
 * JOURNAL_STREAM set) each line carries its priority.
 */
#pragma once

#include <stdio.h>

#include "base/macro.h"

enum log_level { LOG_LEVEL_QUIET = -1, LOG_LEVEL_NORMAL, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Called once, by main().  program is put in front of each line. */
void log_init(const char *program);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/*
 * Messages up to this level also go to out, whatever is shown on stderr; without priorities.  At
 * most LOG_COPIES_MAX at a time, and out belongs to the caller, who drops it before closing it.
 */
#define LOG_COPIES_MAX 4
void log_add_copy(FILE *out, enum log_level level);
void log_drop_copy(FILE *out);

void log_error(const char *fmt, ...) PRINTF(1, 2);   /* front ends, and reasons of an error */
void log_warning(const char *fmt, ...) PRINTF(1, 2); /* not with -q */
void log_info(const char *fmt, ...) PRINTF(1, 2);
void log_debug(const char *fmt, ...) PRINTF(1, 2);
