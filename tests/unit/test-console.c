/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "sys/console.h"

enum { OURS, THEIRS };

static int pair[2];

static int make_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int drop_pair(void **state)
{
	(void)state;
	close(pair[OURS]);
	if (pair[THEIRS] >= 0)
		close(pair[THEIRS]);
	return 0;
}

static void say(const char *text)
{
	struct err e = {0};

	assert_ok(io_write(pair[THEIRS], text, strlen(text), &e), e);
}

static void hang_up(void)
{
	close(take_fd(&pair[THEIRS]));
}

static void expect_matches_in_order(void **state)
{
	autoconsole c = {0};
	struct err e = {0};

	(void)state;
	console_init(&c, pair[OURS], -1, 5);
	say("boot\r\nnode log");
	say("in: and more");
	hang_up();
	assert_ok(console_expect(&c, "boot", &e), e);
	assert_ok(console_expect(&c, "login: ", &e), e);
	/* What was matched is not matched again. */
	assert_fails(console_expect(&c, "login", &e), EPIPE, e,
		"waiting for 'login': the machine has gone");
}

static void expect_finds_what_came_with_the_match_before(void **state)
{
	autoconsole c = {0};
	struct err e = {0};

	(void)state;
	console_init(&c, pair[OURS], -1, 5);
	say("one two three");
	assert_ok(console_expect(&c, "one", &e), e);
	assert_ok(console_expect(&c, "two", &e), e);
	assert_ok(console_expect(&c, " three", &e), e);
	assert_ok(console_expect(&c, "", &e), e);
}

static void expect_across_chunks_and_a_lot_of_noise(void **state)
{
	autoconsole c = {0};
	char noise[4096];
	struct err e = {0};

	(void)state;
	console_init(&c, pair[OURS], -1, 20);
	memset(noise, 'x', sizeof(noise));
	noise[17] = '\0';
	for (int i = 0; i < 24; i++)
		assert_ok(io_write(pair[THEIRS], noise, sizeof(noise), &e), e);
	say("needle");
	assert_ok(console_expect(&c, "xneedle", &e), e);

	/* It was not read one time for each byte, and is not kept for ever. */
	assert_true(c.tail.len <= 8 * KIB);
	assert_int_equal(c.unread.len, 0);
}

static void expect_times_out(void **state)
{
	autoconsole c = {0};
	struct err e = {0};

	(void)state;
	console_init(&c, pair[OURS], -1, 1);
	say("logi");
	assert_fails(
		console_expect(&c, "login", &e), ETIMEDOUT, e, "waiting for 'login': timed out");
}

static void seen_text_is_copied(void **state)
{
	autofd int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	autoconsole c = {0};
	struct err e = {0};
	char copy[16] = "";

	(void)state;
	assert_true(fd >= 0);
	console_init(&c, pair[OURS], fd, 5);
	say("a\e[1mb");
	assert_ok(console_expect(&c, "b", &e), e);
	assert_int_equal(pread(fd, copy, sizeof(copy) - 1, 0), 6);
	assert_string_equal(copy, "a\e[1mb");
}

static void send_types(void **state)
{
	autoconsole c = {0};
	struct err e = {0};
	char got[16] = "";

	(void)state;
	console_init(&c, pair[OURS], -1, 5);
	assert_ok(console_send(&c, "root\n", &e), e);
	assert_int_equal(read(pair[THEIRS], got, sizeof(got) - 1), 5);
	assert_string_equal(got, "root\n");
	hang_up();
	assert_int_equal(console_send(&c, "x", &e), -EPIPE);
}

