/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>

#include "folder.h"
#include "upgrade/settings.h"

static int read_text(const char *text, struct settings *out, struct err *e)
{
	autofd int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err write_error = {0};

	assert_true(root >= 0);
	assert_ok(file_write_in_root(root, SETTINGS_PATH, text, 0644, &write_error), write_error);
	return settings_read(root, out, e);
}

static void assert_settings(
	const char *text, unsigned keep, unsigned tries, unsigned health_deadline_seconds)
{
	struct settings got;
	struct err e = {0};

	assert_ok(read_text(text, &got, &e), e);
	assert_int_equal(e.code, 0);
	assert_int_equal(got.keep, keep);
	assert_int_equal(got.tries, tries);
	assert_int_equal(got.health_deadline_seconds, health_deadline_seconds);
}

static void without_a_file_there_are_defaults(void **state)
{
	autofree char *empty = xasprintf("%s/empty", folder);
	struct settings got;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(empty, 0755), 0);
	autofd int root = open(empty, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(settings_read(root, &got, &e), e);
	assert_int_equal(e.code, 0);
	assert_string_equal(e.msg, "");
	assert_int_equal(got.keep, 2);
	assert_int_equal(got.tries, 3);
	assert_int_equal(got.health_deadline_seconds, 600);
}

static void what_is_set_counts(void **state)
{
	(void)state;
	assert_settings("", 2, 3, 600);
	assert_settings("\n# keep = 9\n  \t\n   # x\n", 2, 3, 600);
	assert_settings("keep = 5\ntries=1\nhealth_deadline\t=  60", 5, 1, 60);
	assert_settings("  keep=1  \r\ntries = 9\nhealth_deadline = 86400\n", 1, 9, 86400);
	assert_settings("keep = 64\nkeep = 3\n", 3, 3, 600);
}

static void assert_refused(const char *text, const char *want)
{
	struct settings got;
	struct err e = {0};
	int r = read_text(text, &got, &e);

	assert_fails(r, EINVAL, e, want);
}

static void the_line_that_is_wrong_is_named(void **state)
{
	static const char *const bad_keep[] = {
		"0", "65", "", "-1", "+2", "2x", "0x2", "2 3", "two", "99999999999999999999", " "};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_keep); i++) {
		autofree char *text = xasprintf("# 1\n\nkeep =%s\n", bad_keep[i]);
		autofree char *want = xasprintf("/etc/bedplate/upgrade.conf:3: bad keep '%s', "
						"expected a number from 1 to 64",
			str_eq(bad_keep[i], " ") ? "" : bad_keep[i]);
		assert_refused(text, want);
	}
	assert_refused("tries = 10\n",
		"/etc/bedplate/upgrade.conf:1: bad tries '10', expected a number from 1 to 9");
	assert_refused("keep = 2\nhealth_deadline = 59\n",
		"/etc/bedplate/upgrade.conf:2: bad health_deadline '59', expected a number from 60 "
		"to 86400");
	assert_refused("keep 2\n", "/etc/bedplate/upgrade.conf:1: expected NAME = VALUE");
	assert_refused("Keep = 2\n",
		"/etc/bedplate/upgrade.conf:1: unknown setting 'Keep', expected keep, tries or "
		"health_deadline");
	assert_refused("= 2\n",
		"/etc/bedplate/upgrade.conf:1: unknown setting '', expected keep, tries or "
		"health_deadline");
}

static void what_is_no_file_is_an_error(void **state)
{
	autofree char *root_path = xasprintf("%s/odd", folder);
	autofree char *path = xasprintf("%s" SETTINGS_PATH, root_path);
	autofree char *large = xcalloc(1, 64 * KIB + 2);
	struct settings got;
	struct err e = {0};

	(void)state;
	assert_ok(file_make_folder(path, 0755, &e), e);
	autofd int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(settings_read(root, &got, &e), -EISDIR);
	memset(large, '\n', 64 * KIB + 1);
	assert_int_equal(read_text(large, &got, &e), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_there_are_defaults),
		cmocka_unit_test(what_is_set_counts),
		cmocka_unit_test(the_line_that_is_wrong_is_named),
		cmocka_unit_test(what_is_no_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
