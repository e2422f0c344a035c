/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands print that go through a list of checks and end at the first that fails. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* The callback for each check that passed, and its context: a line on stdout, or kept for the end. */
struct checks {
	void (*passed)(void *ctx, const char *what);
	json_t *ctx;
};

struct checks checks_begin(bool json);
/* With json: whether all passed, which ones, and the error. */
void checks_end(struct checks *c, bool json, int result, const struct err *e);
