/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/checks.h"

#include <stdio.h>

#include "base/json.h"
#include "base/str.h"

static void print_passed(void *ctx UNUSED, const char *what)
{
	autofree char *safe = str_printable(what);

	printf("ok  %s\n", safe);
	fflush(stdout);
}

static void collect(void *ctx, const char *what)
{
	json_array_append_new(ctx, json_text(what));
}

struct checks checks_begin(bool json)
{
	return (struct checks){json ? collect : print_passed, json_array()};
}

void checks_end(struct checks *c, bool json, int result, const struct err *e)
{
	if (json)
		json_print(json_pack("{s:b,s:O,s:o}", "ok", result == 0, "passed", c->ctx, "error",
			result == 0 ? json_null() : json_text(e->msg)));
	json_decref(c->ctx);
}
