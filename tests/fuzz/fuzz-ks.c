/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kickstart parser on any bytes: parse, print, and parse what was printed.
 *
 * Built as a libFuzzer target with clang and AddressSanitizer (FUZZ is defined), and in every build as
 * a program that replays the files and folders named on its command line.
 */
#include <stdint.h>
#include <stdio.h>
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

#ifndef FUZZ
static int replay_file(const char *path)
{
	autofree char *text = NULL;
	struct err e = {0};
	size_t len;

	if (file_read(path, 64 * MIB, &text, &len, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	/* A copy without a NUL behind it, so that reading past the end is seen. */
	autofree uint8_t *copy = xmemdup(text, len);
	LLVMFuzzerTestOneInput(copy, len);
	return 0;
}

int main(int argc, char *argv[])
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		autostrv names = {0};

		if (file_list(argv[i], &names, NULL) < 0)
			failed |= replay_file(argv[i]);
		for (size_t n = 0; n < names.count; n++) {
			autofree char *path = xasprintf("%s/%s", argv[i], names.items[n]);

			failed |= replay_file(path);
		}
	}
	return failed;
}
#endif
