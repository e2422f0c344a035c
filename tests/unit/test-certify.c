/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a machine that checks a plugin, and the report about it. */
#include "base/json.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "certify/report.h"
#include "test.h"

#define HEAD "bedplate-plugin-check 1\nstate running\n"

static int parse(const char *text, size_t len, struct guest_report *g, struct err *e)
{
	/* Not a byte behind it is there to be read. */
	autofree char *exact = xmemdup(text, len);

	return guest_report_parse(exact, len, g, e);
}

static void all_of_a_report_is_read(void **state)
{
	static const char text[] = "bedplate-plugin-check 1\n"
				   "state degraded\n"
				   "unit a.service\noutput 4\nlog\n\n"
				   "begin 10-one\noutput 0\n\nend 0\n"
				   "begin 20-two\noutput 7\na\nend 0\nend 3\n"
				   "unit a.service\noutput 5\nlater\n"
				   "unit b.service\noutput 1\nx\n"
				   "done\n";
	auto_guest_report g = {0};
	struct err e = {0};

	(void)state;
	/* With its NUL and without. */
	assert_ok(parse(text, sizeof(text), &g, &e), e);
	guest_report_fini(&g);
	assert_ok(parse(text, sizeof(text) - 1, &g, &e), e);
	assert_true(g.done);
	assert_string_equal(g.state, "degraded");
	assert_int_equal(g.unit_count, 2);
	assert_string_equal(g.units[0].output, "log\n");
	assert_string_equal(g.units[1].name, "b.service");
	assert_int_equal(g.test_count, 2);
	assert_true(g.tests[0].ended);
	assert_string_equal(guest_report_test(&g, "20-two")->output, "a\nend 0");
	assert_int_equal(g.tests[1].status, 3);
	assert_null(guest_report_test(&g, "20"));
}

static void a_report_may_end_early(void **state)
{
	static const char *const texts[] = {"", "bedplate-plugin-check 1\n", HEAD,
		HEAD "begin 10-one\n", HEAD "begin 10-one\noutput 1\nx\nend 1\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_guest_report g = {0};
		struct err e = {0};

		assert_ok(parse(texts[i], strlen(texts[i]) + 1, &g, &e), e);
		assert_false(g.done);
		assert_int_equal(g.test_count, i >= 3);
		if (i == 3)
			assert_false(g.tests[0].ended);
	}
}

static void what_is_no_report_is_refused(void **state)
{
	static const char *const texts[] = {"x", "x\n", "bedplate-plugin-check 2\n",
		"bedplate-plugin-check 1\nrunning\n", "bedplate-plugin-check 1\nstate \n",
		HEAD "begin \n", HEAD "done", HEAD "begin a\noutput 5000\n",
		HEAD "begin a\noutput 4\nabc\n", HEAD "begin a\noutput -1\nx\nend 0\n",
		HEAD "begin a\noutput 1\nxyend 0\n", HEAD "begin a\noutput 1\nx\nend 256\n",
		HEAD "begin a\noutput 1\nx\nend 0x\n", HEAD "begin a\noutput 1\nx\nbegin b\n",
		HEAD "begin a\noutput 1\nx\n", HEAD "begin a\noutput 0\n\nend 0\nbegin a\n",
		HEAD "unit a\n", HEAD "other\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_guest_report g = {0};
		struct err e = {0};

		assert_fails(parse(texts[i], strlen(texts[i]), &g, &e), EBADMSG, e,
			"what the machine wrote is not a report");
		assert_false(g.done);
	}
}

static void numbers_of_units_are_capped(void **state)
{
	autostrbuf b = {0};
	auto_guest_report g = {0};
	struct err e = {0};

	(void)state;
	strbuf_puts(&b, HEAD);
	for (int i = 0; i <= GUEST_UNITS_MAX; i++)
		strbuf_printf(&b, "unit %d\noutput 0\n\n", i);
	assert_int_equal(parse(b.data, b.len, &g, &e), -EBADMSG);
	assert_int_equal(g.unit_count, GUEST_UNITS_MAX);
}

