/* SPDX-License-Identifier: Apache-2.0 */
/* The kickstart parser on any bytes: parse, ask, print, and parse what was printed. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "ks/ks.h"
#include "ks/unattended.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int refuse_fetch(
	UNUSED void *ctx, const char *url, UNUSED char **text, UNUSED size_t *len, struct err *e)
{
	return err_set(e, ENOENT, "%.20s", url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Includes must not lead out into the file system of the machine. */
	const struct ks_options options = {.missing_include_ok = true, .fetch = refuse_fetch};
	struct ks_question questions[KS_QUESTIONS];
	autoptr(ks_doc) doc = NULL;
	autoptr(ks_doc) again = NULL;
	autofree char *text = NULL, *json = NULL;
	struct err e = {0};

	if (ks_parse_text("/nonexistent/fuzz.ks", (const char *)data, size, &options, &doc, &e) < 0)
		return 0;
	ks_unattended(doc, questions);
	ks_add_unattended_warnings(doc);
	ks_add_support_warnings(doc, KS_FOR_IMAGE);
	json = ks_json(doc);
	text = ks_canonical(doc);
	if (ks_parse_text("/nonexistent/again.ks", text, strlen(text), &options, &again, &e) < 0)
		abort();
	return 0;
}
