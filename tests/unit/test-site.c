/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "folder.h"
#include "site-scene.h"
#include "upgrade/newest.h"
#include "upgrade/site-lock.h"

static void check_next(const struct site *s, const char *base, const char *want)
{
	autofree char *got = site_next_layer(s, base);

	assert_string_equal(got, want);
}

static void numbers_are_not_used_again(void **state)
{
	autofree char *boot = xasprintf("%s/boot", folder);
	autosite s = {0};

	(void)state;
	scene_begin(&s);
	check_next(&s, "node-1", "node-1+1");
	scene_add_lv(&s, "node-1+2", LVM_TAG_LAYER);
	scene_add_lv(&s, "node-1+10.merge", LVM_TAG_NEW);
	scene_add_lv(&s, "node-1+99999999999999999999", "somebody");
	scene_add_lv(&s, "node-1.5+77", LVM_TAG_LAYER);
	scene_add_lv(&s, "node-1+x", LVM_TAG_LAYER);
	check_next(&s, "node-1", "node-1+11");
	scene_add_entry(&s, "node-1+12");
	check_next(&s, "node-1", "node-1+13");

	/* Somebody's folder of that name is not written to. */
	autofree char *taken = xasprintf("%s/node-1+13", boot);
	assert_int_equal(mkdir(boot, 0755), 0);
	assert_int_equal(mkdir(taken, 0755), 0);
	s.boot_fd = open(boot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check_next(&s, "node-1", "node-1+14");
}

static void root_hash_is_that_of_the_entry(void **state)
{
	uint8_t hash[32] = {0};
	char text[SHA256_HEX_BYTES];
	autosite s = {0};
	struct err e = {0};

	(void)state;
	scene_begin(&s);
	scene_add_entry(&s, "n-1+1");
	scene_add_entry(&s, "n-2+1");
	assert_ok(site_root_hash(&s, "n-1+1", hash, &e), e);
	hex_format(hash, sizeof(hash), text);
	assert_string_equal(text, SCENE_HASH);
	free(s.entries.items[1].cmd_line);
	s.entries.items[1].cmd_line = xstrdup("bedplate.roothash=" SCENE_HASH "00 quiet");
	assert_fails(site_root_hash(&s, "n-2+1", hash, &e), EBADMSG, e,
		"the boot entry of layer 'n-2+1' has no bedplate.roothash= of 64 digits");
	assert_fails(site_root_hash(&s, "n-3+1", hash, &e), EBADMSG, e,
		"layer 'n-3+1' has no boot entry");
}

static void what_can_be_booted_is_whole(void **state)
{
	const struct history none = {0};
	const struct journal j = {.step = STEP_BOOT, .to = (char[]){"n-1+10"}};
	autosite s = {0};

	(void)state;
	scene_begin(&s);
	assert_null(site_best(&s, &none, NULL));
	scene_add_lv(&s, "n-1", LVM_TAG_BASE);
	scene_add_lv(&s, "n-1+2", LVM_TAG_LAYER);
	scene_add_lv(&s, "n-1+10", LVM_TAG_LAYER);
	assert_false(site_bootable(&s, "n-1+2"));
	scene_add_entry(&s, "n-1+2");
	scene_add_entry(&s, "n-1+10");
	assert_true(site_bootable(&s, "n-1+2"));
	assert_string_equal(site_best(&s, &none, NULL), "n-1+10");
	assert_string_equal(site_best(&s, &none, &j), "n-1+2");

	/* Newer, but each lacks something. */
	scene_add_lv(&s, "n-10", LVM_TAG_BASE " " LVM_TAG_NEW);
	scene_add_lv(&s, "n-10+1", LVM_TAG_LAYER);
	scene_add_entry(&s, "n-10+1");
	scene_add_lv(&s, "n-11", "somebody");
	scene_add_lv(&s, "n-11+1", LVM_TAG_LAYER);
	scene_add_entry(&s, "n-11+1");
	scene_add_lv(&s, "n-12", LVM_TAG_BASE);
	scene_add_lv(&s, "n-12+1", LVM_TAG_LAYER);
	scene_add_entry(&s, "n-12+1");
	s.entries.items[s.entries.count - 1].missing = xstrdup("n-12+1/vmlinuz");
	assert_string_equal(site_best(&s, &none, NULL), "n-1+10");
	assert_true(site_compare("n-2+1", "n-10+1") < 0);
	assert_true(site_compare("n-1+9", "n-1.1+1") < 0);
	assert_int_equal(site_compare("n-1+9", "n-1+9"), 0);
}

static void one_operation_at_a_time(void **state)
{
	autofree char *path = xasprintf("%s/run/deep/lock", folder);
	struct err e = {0};

	(void)state;
	int fd = site_lock(path, &e);
	assert_ok(fd, e);
	autofree char *want = xasprintf(
		"another operation is in progress: 'test-site', process %d", (int)getpid());
	assert_fails(site_lock(path, &e), EBUSY, e, want);
	site_unlock(fd);
	fd = site_lock(path, &e);
	assert_ok(fd, e);
	site_unlock(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(site_lock(path, &e), -ELOOP);
}

/* Another process has it, and lets it go while this one asks. */
static void the_lock_is_waited_for(void **state)
{
	autofree char *path = xasprintf("%s/run/waited", folder);
	struct err e = {0};
	int ready[2];
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd = site_lock(path, NULL);

		if (write(ready[1], "x", 1) != 1 || fd < 0)
			_exit(1);
		usleep(300000);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(site_lock_until(path, 0, &e), -EBUSY);
	int fd = site_lock_until(path, UINT64_MAX, &e);
	assert_ok(fd, e);
	site_unlock(fd);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_not_used_again),
		cmocka_unit_test(root_hash_is_that_of_the_entry),
		cmocka_unit_test(what_can_be_booted_is_whole),
		cmocka_unit_test(one_operation_at_a_time),
		cmocka_unit_test(the_lock_is_waited_for),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
