/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "folder.h"

static void cmd_gives_output(void **state)
{
	autocmd c = {0};
	autofree char *out = NULL;
	struct err e = {0};

	(void)state;
	cmd_add(&c, "printf", "%s", "a b\n", NULL);
	assert_ok(cmd_output(&c, &out, &e), e);
	assert_string_equal(out, "a b\n");
}

static void cmd_failure_names_program_and_last_line(void **state)
{
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	cmd_add(&c, "sh", "-c", "echo one >&2; echo two >&2; exit 3", NULL);
	assert_fails(cmd_run(&c, &e), EPROTO, e, "sh: exit status 3: two");
}

static void cmd_missing_program(void **state)
{
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	cmd_add(&c, "no-such-program-here", NULL);
	assert_int_equal(cmd_run(&c, &e), -ENOENT);
}

static void cmd_timeout_ends_the_whole_group(void **state)
{
	autocmd c = {.timeout_seconds = 1};
	struct err e = {0};

	(void)state;
	cmd_add(&c, "sh", "-c", "sleep 100 & sleep 100", NULL);
	assert_fails(cmd_run(&c, &e), ETIMEDOUT, e, "sh: no end after 1 s");
}

static void cmd_start_runs_beside_us(void **state)
{
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	cmd_add(&c, "sh", "-c", "exit 3", NULL);
	assert_ok(cmd_start(&c, &e), e);
	assert_true(c.pid > 0);
	assert_fails(cmd_wait(&c, &e), EPROTO, e, "sh: exit status 3");
	assert_int_equal(c.pid, 0);
}

static void cmd_stop_ends_the_whole_group(void **state)
{
	autocmd c = {0};
	struct err e = {0};
	int ends[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	c.log_fd = ends[1];
	cmd_add(&c, "sh", "-c", "sleep 60 & echo; wait", NULL);
	assert_ok(cmd_start(&c, &e), e);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	cmd_stop(&c);
	assert_true(WIFSIGNALED(c.status));
	/* End of file: the sleep holds the pipe no more. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

static void cmd_start_of_nothing(void **state)
{
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	cmd_add(&c, "bedplate-no-such-program", NULL);
	assert_int_equal(cmd_start(&c, &e), -ENOENT);
	assert_int_equal(c.pid, 0);
}

static void cmd_quotes_like_a_shell(void **state)
{
	autocmd c = {0};

	(void)state;
	cmd_add(&c, "a", "b c", "it's", "", NULL);
	autofree char *q = cmd_quoted(&c);
	assert_string_equal(q, "a 'b c' 'it'\\''s' ''");
}

static void file_replace_and_read(void **state)
{
	autofree char *path = xasprintf("%s/file", folder);
	autofree char *text = NULL;
	struct err e = {0};
	size_t len;

	(void)state;
	assert_ok(file_replace(path, "one", 3, 0644, &e), e);
	assert_ok(file_replace(path, "two2", 4, 0600, &e), e);
	assert_ok(file_read(path, 10, &text, &len, &e), e);
	assert_string_equal(text, "two2");
	assert_int_equal(len, 4);
	assert_int_equal(file_read(path, 3, &text, &len, &e), -EFBIG);
}

static void in_root_links_stay_inside(void **state)
{
	autofree char *link_path = xasprintf("%s/etc", folder);
	autofree char *text = NULL;
	struct err e = {0};

	(void)state;
	/* "/outside/x" must become FOLDER/outside/x, not the host's. */
	assert_int_equal(symlink("/outside", link_path), 0);
	autofd int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_write_in_root(root, "/../../etc/passwd", "x", 0644, &e), -ENOENT);
	assert_ok(file_make_folder_in_root(root, "/outside", &e), e);
	assert_ok(file_write_in_root(root, "/etc/passwd", "inside\n", 0644, &e), e);
	assert_ok(file_read_in_root(root, "outside/passwd", 100, &text, &e), e);
	assert_string_equal(text, "inside\n");
	assert_int_equal(file_open_beneath(root, "etc/passwd", O_RDONLY, &e), -ELOOP);
}

static void tree_order_keeps_folders_together(void **state)
{
	(void)state;
	assert_true(tree_path_compare("a/b", "a.b") < 0);
	assert_true(tree_path_compare("a", "a/b") < 0);
	assert_true(tree_path_compare("a/z", "b") < 0);
	assert_true(tree_path_compare("a\xff", "a/b") > 0);
	assert_int_equal(tree_path_compare("a/b", "a/b"), 0);
}

static void tree_scan_sees_all_kinds(void **state)
{
	autofree char *top = xasprintf("%s/tree", folder);
	autofree char *cmd = xasprintf(
		"mkdir -p %s/d/e; cd %s; printf hello >d/f; ln d/f d/g; ln -s /etc/x l; mkfifo p",
		top, top);
	autocmd c = {0};
	autoptr(tree) t = NULL;
	struct err e = {0};

	(void)state;
	cmd_add(&c, "sh", "-c", cmd, NULL);
	assert_ok(cmd_run(&c, &e), e);
	assert_ok(tree_scan(top, &t, &e), e);

	static const char *const want[] = {"", "d", "d/e", "d/f", "d/g", "l", "p"};
	assert_int_equal(t->count, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_string_equal(t->entries[i].path, want[i]);
	assert_int_equal(t->entries[4].link_of, 3);
	assert_string_equal(tree_find(t, "l")->target, "/etc/x");
	assert_true(S_ISFIFO(tree_find(t, "p")->mode));
	assert_null(tree_find(t, "d/h"));

	tree_clamp_times(t, 1000);
	assert_int_equal(tree_find(t, "d/f")->mtime, 1000);
	tree_clamp_times(t, 2000);
	assert_int_equal(tree_find(t, "d/f")->mtime, 1000);

	autoptr(source) s = NULL;
	char text[5];
	assert_ok(tree_open(t, tree_find(t, "d/g"), &s, &e), e);
	assert_int_equal(s->size_bytes, 5);
	assert_ok(source_read_at(s, text, 5, 0, &e), e);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(source_read_at(s, text, 5, 1, &e), -EIO);
}

static void sha256_of_abc(void **state)
{
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];

	(void)state;
	sha256_buffer("abc", 3, sum); /* FIPS 180-4, example */
	hex_format(sum, sizeof(sum), hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void str_printable_replaces_what_a_terminal_obeys(void **state)
{
	autofree char *text = str_printable("a\033[2J\n\177\xc2\x9b\xc2\xa9\xc3\x9b\xc2");

	(void)state;
	assert_string_equal(text, "a\\x1b[2J\\x0a\\x7f\\xc2\\x9b\xc2\xa9\xc3\x9b\xc2");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(str_printable_replaces_what_a_terminal_obeys),
		cmocka_unit_test(cmd_gives_output),
		cmocka_unit_test(cmd_failure_names_program_and_last_line),
		cmocka_unit_test(cmd_missing_program),
		cmocka_unit_test(cmd_timeout_ends_the_whole_group),
		cmocka_unit_test(cmd_start_runs_beside_us),
		cmocka_unit_test(cmd_stop_ends_the_whole_group),
		cmocka_unit_test(cmd_start_of_nothing),
		cmocka_unit_test(cmd_quotes_like_a_shell),
		cmocka_unit_test(file_replace_and_read),
		cmocka_unit_test(in_root_links_stay_inside),
		cmocka_unit_test(tree_order_keeps_folders_together),
		cmocka_unit_test(tree_scan_sees_all_kinds),
		cmocka_unit_test(sha256_of_abc),
	};

	return cmocka_run_group_tests_name("base", tests, make_folder, drop_folder);
}