static void fill(struct report *r, const char *guest)
{
	static const char *const names[] = {"plugin", "units", "tests"};
	struct err e = {0};

	r->plugin.name = xstrdup("p");
	r->plugin.version = xstrdup("1");
	r->plugin.vendor = xstrdup("V\033");
	r->image.name = xstrdup("node");
	r->image.version = xstrdup("2");
	r->image.has_root_hash = true;
	r->has_files = true;
	r->files_written = 3;
	r->checks = xcalloc(ARRAY_LEN(names), sizeof(*r->checks));
	r->check_count = ARRAY_LEN(names);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		r->checks[i] = (struct report_check){.name = names[i], .result = CHECK_PASSED};
	strv_add(&r->tests, "10-one");
	strv_add(&r->tests, "20-two");
	strv_add(&r->tests, "30-three");
	assert_ok(parse(guest, strlen(guest), &r->guest, &e), e);
}

static void the_text_shows_what_failed(void **state)
{
	static const char zeros[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	auto_report r = {0};

	(void)state;
	fill(&r, HEAD "begin 10-one\noutput 6\na\r\n\033b\n\nend 3\nbegin 20-two\n");
	r.checks[2].result = CHECK_FAILED;
	r.checks[2].message = xstrdup("failed: 10-one");
	assert_false(report_passed(&r));
	assert_ptr_equal(report_failure(&r), &r.checks[2]);
	autofree char *text = report_text(&r);
	autofree char *want = xasprintf("Plugin:      p 1, V\\x1b\n"
					"  sha256     %s\n"
					"  signature  none\n"
					"Image:       node 2\n"
					"  sha256     %s\n"
					"  root hash  %s\n"
					"Files:       3 added or changed, 0 removed\n"
					"plugin       passed\n"
					"units        passed\n"
					"tests        failed: failed: 10-one\n"
					"  test 10-one: failed with status 3\n"
					"    a\n"
					"    \\x1bb\n"
					"  test 20-two: failed, it did not end\n"
					"  test 30-three: not run\n"
					"Verdict:     failed\n",
		zeros, zeros, zeros);
	assert_string_equal(text, want);
}

static void the_json_has_every_key(void **state)
{
	static const char *const keys[] = {"checks", "console", "failed_units", "files", "format",
		"image", "passed", "plugin", "result", "tests", "tool", "verified"};
	auto_report r = {0};
	auto_report none = {0};

	(void)state;
	fill(&r, HEAD "unit u\noutput 2\n\377\n\nbegin 10-one\noutput 1\nx\nend 0\ndone\n");
	json_t *json = report_json(&r);

	assert_non_null(json);
	assert_int_equal(json_object_size(json), ARRAY_LEN(keys));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_non_null(json_object_get(json, keys[i]));
	assert_true(json_is_true(json_object_get(json, "passed")));
	assert_true(json_is_null(json_object_get(json, "result")));
	json_t *test = json_array_get(json_object_get(json, "tests"), 0);
	assert_string_equal(json_string_value(json_object_get(test, "result")), "passed");
	assert_int_equal(json_integer_value(json_object_get(test, "status")), 0);
	test = json_array_get(json_object_get(json, "tests"), 2);
	assert_true(json_is_null(json_object_get(test, "status")));
	json_decref(json);
	/* Nothing was checked: that is no pass. */
	json = report_json(&none);
	assert_true(json_is_false(json_object_get(json, "passed")));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_report_is_read),
		cmocka_unit_test(a_report_may_end_early),
		cmocka_unit_test(what_is_no_report_is_refused),
		cmocka_unit_test(numbers_of_units_are_capped),
		cmocka_unit_test(the_text_shows_what_failed),
		cmocka_unit_test(the_json_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
