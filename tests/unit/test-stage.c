/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "folder.h"
#include "image/stage.h"

static struct stage_cache *open_cache(const char *recipe)
{
	struct stage_cache *c = NULL;
	struct err e = {0};

	assert_ok(stage_cache_open(folder, recipe, &c, &e), e);
	return c;
}

/* Run stage "packages" with one input; it writes a file called "result" when it runs. */
static void run_stage(struct stage *s, struct stage_cache *c, const char *input, bool commit)
{
	struct err e = {0};

	stage_add_text(s, "package list", input);
	assert_ok(stage_begin(s, c, false, &e), e);
	if (s->cached)
		return;
	autofree char *path = xasprintf("%s/result", s->work);
	assert_ok(file_replace(path, input, strlen(input), 0644, &e), e);
	if (commit)
		assert_ok(stage_commit(s, &e), e);
}

static void runs_once(void **state)
{
	autoptr(stage_cache) c = open_cache("/recipes/a.ks");
	autostage first = {.name = "packages", .log_fd = -1};
	autostage second = {.name = "packages", .log_fd = -1};

	(void)state;
	run_stage(&first, c, "one", true);
	assert_false(first.cached);
	assert_string_equal(first.why, "first build");
	run_stage(&second, c, "one", true);
	assert_true(second.cached);
	assert_string_equal(second.why, "nothing changed");
	assert_string_equal(second.folder, first.folder);

	autofree char *path = xasprintf("%s/result", second.folder);
	assert_true(file_exists(path));
}

static void says_what_changed(void **state)
{
	autoptr(stage_cache) c = open_cache("/recipes/a.ks");
	autostage s = {.name = "packages", .log_fd = -1};

	(void)state;
	run_stage(&s, c, "two", true);
	assert_false(s.cached);
	assert_string_equal(s.why, "package list changed");
}

static void failed_work_is_dropped(void **state)
{
	autoptr(stage_cache) c = open_cache("/recipes/a.ks");
	autofree char *work = NULL;

	(void)state;
	{
		autostage s = {.name = "packages", .log_fd = -1};

		run_stage(&s, c, "three", false);
		work = xstrdup(s.work);
		assert_true(file_exists(work));
	}
	assert_false(file_exists(work));
}

static void work_of_a_killed_build_is_dropped(void **state)
{
	autofree char *work = xasprintf("%s/stages/packages-0123.work", folder);
	struct err e = {0};

	(void)state;
	assert_ok(file_make_folder(work, 0755, &e), e);
	stage_cache_close(open_cache("/recipes/a.ks"));
	assert_false(file_exists(work));
}

static void prune_keeps_what_any_recipe_uses(void **state)
{
	autoptr(stage_cache) other = open_cache("/recipes/b.ks");
	autostage s = {.name = "packages", .log_fd = -1};
	autofree char *stages = xasprintf("%s/stages", folder);
	autostrv left = {0};
	struct err e = {0};

	(void)state;
	/* "one" and "two" are recipe a's, of which "two" is the last; "four" is b's. */
	run_stage(&s, other, "four", true);
	assert_ok(stage_cache_prune(other, &e), e);
	assert_ok(file_list(stages, &left, &e), e);
	assert_int_equal(left.count, 2);
	assert_true(file_exists(s.folder));

	autofree char *last = stage_last_folder(other, "packages");
	assert_string_equal(last, s.folder);
}

static void prune_forgets_recipes_that_are_gone(void **state)
{
	static const char *const recipes[] = {"/recipes/gone.ks", "/", "/recipes/now.ks"};
	const struct timespec hours_ago[2] = {
		{.tv_sec = time(NULL) - 4 * 60 * 60}, {.tv_sec = time(NULL) - 4 * 60 * 60}};
	struct err e = {0};
	autostrv paths = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
		autoptr(stage_cache) c = open_cache(recipes[i]);
		autostage s = {.name = "packages", .log_fd = -1};

		run_stage(&s, c, recipes[i], true);
		strv_add(&paths, s.folder);
	}
	autofree char *records = xasprintf("%s/recipes", folder);
	autostrv names = {0};
	assert_ok(file_list(records, &names, &e), e);
	for (size_t i = 0; i < names.count; i++) {
		autofree char *path = xasprintf("%s/%s", records, names.items[i]);

		if (!strstr(path, "now-"))
			assert_int_equal(utimensat(AT_FDCWD, path, hours_ago, 0), 0);
	}
	autoptr(stage_cache) c = open_cache("/recipes/now.ks");
	assert_ok(stage_cache_prune(c, &e), e);
	assert_false(file_exists(paths.items[0]));
	assert_true(file_exists(paths.items[1]));
	assert_true(file_exists(paths.items[2]));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_once),
		cmocka_unit_test(says_what_changed),
		cmocka_unit_test(failed_work_is_dropped),
		cmocka_unit_test(work_of_a_killed_build_is_dropped),
		cmocka_unit_test(prune_keeps_what_any_recipe_uses),
		cmocka_unit_test(prune_forgets_recipes_that_are_gone),
	};

	return cmocka_run_group_tests_name("stage", tests, make_folder, drop_folder);
}
