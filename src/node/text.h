/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for people out of text that is not trusted. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/str.h"

/* A line; control characters in it become \xHH, so it stays one line of plain text. */
void text_line(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);

/* "12.3 %"; "?" for a percentage that is not known, which is below 0.  The caller frees it. */
char *text_percent(double percent) MUST_CHECK;
/* "2026-11-20T10:00:00Z".  The caller frees it. */
char *text_date(int64_t seconds) MUST_CHECK;
/* The number, or null. */
json_t *text_percent_json(double percent) MUST_CHECK;
