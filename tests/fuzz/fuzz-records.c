/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records on /boot on any bytes.  What a parser takes, its writer must give back such that it is
 * taken again and is the same.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "boot/records-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_journal(const char *text, size_t len)
{
	autojournal j = {0}, again = {0};

	if (journal_parse(text, len, &j, NULL) < 0)
		return;
	autofree char *first = journal_format(&j);
	int r = journal_parse(first, strlen(first), &again, NULL);
	assert(r == 0);
	autofree char *second = journal_format(&again);
	assert(str_eq(first, second));
}

static void try_failed(const char *text, size_t len)
{
	autofailed f = {0}, again = {0};

	if (failed_parse(text, len, &f, NULL) < 0)
		return;
	autofree char *first = failed_format(&f);
	int r = failed_parse(first, strlen(first), &again, NULL);
	assert(r == 0 && again.count == f.count);
	autofree char *second = failed_format(&again);
	assert(str_eq(first, second));
}

static void try_history(const char *text)
{
	autohistory h = {0};
	autostrv raw = {0};

	history_parse(text, &h, &raw);
	assert(raw.count == h.count && h.count <= HISTORY_LINES_MAX);
	for (size_t i = 0; i < h.count; i++) {
		autofree char *line = transition_format(&h.items[i]);
		struct transition t = {0};
		int r = transition_parse(line, strlen(line), &t, NULL);

		assert(r == 0 && strchr(line, '\n') == line + strlen(line) - 1);
		transition_fini(&t);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autofree char *text = xcalloc(1, len + 1);

	memcpy(text, data, len);
	try_journal(text, len);
	try_failed(text, len);
	try_history(text);
	return 0;
}
