/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "folder.h"
#include "upgrade/health.h"

static char *vendor, *admin;

static int setup(void **state)
{
	make_folder(state);
	vendor = xasprintf("%s/vendor", folder);
	admin = xasprintf("%s/admin", folder);
	return 0;
}

static int teardown(void **state)
{
	free(vendor);
	free(admin);
	return drop_folder(state);
}

/* path: "vendor/required/name".  script NULL: an empty file. */
static void put(const char *path, const char *script, unsigned mode)
{
	autofree char *whole = xasprintf("%s/%s", folder, path);
	autofree char *parent = xstrndup(whole, (size_t)(strrchr(whole, '/') - whole));
	autofree char *text = script ? xasprintf("#!/bin/sh\n%s\n", script) : xstrdup("");
	struct err e = {0};

	assert_ok(file_make_folder(parent, 0755, &e), e);
	assert_ok(file_replace(whole, text, strlen(text), mode, &e), e);
	assert_int_equal(chmod(whole, mode), 0);
}

static void clear(void)
{
	struct err e = {0};

	assert_ok(file_remove_tree(vendor, &e), e);
	assert_ok(file_remove_tree(admin, &e), e);
}

static void run(bool again, unsigned seconds, struct health_result *out)
{
	const struct health_spec spec = {
		.vendor = vendor,
		.admin = admin,
		.deadline = health_now() + seconds,
		.check_seconds = seconds < 2 ? seconds : 2,
		.again = again,
		.pause_seconds = 1,
	};
	struct err e = {0};

	assert_ok(health_run(&spec, out, &e), e);
}

static void assert_text(const struct health_result *r, const char *want)
{
	autofree char *text = health_text(r);

	assert_string_equal(text, want);
}

static void no_checks_are_good(void **state)
{
	autohealthresult r = {0};

	(void)state;
	clear();
	run(false, 60, &r);
	assert_int_equal(r.count, 0);
	assert_true(health_is_good(&r));
	assert_text(&r, "Health: ok\nRequired:\nWanted:\n");
}

static void each_says_why(void **state)
{
	autohealthresult r = {0};

	(void)state;
	clear();
	put("vendor/required/20-b", "echo fine; exit 0", 0755);
	put("vendor/required/10-a", "echo first; echo 'no address'; echo; exit 3", 0755);
	put("vendor/wanted/c", "printf 'on \\033[2J stderr' >&2; exit 1", 0755);
	put("admin/required/15-silent", "exit 1", 0755);
	put("vendor/required/x.dpkg-new", "exit 1", 0755);
	put("vendor/required/.hidden", "exit 1", 0755);
	put("vendor/required/old~", "exit 1", 0755);
	run(false, 60, &r);
	assert_false(health_is_good(&r));

	assert_text(&r,
		"Health: failed\n"
		"Required:\n"
		"  10-a ... failed - no address\n"
		"  15-silent ... failed - exit status 1\n"
		"  20-b ... ok - fine\n"
		"Wanted:\n"
		"  c ... failed - on \\x1b[2J stderr\n");
	autofree char *why = health_why(&r);
	assert_string_equal(why, "10-a: no address; 15-silent: exit status 1");
}

static void wanted_is_no_reason(void **state)
{
	autohealthresult r = {0};

	(void)state;
	clear();
	put("vendor/required/a", "exit 0", 0755);
	put("vendor/wanted/b", "exit 1", 0755);
	run(true, 60, &r);
	assert_true(health_is_good(&r));
	json_t *j = health_json(&r);
	assert_string_equal(json_string_value(json_object_get(j, "status")), "warn");
	json_t *b = json_array_get(json_object_get(j, "checks"), 1);
	assert_string_equal(json_string_value(json_object_get(b, "name")), "b");
	assert_true(json_is_false(json_object_get(b, "required")));
	assert_string_equal(json_string_value(json_object_get(b, "status")), "failed");
	json_decref(j);
}

