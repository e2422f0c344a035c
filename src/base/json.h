/* SPDX-License-Identifier: Apache-2.0 */
/* What jansson lacks: text that need not be UTF-8, and one way to print. */
#pragma once

#include <jansson.h>

#include "base/macro.h"
#include "base/str.h"

/* A string; null for NULL.  In text that is not UTF-8 each byte past ASCII becomes a '?'. */
json_t *json_text(const char *s) MUST_CHECK;
json_t *json_texts(const struct strv *v) MUST_CHECK;
/* Adds those of a list, if it is one; false: there is something else in it. */
bool json_take_texts(const json_t *list, struct strv *out) MUST_CHECK;

/* Canonical text: sorted keys, two blanks a level, a newline at the end.  The caller frees it. */
char *json_format(const json_t *j) MUST_CHECK;
/* The same on stdout; takes over j. */
void json_print(json_t *j);
