/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that cannot fail: out of memory ends the program.
 *
 * Sizes that come from outside (files, network) are capped before they get here.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/macro.h"

void *xcalloc(size_t n, size_t size) MUST_CHECK;
void *xrealloc(void *p, size_t size) MUST_CHECK;
/* Zeros; size is a multiple of align, which is a power of two. */
void *xaligned(size_t align, size_t size) MUST_CHECK;
char *xstrdup(const char *s) MUST_CHECK;
/* NULL stays NULL. */
char *xstrdup_or_null(const char *s) MUST_CHECK;
char *xvasprintf(const char *fmt, va_list ap) MUST_CHECK PRINTF(1, 0);
char *xstrndup(const char *s, size_t len) MUST_CHECK;
char *xasprintf(const char *fmt, ...) MUST_CHECK PRINTF(1, 2);
void *xmemdup(const void *p, size_t len) MUST_CHECK;