static void relay_ends_at_the_escape(void **state)
{
	autoconsole c = {0};
	struct err e = {0};
	char got[16] = "";
	int keys[2], out[2];

	(void)state;
	assert_int_equal(pipe2(keys, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	console_init(&c, pair[OURS], -1, 5);
	say("hello");
	/* Ctrl-A twice is one Ctrl-A, Ctrl-A and another key is that key. */
	assert_int_equal(write(keys[1], "a\1\1b\1c", 6), 6);
	close(keys[1]);
	hang_up();
	assert_int_equal(console_relay(&c, keys[0], out[1], &e), 0);
	assert_int_equal(read(out[0], got, sizeof(got) - 1), 5);
	assert_string_equal(got, "hello");
	for (int i = 0; i < 2; i++) {
		close(out[i]);
	}
	close(keys[0]);
}

static void relay_types_what_comes_before_the_escape(void **state)
{
	autoconsole c = {0};
	struct err e = {0};
	char got[16] = "";
	int keys[2];

	(void)state;
	assert_int_equal(pipe2(keys, O_CLOEXEC), 0);
	console_init(&c, pair[OURS], -1, 5);
	assert_int_equal(write(keys[1], "a\1\1b", 4), 4);
	close(keys[1]);
	/* Keys at their end do not end the machine. */
	console_init(&c, pair[OURS], -1, 1);
	assert_int_equal(console_relay(&c, keys[0], STDERR_FILENO, &e), -ETIMEDOUT);
	assert_int_equal(read(pair[THEIRS], got, sizeof(got) - 1), 3);
	assert_string_equal(got, "a\1b");
	close(keys[0]);

	console_init(&c, pair[OURS], -1, 5);
	assert_int_equal(pipe2(keys, O_CLOEXEC), 0);
	assert_int_equal(write(keys[1], "\1xyz", 4), 4);
	assert_ok(console_relay(&c, keys[0], STDERR_FILENO, &e), e);
	close(keys[0]);
	close(keys[1]);
}

static void last_lines_are_plain(void **state)
{
	static const struct {
		const char *said, *want;
	} cases[] = {
		{"", ""},
		{"\r\n\r\n", ""},
		{"one", "one\n"},
		{"one\r\ntwo\r\nthree\r\n\n", "two\nthree\n"},
		{"\e[0;32m  OK  \e[0m\a ready\n", "  OK   ready\n"},
		{"a\e", "a\n"},
		{"a\e[12", "a\n"},
		{"a\e]b", "ab\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoconsole c = {0};

		strbuf_puts(&c.tail, cases[i].said);
		autofree char *got = console_last_lines(&c, 2);
		assert_string_equal(got, cases[i].want);
	}
}

static void unescape(void **state)
{
	autofree char *out = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(console_unescape("a\\n\\\\n\\e\\t\\r", &out, &e), e);
	assert_string_equal(out, "a\n\\n\e\t\r");
	free(out);
	out = NULL;
	assert_fails(console_unescape("a\\q", &out, &e), EINVAL, e, "bad escape '\\q' in 'a\\q'");
	assert_fails(console_unescape("a\\", &out, &e), EINVAL, e, "bad escape '\\' in 'a\\'");
	assert_null(out);
}

#define with_pair(test) cmocka_unit_test_setup_teardown(test, make_pair, drop_pair)

static void lines_after_a_match(void **state)
{
	autofree char *first = NULL, *second = NULL, *none = NULL;
	autoconsole c = {0};
	struct err e = {0};

	(void)state;
	console_init(&c, pair[OURS], -1, 5);
	say("noise\r\nbedplate: install");
	assert_ok(console_expect(&c, "bedplate: install", &e), e);
	say("ed x \r\n\nrest");
	assert_ok(console_read_line(&c, &first, &e), e);
	assert_string_equal(first, "ed x");
	assert_ok(console_read_line(&c, &second, &e), e);
	assert_string_equal(second, "");
	hang_up();
	assert_fails(console_read_line(&c, &none, &e), EPIPE, e,
		"waiting for the end of a line: the machine has gone");
	assert_null(none);
}

static void a_line_without_end_is_cut(void **state)
{
	autofree char *line = NULL;
	autoconsole c = {0};
	char noise[4096 + 1];
	struct err e = {0};

	(void)state;
	memset(noise, 'x', sizeof(noise) - 1);
	noise[sizeof(noise) - 1] = '\0';
	for (unsigned i = 0; i < 20; i++)
		say(noise);
	console_init(&c, pair[OURS], -1, 5);
	assert_ok(console_read_line(&c, &line, &e), e);
	assert_int_equal(strlen(line), 17 * 4096);
}

static void waiting_for_the_end(void **state)
{
	autoconsole c = {0};
	struct err e = {0};

	(void)state;
	console_init(&c, pair[OURS], -1, 1);
	say("bye\n");
	assert_fails(console_wait_end(&c, &e), ETIMEDOUT, e,
		"waiting for the machine to end: timed out");
	console_set_timeout(&c, 5);
	hang_up();
	assert_ok(console_wait_end(&c, &e), e);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_pair(expect_matches_in_order),
		with_pair(expect_finds_what_came_with_the_match_before),
		with_pair(expect_across_chunks_and_a_lot_of_noise),
		with_pair(expect_times_out),
		with_pair(seen_text_is_copied),
		with_pair(lines_after_a_match),
		with_pair(a_line_without_end_is_cut),
		with_pair(waiting_for_the_end),
		with_pair(send_types),
		with_pair(relay_ends_at_the_escape),
		with_pair(relay_types_what_comes_before_the_escape),
		cmocka_unit_test(last_lines_are_plain),
		cmocka_unit_test(unescape),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
