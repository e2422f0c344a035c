/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands print that look for all that is wrong: file by file, then whether all was good. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* The callback for each file, and its context: a line on stdout, or kept for the end. */
struct wrong {
	void (*found)(void *ctx, const char *file, const char *problem);
	json_t *ctx;
};

struct wrong wrong_begin(bool json);
void wrong_end(struct wrong *w, bool json, int result, const struct err *e);
