/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wrong.h"

#include <stdio.h>

#include "base/json.h"
#include "base/str.h"

static void print_wrong(void *ctx UNUSED, const char *file, const char *problem)
{
	autofree char *safe = str_printable(file);

	printf("%s: %s\n", safe, problem);
}

static void collect(void *ctx, const char *file, const char *problem)
{
	json_array_append_new(ctx,
		json_pack("{s:o,s:o}", "file", json_text(file), "problem", json_text(problem)));
}

struct wrong wrong_begin(bool json)
{
	return (struct wrong){json ? collect : print_wrong, json_array()};
}

void wrong_end(struct wrong *w, bool json, int result, const struct err *e)
{
	if (json)
		json_print(json_pack("{s:b,s:O,s:o}", "ok", result == 0, "wrong", w->ctx, "error",
			result == 0 ? json_null() : json_text(e->msg)));
	else if (result == 0)
		puts("good");
	json_decref(w->ctx);
}
