/* SPDX-License-Identifier: Apache-2.0 */
/* What a node remembers on /boot, and which layer it boots next. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/entry.h"
#include "boot/grubenv.h"
#include "boot/records-text.h"
#include "boot/records.h"
#include "boot/trial.h"
#include "folder.h"

#define HASH_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASH_B "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int boot_fd; /* an empty folder for each test */

static int begin(void **state)
{
	static int number;
	autofree char *path = xasprintf("%s/boot-%d", folder, number++);

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	boot_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(boot_fd >= 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(boot_fd);
	return 0;
}

static void put(const char *name, const char *text)
{
	struct err e = {0};

	assert_ok(file_write_in_root(boot_fd, name, text, 0644, &e), e);
}

static char *got(const char *name)
{
	struct err e = {0};
	char *text = NULL;

	assert_ok(file_read_in_root(boot_fd, name, 4 * MIB, &text, &e), e);
	return text;
}

static bool is_there(const char *name)
{
	return faccessat(boot_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- journal ---- */

static void journal_is_read_as_it_was_written(void **state)
{
	const struct journal want = {.operation = OPERATION_RESET,
		.step = STEP_STAGED,
		.from = (char[]){"node-1+1"},
		.to = (char[]){"node-1+2+10"},
		.base = (char[]){"node-1+2"},
		.new_base = true,
		.snapshot = (char[]){"var.node-1+1.2"},
		.started = 1790000000};
	autojournal j = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(journal_read(boot_fd, &j, &e), 0);
	assert_ok(journal_clear(boot_fd, &e), e);
	assert_ok(journal_write(boot_fd, &want, &e), e);
	assert_int_equal(journal_read(boot_fd, &j, &e), 1);
	assert_int_equal(j.operation, want.operation);
	assert_int_equal(j.step, want.step);
	assert_string_equal(j.from, want.from);
	assert_string_equal(j.to, want.to);
	assert_string_equal(j.base, want.base);
	assert_true(j.new_base);
	assert_false(j.var);
	assert_string_equal(j.snapshot, want.snapshot);
	assert_int_equal(j.started, want.started);
	assert_false(is_there(RECORDS_FOLDER "/" JOURNAL_PATH ".new"));
	assert_ok(journal_clear(boot_fd, &e), e);
	assert_false(is_there(RECORDS_FOLDER "/" JOURNAL_PATH));
	assert_ok(journal_clear(boot_fd, &e), e);

	struct journal wrong = want;
	wrong.base = (char[]){"node-1"};
	assert_fails(journal_write(boot_fd, &wrong, &e), EBADMSG, e,
		"journal: 'base' is not that of 'to'");
	assert_false(is_there(RECORDS_FOLDER "/" JOURNAL_PATH));
}

static void each_step_has_its_word(void **state)
{
	static const char *const words[] = {"base", "layer", "boot", "staged", "commit", "trial"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_string_equal(step_name((enum step)i), words[i]);
	assert_string_equal(operation_name(OPERATION_UPGRADE), "upgrade");
	assert_string_equal(operation_name(OPERATION_ROLLBACK), "rollback");
	assert_string_equal(operation_name(OPERATION_RESET), "factory-reset");
}

#define JOURNAL(operation, step, to, base, rest)                                                   \
	"{\"schema\":1,\"operation\":" operation ",\"step\":" step                                 \
	",\"from\":\"n-1+1\",\"to\":" to ",\"base\":" base "," rest "}"

static void a_journal_knows_what_was_left_out(void **state)
{
	struct journal want = {.operation = OPERATION_UPGRADE, .step = STEP_STAGED};
	char layer[] = "n-1+1", base[] = "n-1";
	autojournal j = {0};
	struct err e = {0};

	(void)state;
	want.from = want.to = layer;
	want.base = base;
	strv_add(&want.dropped_plugins, "tools");
	strv_add(&want.dropped_plugins, "old");
	autofree char *text = journal_format(&want);
	assert_ok(journal_parse(text, strlen(text), &j, &e), e);
	assert_int_equal(j.dropped_plugins.count, 2);
	assert_string_equal(j.dropped_plugins.items[1], "old");
	strv_fini(&want.dropped_plugins);
	autojournal none = {0};
	char *list = strstr(text, "[");
	assert_non_null(list);
	*list = '{';
	*strstr(list, "]") = '}';
	assert_int_equal(journal_parse(text, strlen(text), &none, &e), -EBADMSG);
}

static void damaged_journals_are_none(void **state)
{
	static const char right[] = JOURNAL("\"upgrade\"", "\"boot\"", "\"n-2+1\"", "\"n-2\"",
		"\"new_base\":true,\"var\":false,\"started\":5,\"later\":{}");
	static const char *const wrong[] = {
		"",
		"{}",
		"null",
		"[]",
		"{\"schema\":1}",
		JOURNAL("\"x\"", "\"boot\"", "\"n-2+1\"", "\"n-2\"",
			"\"new_base\":true,\"var\":false,\"started\":5"),
		JOURNAL("\"upgrade\"", "7", "\"n-2+1\"", "\"n-2\"",
			"\"new_base\":true,\"var\":false,\"started\":5"),
		JOURNAL("\"upgrade\"", "\"boot\"", "\"../2+1\"", "\"../2\"",
			"\"new_base\":true,\"var\":false,\"started\":5"),
		JOURNAL("\"upgrade\"", "\"boot\"", "null", "\"n-2\"",
			"\"new_base\":true,\"var\":false,\"started\":5"),
		JOURNAL("\"upgrade\"", "\"boot\"", "\"n-2+1\"", "\"n-3\"",
			"\"new_base\":true,\"var\":false,\"started\":5"),
		JOURNAL("\"upgrade\"", "\"boot\"", "\"n-2+1\"", "\"n-2\"",
			"\"new_base\":1,\"var\":false,\"started\":5"),
		JOURNAL("\"upgrade\"", "\"boot\"", "\"n-2+1\"", "\"n-2\"",
			"\"new_base\":true,\"var\":false,\"started\":5.5"),
		JOURNAL("\"upgrade\"", "\"boot\"", "\"n-2+1\"", "\"n-2\"",
			"\"new_base\":true,\"var\":false,\"started\":5,\"started\":6"),
		JOURNAL("\"upgrade\"", "\"boot\"", "\"n-2+1\"", "\"n-2\"",
			"\"new_base\":true,\"var\":false,\"snapshot\":7,\"started\":5"),
	};
	struct err e = {0};
	autojournal j = {0};

	(void)state;
	put(RECORDS_FOLDER "/" JOURNAL_PATH, right);
	assert_int_equal(journal_read(boot_fd, &j, &e), 1);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		autojournal none = {0};

		put(RECORDS_FOLDER "/" JOURNAL_PATH, wrong[i]);
		assert_int_equal(journal_read(boot_fd, &none, &e), 0);
		assert_null(none.to);
	}

	/* Cut off anywhere. */
	for (size_t len = 0; len < strlen(right); len++) {
		autojournal none = {0};

		assert_int_equal(journal_parse(right, len, &none, &e), -EBADMSG);
	}
	autojournal large = {0};
	autofree char *blanks = xcalloc(1, JOURNAL_MAX + 2);
	memset(blanks, ' ', JOURNAL_MAX + 1);
	memcpy(blanks, right, strlen(right));
	put(RECORDS_FOLDER "/" JOURNAL_PATH, blanks);
	assert_int_equal(journal_read(boot_fd, &large, &e), 0);
	blanks[JOURNAL_MAX] = '\0';
	put(RECORDS_FOLDER "/" JOURNAL_PATH, blanks);
	assert_int_equal(journal_read(boot_fd, &large, &e), 1);
}

static void a_new_node_begins_without_records(void **state)
{
	static const char *const names[] = {JOURNAL_PATH, HISTORY_PATH, FAILED_PATH};
	struct err e = {0};

	(void)state;
	assert_ok(records_clear(boot_fd, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_ok(record_save(boot_fd, names[i], "x", &e), e);
	assert_ok(record_save(boot_fd, "other", "x", &e), e);
	assert_ok(records_clear(boot_fd, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = xasprintf(RECORDS_FOLDER "/%s", names[i]);

		assert_false(is_there(path));
	}
	assert_true(is_there(RECORDS_FOLDER "/other"));
}

static void what_is_no_file_is_no_journal(void **state)
{
	struct err e = {0};
	autojournal j = {0};

	(void)state;
	assert_int_equal(mkdirat(boot_fd, RECORDS_FOLDER, 0755), 0);
	assert_int_equal(mkfifoat(boot_fd, RECORDS_FOLDER "/" JOURNAL_PATH, 0600), 0);
	assert_int_equal(journal_read(boot_fd, &j, &e), 0);
	assert_ok(journal_clear(boot_fd, &e), e);
	assert_int_equal(symlinkat("/etc/passwd", boot_fd, RECORDS_FOLDER "/" JOURNAL_PATH), 0);
	assert_int_equal(journal_read(boot_fd, &j, &e), 0);
	assert_ok(journal_clear(boot_fd, &e), e);
	assert_true(file_exists("/etc/passwd"));
}

/* ---- history ---- */

static int add(int64_t time, const char *why, struct err *e)
{
	autofree char *copy = why ? xstrdup(why) : NULL;
	const struct transition t = {.time = time,
		.operation = (char[]){"upgrade"},
		.from = (char[]){"n-1+1"},
		.to = (char[]){"n-2+1"},
		.result = (char[]){"trial"},
		.why = copy,
		.who = (char[]){"admin"},
		.is_unsigned = true};

	return history_add(boot_fd, &t, e);
}

static void history_grows_and_keeps_its_order(void **state)
{
	autohistory h = {0}, none = {0};
	struct err e = {0};

	(void)state;
	assert_ok(history_read(boot_fd, &none, &e), e);
	assert_int_equal(none.count, 0);
	assert_ok(add(5, NULL, &e), e);
	assert_ok(add(6, "two\nlines \"and\" \xff", &e), e);
	assert_ok(history_read(boot_fd, &h, &e), e);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.items[0].time, 5);
	assert_string_equal(h.items[0].operation, "upgrade");
	assert_string_equal(h.items[0].from, "n-1+1");
	assert_string_equal(h.items[0].to, "n-2+1");
	assert_string_equal(h.items[0].result, "trial");
	assert_string_equal(h.items[0].who, "admin");
	assert_null(h.items[0].why);
	assert_null(h.items[0].signer);
	assert_true(h.items[0].is_unsigned);
	assert_string_equal(h.items[1].why, "two\nlines \"and\" ?");
	autofree char *text = got(RECORDS_FOLDER "/" HISTORY_PATH);
	assert_string_equal(text,
		"{\"from\":\"n-1+1\",\"operation\":\"upgrade\",\"result\":\"trial\",\"schema\":1,"
		"\"signer\":null,\"time\":5,\"to\":\"n-2+1\",\"unsigned\":true,\"who\":\"admin\","
		"\"why\":null}\n"
		"{\"from\":\"n-1+1\",\"operation\":\"upgrade\",\"result\":\"trial\",\"schema\":1,"
		"\"signer\":null,\"time\":6,\"to\":\"n-2+1\",\"unsigned\":true,\"who\":\"admin\","
		"\"why\":\"two\\nlines \\\"and\\\" ?\"}\n");
}

static void damaged_lines_are_left_out_and_others_stay(void **state)
{
	autohistory h = {0};
	struct err e = {0};

	(void)state;
	assert_ok(add(5, NULL, &e), e);
	autofree char *line = got(RECORDS_FOLDER "/" HISTORY_PATH);
	autofree char *text = xasprintf(
		"garbage\n%.*s,\"later\":[1]}\n%s%.30s", (int)strlen(line) - 2, line, line, line);
	put(RECORDS_FOLDER "/" HISTORY_PATH, text);
	assert_ok(add(6, NULL, &e), e);
	assert_ok(history_read(boot_fd, &h, &e), e);
	assert_int_equal(h.count, 3);
	assert_int_equal(h.items[2].time, 6);
	/* What a later version wrote down is still there. */
	autofree char *now = got(RECORDS_FOLDER "/" HISTORY_PATH);
	assert_non_null(strstr(now, "\"later\":[1]"));
	assert_null(strstr(now, "garbage"));
}

static void history_has_an_end(void **state)
{
	autostrbuf full = {0};
	autohistory h = {0};
	struct err e = {0};

	(void)state;
	assert_ok(add(5, NULL, &e), e);
	autofree char *line = got(RECORDS_FOLDER "/" HISTORY_PATH);
	for (int i = 0; i < HISTORY_LINES_MAX; i++)
		strbuf_puts(&full, line);
	put(RECORDS_FOLDER "/" HISTORY_PATH, full.data);
	assert_ok(add(6, NULL, &e), e);
	assert_ok(history_read(boot_fd, &h, &e), e);
	assert_int_equal(h.count, HISTORY_LINES_MAX);
	assert_int_equal(h.items[h.count - 2].time, 5);
	assert_int_equal(h.items[h.count - 1].time, 6);

	/* The longest texts there can be: every byte becomes six. */
	autohistory last = {0};
	autofree char *lengthy = xcalloc(1, 5000);
	memset(lengthy, 1, 4999);
	autostrbuf large = {0};
	assert_ok(add(7, lengthy, &e), e);
	autofree char *all = got(RECORDS_FOLDER "/" HISTORY_PATH);
	const char *newest = strstr(all, "\\u0001");
	assert_non_null(newest);
	while (newest[-1] != '\n')
		newest--;
	while (large.len + strlen(newest) <= HISTORY_MAX && large.len < 900 * strlen(newest))
		strbuf_puts(&large, newest);
	put(RECORDS_FOLDER "/" HISTORY_PATH, large.data);
	assert_ok(add(8, NULL, &e), e);
	assert_ok(history_read(boot_fd, &last, &e), e);
	assert_int_equal(last.items[last.count - 1].time, 8);
	autofree char *result = got(RECORDS_FOLDER "/" HISTORY_PATH);
	assert_true(strlen(result) <= HISTORY_MAX);
	assert_true(last.count > 600);
}

static void the_user_behind_sudo_is_named(void **state)
{
	struct transition t = {.operation = (char[]){"rollback"},
		.to = (char[]){"n-2+1"},
		.result = (char[]){"done"}};
	autohistory h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(setenv("SUDO_USER", "alice", 1), 0);
	assert_ok(history_add(boot_fd, &t, &e), e);
	assert_int_equal(unsetenv("SUDO_USER"), 0);
	assert_ok(history_add(boot_fd, &t, &e), e);
	assert_ok(history_read(boot_fd, &h, &e), e);
	assert_int_equal(h.count, 2);
	assert_string_equal(h.items[0].who, "alice");
	assert_true(h.items[0].time > 1700000000);
	assert_null(h.items[0].from);
	assert_non_null(h.items[1].who);
	assert_string_not_equal(h.items[1].who, "alice");
	t.to = (char[]){"no layer"};
	assert_fails(
		history_add(boot_fd, &t, &e), EBADMSG, e, "history: 'to' is no name of a layer");
}

/* ---- failed versions ---- */

static int fail_version(const char *hash, const char *why, struct err *e)
{
	autofree char *copy = xstrdup(why);
	struct failed_version v = {.name = (char[]){"n"},
		.version = (char[]){"2"},
		.layer = (char[]){"n-2+1"},
		.why = copy,
		.time = 7};

	snprintf(v.root_hash, sizeof(v.root_hash), "%s", hash);
	return failed_add(boot_fd, &v, e);
}

static void failed_versions_are_known_by_their_hash(void **state)
{
	autofailed f = {0}, none = {0}, one = {0};
	struct err e = {0};

	(void)state;
	assert_ok(failed_read(boot_fd, &none, &e), e);
	assert_int_equal(none.count, 0);
	assert_ok(fail_version(HASH_A, "first", &e), e);
	assert_ok(fail_version(HASH_B, "other", &e), e);
	assert_ok(fail_version(HASH_A, "again", &e), e);
	assert_ok(failed_read(boot_fd, &f, &e), e);
	assert_int_equal(f.count, 2);
	assert_string_equal(f.items[0].root_hash, HASH_B);
	assert_string_equal(f.items[1].root_hash, HASH_A);
	assert_string_equal(f.items[1].why, "again");
	assert_string_equal(f.items[1].name, "n");
	assert_string_equal(f.items[1].version, "2");
	assert_string_equal(f.items[1].layer, "n-2+1");
	assert_int_equal(f.items[1].time, 7);
	assert_ok(failed_remove(boot_fd, HASH_B, &e), e);
	assert_ok(failed_remove(boot_fd, HASH_B, &e), e);
	assert_ok(failed_read(boot_fd, &one, &e), e);
	assert_int_equal(one.count, 1);
	assert_ok(failed_remove(boot_fd, HASH_A, &e), e);
	assert_false(is_there(RECORDS_FOLDER "/" FAILED_PATH));
	assert_fails(
		fail_version("xy", "why", &e), EINVAL, e, "failed versions: bad root hash 'xy'");
}

static void failed_versions_have_an_end(void **state)
{
	autofree char *lengthy = xcalloc(1, 5000);
	autofailed f = {0};
	struct err e = {0};

	(void)state;
	memset(lengthy, 1, 4999);
	for (unsigned i = 0; i < FAILED_COUNT_MAX + 5; i++) {
		autofree char *hash = xasprintf("%064x", i);

		assert_ok(fail_version(hash, i < 90 ? "x" : lengthy, &e), e);
	}
	assert_ok(failed_read(boot_fd, &f, &e), e);
	assert_true(f.count > 30 && f.count <= FAILED_COUNT_MAX);
	autofree char *last = xasprintf("%064x", FAILED_COUNT_MAX + 4);
	assert_string_equal(f.items[f.count - 1].root_hash, last);
}

static void damaged_lists_are_empty(void **state)
{
	static const char *const wrong[] = {
		"{\"schema\":2,\"versions\":[]}",
		"{\"schema\":1,\"versions\":{}}",
		"{\"schema\":1,\"versions\":[null]}",
		"{\"schema\":1,\"versions\":[{\"name\":\"n\",\"version\":\"2\",\"layer\":\"n-2+1\","
		"\"why\":null,\"time\":1,\"root_hash\":\"00\"}]}",
		"{\"schema\":1,\"versions\":[{\"name\":\"n\",\"version\":\"2\",\"layer\":\"n-2+1\","
		"\"why\":null,\"time\":1,\"root_hash\":\"" HASH_A "\"},{\"name\":1}]}",
	};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		autofailed f = {0};

		put(RECORDS_FOLDER "/" FAILED_PATH, wrong[i]);
		assert_ok(failed_read(boot_fd, &f, &e), e);
		assert_int_equal(f.count, 0);
	}
	assert_ok(fail_version(HASH_A, "why", &e), e);
	autofailed one = {0};
	assert_ok(failed_read(boot_fd, &one, &e), e);
	assert_int_equal(one.count, 1);
}

/* ---- what boots next ---- */

static void make_entry(const char *layer)
{
	autofree char *copy = xstrdup(layer);
	struct boot_entry entry = {.layer = copy,
		.title = (char[]){"t"},
		.release = (char[]){"6"},
		.cmd_line = (char[]){"quiet"}};
	autofree char *path = xasprintf("%s/input", folder);
	struct err e = {0};

	assert_ok(file_replace(path, "070701x", 7, 0600, &e), e);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(boot_entry_write(boot_fd, &entry, fd, fd, &e), e);
}

static void check_choice(const char *layer, const char *trial, unsigned tries)
{
	autobootchoice c = {0};
	struct err e = {0};

	assert_ok(boot_choice_read(boot_fd, &c, &e), e);
	assert_string_equal(c.default_layer ? c.default_layer : "none", layer ? layer : "none");
	assert_string_equal(c.trial ? c.trial : "none", trial ? trial : "none");
	assert_int_equal(c.tries, tries);
}

static void a_trial_goes_its_way(void **state)
{
	struct err e = {0};

	(void)state;
	make_entry("n-1+1");
	make_entry("n-2+1");
	check_choice(NULL, NULL, 0);
	assert_ok(boot_choice_settle(boot_fd, "n-1+1", &e), e);
	check_choice("n-1+1", NULL, 0);
	assert_ok(boot_choice_try(boot_fd, "n-2+1", TRIAL_TRIES, &e), e);
	check_choice("n-1+1", "n-2+1", 3);
	assert_ok(boot_choice_give_up(boot_fd, &e), e);
	check_choice("n-1+1", "n-2+1", 0);
	assert_ok(boot_choice_end_trial(boot_fd, &e), e);
	check_choice("n-1+1", NULL, 0);
	assert_ok(boot_choice_try(boot_fd, "n-2+1", 9, &e), e);
	check_choice("n-1+1", "n-2+1", 9);
	assert_ok(boot_choice_settle(boot_fd, "n-2+1", &e), e);
	check_choice("n-2+1", NULL, 0);
}

static void what_cannot_be_booted_is_refused(void **state)
{
	struct err e = {0};

	(void)state;
	make_entry("n-1+1");
	make_entry("n-2+1");
	assert_ok(boot_choice_settle(boot_fd, "n-1+1", &e), e);
	assert_fails(boot_choice_try(boot_fd, "n-3+1", 3, &e), ENOENT, e,
		"layer 'n-3+1' has no boot entry");
	assert_int_equal(unlinkat(boot_fd, "n-2+1/initramfs.img", 0), 0);
	assert_fails(boot_choice_try(boot_fd, "n-2+1", 3, &e), ENOENT, e,
		"the boot entry of layer 'n-2+1' lacks '/boot/n-2+1/initramfs.img'");
	assert_fails(boot_choice_settle(boot_fd, "n-2+1", &e), ENOENT, e,
		"the boot entry of layer 'n-2+1' lacks '/boot/n-2+1/initramfs.img'");
	assert_int_equal(boot_choice_try(boot_fd, "n-1+1", 0, &e), -EINVAL);
	assert_fails(
		boot_choice_try(boot_fd, "n-1+1", 10, &e), EINVAL, e, "10 tries, expected 1 to 9");
	check_choice("n-1+1", NULL, 0);
}

static void set_env(const char *name, const char *value)
{
	const char *const names[] = {name, NULL};
	const char *const values[] = {value, NULL};
	struct err e = {0};

	assert_ok(grubenv_set(boot_fd, names, values, &e), e);
}

static void nonsense_is_not_set(void **state)
{
	(void)state;
	set_env("default", "../x+1");
	set_env("trial", "no-layer");
	set_env("tries", "3");
	check_choice(NULL, NULL, 0);
	set_env("trial", "n-2+1");
	check_choice(NULL, "n-2+1", 3);
	set_env("tries", "03");
	check_choice(NULL, "n-2+1", 0);
	set_env("tries", "-1");
	check_choice(NULL, "n-2+1", 0);
	set_env("tries", "0");
	check_choice(NULL, "n-2+1", 0);
}

static void a_damaged_environment_is_made_anew(void **state)
{
	autofree char *cut = xcalloc(1, 1025);
	struct err e = {0};

	(void)state;
	make_entry("n-1+1");
	put(GRUBENV_PATH, "garbage");
	check_choice(NULL, NULL, 0);
	assert_ok(boot_choice_settle(boot_fd, "n-1+1", &e), e);
	check_choice("n-1+1", NULL, 0);

	/* What is added after an escaped end would be a part of that value. */
	memset(cut, '#', 1024);
	memcpy(cut, "# GRUB Environment Block\na=b\\\n", 30);
	put(GRUBENV_PATH, cut);
	autofree char *value = NULL;
	assert_int_equal(grubenv_get(boot_fd, "a", &value, &e), -EBADMSG);
	assert_ok(boot_choice_end_trial(boot_fd, &e), e);
	check_choice(NULL, NULL, 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(journal_is_read_as_it_was_written),
		IN_FOLDER(a_journal_knows_what_was_left_out),
		IN_FOLDER(each_step_has_its_word),
		IN_FOLDER(damaged_journals_are_none),
		IN_FOLDER(a_new_node_begins_without_records),
		IN_FOLDER(what_is_no_file_is_no_journal),
		IN_FOLDER(history_grows_and_keeps_its_order),
		IN_FOLDER(damaged_lines_are_left_out_and_others_stay),
		IN_FOLDER(history_has_an_end),
		IN_FOLDER(the_user_behind_sudo_is_named),
		IN_FOLDER(failed_versions_are_known_by_their_hash),
		IN_FOLDER(failed_versions_have_an_end),
		IN_FOLDER(damaged_lists_are_empty),
		IN_FOLDER(a_trial_goes_its_way),
		IN_FOLDER(what_cannot_be_booted_is_refused),
		IN_FOLDER(nonsense_is_not_set),
		IN_FOLDER(a_damaged_environment_is_made_anew),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
