/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays tests/golden/kickstart/NAME.jsonl: one JSON object a line with "input" and the expected
 * "ok", "lineno" (null: any) and "canonical" text.
 */
#include "test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "ks/ks.h"

static const struct ks_problem *first_error(const struct ks_doc *doc)
{
	for (size_t i = 0; i < ks_problem_count(doc); i++)
		if (!ks_problem_at(doc, i)->is_warning)
			return ks_problem_at(doc, i);
	return NULL;
}

static bool same_verdict(const json_t *want, const struct ks_doc *doc)
{
	const json_t *line = json_object_get(want, "lineno");
	const struct ks_problem *p = first_error(doc);

	if (json_is_true(json_object_get(want, "ok")) != !p)
		return false;
	return !p || !json_is_integer(line) || (unsigned)json_integer_value(line) == p->line;
}

static bool same_text(const json_t *want, const struct ks_doc *doc)
{
	autofree char *got = ks_canonical(doc);
	const char *text = json_string_value(json_object_get(want, "canonical"));

	if (ks_error_count(doc) > 0 || !text || str_eq(text, got))
		return true;
	print_error("# got    %s# wanted %s", got, text);
	return false;
}

static unsigned replay_line(const char *line)
{
	json_t *want = json_loads(line, 0, NULL);
	const json_t *input = json_object_get(want, "input");
	autoptr(ks_doc) doc = NULL;
	struct err e = {0};
	bool same = true;

	assert_non_null(want);
	assert_ok(ks_parse_text("test.ks", json_string_value(input), json_string_length(input),
			  NULL, &doc, &e),
		e);
	if (!same_verdict(want, doc)) {
		const struct ks_problem *p = first_error(doc);

		print_error("# got    %s %u %s\n", p ? "refused" : "accepted", p ? p->line : 0,
			p ? p->text : "");
		same = false;
	}
	same = same_text(want, doc) && same;
	if (!same)
		print_error("# case   %s\n\n", line);
	json_decref(want);
	return !same;
}

static void replay(const char *name)
{
	autofree char *path = xasprintf("%s/kickstart/%s", getenv("BEDPLATE_GOLDEN"), name);
	autofree char *text = NULL;
	struct err e = {0};
	unsigned count = 0, wrong = 0;

	assert_ok(file_read(path, 64 * MIB, &text, NULL, &e), e);
	char *rest = text;
	for (char *line; (line = str_next_word(&rest, "\n")); count++)
		wrong += replay_line(line);
	print_message("# %s: %u of %u cases agree\n", name, count - wrong, count);
	assert_true(count > 0);
	assert_int_equal(wrong, 0);
}

static void reference_cases(void **state)
{
	(void)state;
	replay("reference.jsonl");
}

static void own_cases(void **state)
{
	(void)state;
	replay("own.jsonl");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_cases),
		cmocka_unit_test(own_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
