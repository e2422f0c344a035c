/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "sh-tree.h"
#include "sys/chroot.h"

static size_t count_mounts(const char *below)
{
	autofree char *text = NULL;
	struct err e = {0};
	size_t count = 0;

	assert_ok(file_read("/proc/self/mountinfo", 1 << 20, &text, NULL, &e), e);
	for (const char *p = text; (p = strstr(p, below)); p++)
		count++;
	return count;
}

static void mounts_are_there_and_gone(void **state)
{
	char path[] = "/tmp/bedplate-test-XXXXXX";
	struct err e = {0};

	(void)state;
	if (geteuid() != 0 || chroot_enter_namespace(&e) < 0)
		skip();
	assert_ok(chroot_enter_namespace(&e), e);
	assert_non_null(mkdtemp(path));
	autofree char *etc = xasprintf("%s/etc", path);
	autofree char *sbin = xasprintf("%s/usr/sbin", path);
	autofree char *policy = xasprintf("%s/policy-rc.d", sbin);
	autofree char *null = xasprintf("%s/dev/null", path);
	autofree char *disk = xasprintf("%s/dev/loop0", path);
	assert_ok(file_make_folder(etc, 0755, &e), e);
	assert_ok(file_make_folder(sbin, 0755, &e), e);

	struct chroot *root = NULL;
	assert_ok(chroot_open(path, &root, &e), e);
	assert_true(count_mounts(path) >= 3);
	assert_true(file_exists(policy));
	struct stat st;
	assert_int_equal(stat(null, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_false(file_exists(disk));
	chroot_close(root);

	assert_int_equal(count_mounts(path), 0);
	assert_false(file_exists(policy));
	assert_false(file_exists(null));
	assert_ok(file_remove_tree(path, &e), e);
}

static void links_of_the_tree_do_not_move_mounts(void **state)
{
	char path[] = "/tmp/bedplate-test-XXXXXX";
	struct err e = {0};

	(void)state;
	if (geteuid() != 0 || chroot_enter_namespace(&e) < 0)
		skip();
	assert_non_null(mkdtemp(path));
	autofree char *dev = xasprintf("%s/dev", path);
	autofree char *run = xasprintf("%s/run", path);
	autofree char *victim = xasprintf("%s-victim", path);
	autofree char *inside = xasprintf("%s%s", path, victim);
	/* In the tree "/tmp/...-victim" is a folder of the tree, not the host's. */
	assert_ok(file_make_folder(victim, 0755, &e), e);
	assert_ok(file_make_folder(inside, 0755, &e), e);
	assert_int_equal(symlink(victim, dev), 0);
	assert_int_equal(symlink("../../../..", run), 0);

	struct chroot *root = NULL;
	int r = chroot_open(path, &root, &e);
	autofree char *host_null = xasprintf("%s/null", victim);
	assert_false(file_exists(host_null));
	if (r == 0)
		chroot_close(root);
	assert_int_equal(count_mounts(path), 0);
	assert_ok(file_remove_tree(victim, &e), e);
	assert_ok(file_remove_tree(path, &e), e);
}

static void children_end_with_the_command(void **state)
{
	autocmd c = {0};
	autofree char *out = NULL;
	struct err e = {0};

	(void)state;
	if (geteuid() != 0 || chroot_enter_namespace(&e) < 0)
		skip();
	/* The daemon holds our pipe: were it not killed, this would take 60 seconds. */
	chroot_cmd_init_outside(&c);
	cmd_add(&c, "sh", "-c", "(trap '' TERM HUP; sleep 60) & echo $$", NULL);
	c.timeout_seconds = 30;
	assert_ok(cmd_output(&c, &out, &e), e);
	assert_string_equal(out, "1\n");
}

/* Its shell is process 1 of the namespace and would sleep through SIGTERM. */
static void a_command_ends_at_once(void **state)
{
	struct timespec before, after;
	struct sh_tree t;
	struct err e = {0};

	(void)state;
	if (!sh_tree_init(&t))
		skip();
	autoptr(chroot) root = NULL;
	autocmd c = {.timeout_seconds = 1};
	assert_ok(chroot_open(t.path, &root, &e), e);
	chroot_cmd_init(root, &c);
	cmd_add(&c, "sh", "-c", "sleep 60; :", NULL);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(cmd_run(&c, &e), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 1, 3);
	chroot_close(take_ptr(root));
	sh_tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mounts_are_there_and_gone),
		cmocka_unit_test(links_of_the_tree_do_not_move_mounts),
		cmocka_unit_test(children_end_with_the_command),
		cmocka_unit_test(a_command_ends_at_once),
	};

	return cmocka_run_group_tests_name("chroot", tests, NULL, NULL);
}