static void admin_goes_first(void **state)
{
	autofree char *link = xasprintf("%s/required/link", admin);
	autohealthresult r = {0};

	(void)state;
	clear();
	put("vendor/required/empty", "exit 1", 0755);
	put("admin/required/empty", NULL, 0755);
	put("vendor/required/link", "exit 1", 0755);
	assert_int_equal(symlink("/dev/null", link), 0);
	put("vendor/required/off", "exit 1", 0755);
	put("admin/required/off", "exit 0", 0644);
	put("vendor/required/other", "exit 1", 0755);
	put("admin/required/other", "echo mine", 0755);
	/* The same name among the others is another check. */
	put("admin/wanted/other", "exit 1", 0755);
	run(false, 60, &r);
	assert_text(&r,
		"Health: warn\n"
		"Required:\n"
		"  empty ... skipped\n"
		"  link ... skipped\n"
		"  off ... skipped\n"
		"  other ... ok - mine\n"
		"Wanted:\n"
		"  other ... failed - exit status 1\n");
}

static void others_cannot_decide(void **state)
{
	autofree char *gone = xasprintf("%s/vendor/required/gone", folder);
	autohealthresult r = {0};

	(void)state;
	clear();
	put("vendor/required/writable", "touch \"$0.was-run\"", 0757);
	put("vendor/required/group", "exit 0", 0775);
	assert_int_equal(symlink("/nowhere/at/all", gone), 0);
	run(true, 3, &r);
	assert_text(&r,
		"Health: failed\n"
		"Required:\n"
		"  gone ... failed - not run: it cannot be read\n"
		"  group ... failed - not run: it is not root's, or others can write to it\n"
		"  writable ... failed - not run: it is not root's, or others can write to it\n"
		"Wanted:\n");
	autofree char *ran = xasprintf("%s/required/writable.was-run", vendor);
	assert_false(file_exists(ran));
}

static void tried_again_until_good(void **state)
{
	autohealthresult r = {0}, once = {0};

	(void)state;
	clear();
	put("vendor/required/late", "[ -e $0.now ] || { : >$0.now; chmod 600 $0.now; exit 1; }",
		0755);
	put("vendor/required/good", "echo x >>$0.count", 0755);
	put("vendor/wanted/once", "echo x >>$0.count; exit 1", 0755);
	run(true, 60, &r);
	assert_true(health_is_good(&r));
	assert_int_equal(r.items[1].status, HEALTH_OK);

	clear();
	put("vendor/required/late", "[ -e $0.now ] || { : >$0.now; exit 1; }", 0755);
	run(false, 60, &once);
	assert_false(health_is_good(&once));
}

static void one_deadline_for_all(void **state)
{
	autohealthresult r = {0}, none = {0};

	(void)state;
	clear();
	put("vendor/required/a-hangs", "echo waiting; exec sleep 1000", 0755);
	put("vendor/required/b", "exit 0", 0755);
	run(true, 2, &r);
	assert_int_equal(r.items[0].status, HEALTH_TIMED_OUT);
	assert_string_equal(r.items[0].says, "waiting");
	assert_int_equal(r.items[1].status, HEALTH_TIMED_OUT);
	assert_string_equal(r.items[1].says, "not run: there was no time left");
	assert_false(health_is_good(&r));

	run(true, 0, &none);
	assert_int_equal(none.items[0].status, HEALTH_TIMED_OUT);
	assert_false(health_is_good(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_checks_are_good),
		cmocka_unit_test(each_says_why),
		cmocka_unit_test(wanted_is_no_reason),
		cmocka_unit_test(admin_goes_first),
		cmocka_unit_test(others_cannot_decide),
		cmocka_unit_test(tried_again_until_good),
		cmocka_unit_test(one_deadline_for_all),
	};

	return cmocka_run_group_tests_name("health", tests, setup, teardown);
}
