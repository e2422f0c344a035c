/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <sys/mount.h>

#include "merge-scene.h"
#include "sys/chroot.h"
#include "upgrade/merge.h"

static const struct merge_case {
	const char *name, *old, *upper, *new;
	const char *want, *report;
} cases[] = {
#include "merge-cases.h"
};

struct scene {
	char *path;
	char *old, *upper, *new;
	struct tree *trees[3];
	struct merge_trees merge;
};

static char *in_scene(const struct scene *s, const char *name)
{
	return xasprintf("%s/%s", s->path, name);
}

static void scene_scan(struct scene *s)
{
	struct err e = {0};

	assert_ok(tree_scan(s->old, &s->trees[0], &e), e);
	assert_ok(tree_scan(s->upper, &s->trees[1], &e), e);
	assert_ok(tree_scan(s->new, &s->trees[2], &e), e);
	s->merge = (struct merge_trees){s->trees[0], s->trees[1], s->trees[2]};
}

static void scene_init(struct scene *s)
{
	*s = (struct scene){.path = xasprintf("%s/scene", folder)};
	s->old = in_scene(s, "old");
	s->upper = in_scene(s, "upper");
	s->new = in_scene(s, "new");
}

static void scene_open(struct scene *s, const char *old, const char *upper, const char *new)
{
	scene_init(s);
	scene_make(s->old, old);
	scene_make(s->upper, upper);
	scene_make(s->new, new);
	scene_scan(s);
}

static void scene_close(struct scene *s)
{
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_LEN(s->trees); i++)
		tree_free(s->trees[i]);
	assert_ok(file_remove_tree(s->path, &e), e);
	free(s->path);
	free(s->old);
	free(s->upper);
	free(s->new);
}

static char *report_text(const struct merge_report *r)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < r->count; i++) {
		const struct merge_change *c = &r->items[i];

		strbuf_printf(
			&b, "%s%s:%s", i > 0 ? " " : "", merge_action_name(c->action), c->path);
		if (c->beside)
			strbuf_printf(&b, ">%s", c->beside);
	}
	return strbuf_take(&b);
}

/* Merge into the folder NAME of the scene.  The caller frees both. */
static void run(struct scene *s, const char *name, char **result, char **report)
{
	autofree char *out = in_scene(s, name);
	automergereport r = {0};
	autoptr(tree) t = NULL;
	struct err e = {0};

	scene_make_folder(out);
	int fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(merge_layer(&s->merge, fd, &r, NULL, &e), e);
	close(fd);
	assert_ok(tree_scan(out, &t, &e), e);
	*result = scene_text(t);
	*report = report_text(&r);
}

static char *run_report_only(struct scene *s)
{
	automergereport r = {0};
	struct err e = {0};

	assert_ok(merge_layer(&s->merge, -1, &r, NULL, &e), e);
	return report_text(&r);
}

static bool case_ok(const struct merge_case *c)
{
	autofree char *result = NULL;
	autofree char *again = NULL;
	autofree char *report = NULL;
	autofree char *report_again = NULL;
	autofree char *only = NULL;
	struct scene s;

	scene_open(&s, c->old, c->upper, c->new);
	run(&s, "out", &result, &report);
	run(&s, "again", &again, &report_again);
	only = run_report_only(&s);
	scene_close(&s);
	if (!str_eq(result, c->want) || !str_eq(report, c->report))
		print_error("%s:\n got  %s\n want %s\n got  %s\n want %s\n", c->name, result,
			c->want, report, c->report);
	assert_string_equal(again, result);
	assert_string_equal(report_again, report);
	assert_string_equal(only, report);
	return str_eq(result, c->want) && str_eq(report, c->report);
}

static bool can_run(void)
{
	struct err e = {0};

	if (geteuid() != 0 || chroot_enter_namespace(&e) < 0)
		return false;
	autofree char *path = xasprintf("%s/try", folder);
	scene_make_folder(path);
	bool ok = lsetxattr(path, "trusted.overlay.opaque", "y", 1, 0) == 0 &&
		lsetxattr(path, "system.posix_acl_access", acl_bytes, sizeof(acl_bytes) - 1, 0) ==
			0;
	assert_ok(file_remove_tree(path, &e), e);
	return ok;
}

#define SKIP_UNLESS_ROOT                                                                           \
	do {                                                                                       \
		if (!can_run()) {                                                                  \
			print_message("needs root and trusted.* attributes\n");                    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void every_rule(void **state)
{
	unsigned wrong = 0;

	(void)state;
	SKIP_UNLESS_ROOT;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		wrong += !case_ok(&cases[i]);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
