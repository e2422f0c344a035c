/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "boot/grubenv.h"
#include "boot/records.h"
#include "folder.h"
#include "upgrade/commit.h"
#include "upgrade/trial-result.h"

#define HASH_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASH_B "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int boot_fd;

static void add_entry(const char *layer, const char *hash)
{
	autofree char *name = xstrdup(layer);
	autofree char *cmd_line = xasprintf("bedplate.layer=%s%s%s", layer,
		hash ? " bedplate.roothash=" : "", hash ? hash : "");
	char title[] = "Node", release[] = "6.1";
	const struct boot_entry entry = {
		.layer = name, .title = title, .release = release, .cmd_line = cmd_line};
	autofd int file = memfd_create("file", MFD_CLOEXEC);
	struct err e = {0};

	assert_int_equal(pwrite(file, "text", 4, 0), 4);
	assert_ok(boot_entry_write(boot_fd, &entry, file, file, &e), e);
}

/* node-1+1 is the default, node-2+1 is tried. */
static int begin(void **state)
{
	static int number;
	autofree char *path = xasprintf("%s/boot-%d", folder, number++);
	struct journal j = {.operation = OPERATION_UPGRADE,
		.step = STEP_TRIAL,
		.from = (char[]){"node-1+1"},
		.to = (char[]){"my-node-2-beta+1"},
		.base = (char[]){"my-node-2-beta"},
		.started = 1790000000};
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	boot_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(boot_fd >= 0);
	add_entry("node-1+1", HASH_A);
	add_entry("my-node-2-beta+1", HASH_B);
	assert_ok(boot_choice_settle(boot_fd, "node-1+1", &e), e);
	assert_ok(boot_choice_try(boot_fd, "my-node-2-beta+1", 3, &e), e);
	assert_ok(journal_write(boot_fd, &j, &e), e);
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(boot_fd);
	return 0;
}

static void open_site(const char *running, struct site *s)
{
	struct err e = {0};

	*s = (struct site){.boot_fd = boot_fd, .lock_fd = -1, .running = running != NULL};
	s->layer = xstrdup(running ? running : "node-1+1");
	assert_ok(boot_choice_read(boot_fd, &s->choice, &e), e);
	assert_ok(boot_entries_read(boot_fd, &s->entries, &e), e);
}

/* The descriptor stays. */
static void close_site(struct site *s)
{
	boot_choice_fini(&s->choice);
	boot_entries_fini(&s->entries);
	free(s->layer);
}
#define autotestsite auto_with(close_site) struct site

static void assert_choice(const char *chosen, const char *trial, unsigned tries)
{
	autobootchoice c = {0};
	struct err e = {0};

	assert_ok(boot_choice_read(boot_fd, &c, &e), e);
	assert_string_equal(c.default_layer, chosen);
	assert_string_equal(c.trial ? c.trial : "none", trial);
	assert_int_equal(c.tries, tries);
}

static bool has_journal(void)
{
	autojournal j = {0};
	struct err e = {0};

	return journal_read(boot_fd, &j, &e) == 1;
}

/* The last line, as "from > to result why". */
static void assert_history(size_t count, const char *want)
{
	autohistory h = {0};
	struct err e = {0};

	assert_ok(history_read(boot_fd, &h, &e), e);
	assert_int_equal(h.count, count);
	if (count == 0)
		return;
	const struct transition *t = &h.items[count - 1];
	autofree char *got = xasprintf("%s %s > %s %s %s", t->operation, t->from ? t->from : "?",
		t->to, t->result, t->why ? t->why : "-");
	assert_string_equal(got, want);
}

static void assert_failed(size_t count, const char *why)
{
	autofailed f = {0};
	struct err e = {0};

	assert_ok(failed_read(boot_fd, &f, &e), e);
	assert_int_equal(f.count, count);
	if (count == 0)
		return;
	assert_string_equal(f.items[0].name, "my-node");
	assert_string_equal(f.items[0].version, "2-beta");
	assert_string_equal(f.items[0].layer, "my-node-2-beta+1");
	assert_string_equal(f.items[0].root_hash, HASH_B);
	assert_string_equal(f.items[0].why, why);
}

/* trial_take_note(), which also says why. */
static void assert_noted(const struct site *s, const char *why)
{
	autofree char *said = NULL;
	struct err e = {0};
	size_t len = 0;
	FILE *out = open_memstream(&said, &len);

	assert_non_null(out);
	log_add_copy(out, LOG_LEVEL_NORMAL);
	int r = trial_take_note(s, 3, &e);
	log_drop_copy(out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(r, 1);
	autofree char *want = xasprintf(
		"the trial of layer 'my-node-2-beta+1' came to nothing: %s\n", why);
	if (!strstr(said, want))
		fail_msg("'%s' is not in '%s'", want, said);
}

static void good_trial_becomes_default(void **state)
{
	autotestsite s = {0}, again = {0};
	struct err e = {0};

	(void)state;
	open_site("my-node-2-beta+1", &s);
	assert_true(trial_is_running(&s));
	assert_int_equal(trial_bless(&s, &e), 0);
	assert_choice("my-node-2-beta+1", "none", 0);
	assert_history(1, "upgrade node-1+1 > my-node-2-beta+1 blessed -");
	assert_false(has_journal());

	open_site("my-node-2-beta+1", &again);
	assert_int_equal(trial_bless(&again, &e), 1);
	assert_history(1, "upgrade node-1+1 > my-node-2-beta+1 blessed -");
	assert_fails(trial_unbless(&again, "x", &e), EINVAL, e,
		"layer 'my-node-2-beta+1' is not on trial; 'nodectl rollback' goes back to the one "
		"before");
	assert_choice("my-node-2-beta+1", "none", 0);
}

static void others_are_not_blessed(void **state)
{
	static const char *const running[] = {"node-1+1", "node-3+1"};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(running); i++) {
		autotestsite s = {0};
		autofree char *want = xasprintf(
			"layer '%s' is not on trial; 'nodectl rollback --to' chooses what boots",
			running[i]);

		open_site(running[i], &s);
		assert_false(trial_is_running(&s));
		assert_fails(trial_bless(&s, &e), EINVAL, e, want);
	}
	autotestsite rest = {0};
	open_site(NULL, &rest);
	assert_int_equal(trial_bless(&rest, &e), -ENODEV);
	assert_choice("node-1+1", "my-node-2-beta+1", 3);
	assert_history(0, NULL);
}

static void bad_trial_is_given_up(void **state)
{
	autotestsite s = {0}, next = {0}, after = {0};
	struct err e = {0};

	(void)state;
	open_site("my-node-2-beta+1", &s);
	assert_ok(trial_unbless(&s, "network: no address", &e), e);
	assert_choice("node-1+1", "my-node-2-beta+1", 0);
	assert_failed(1, "network: no address");
	assert_history(1, "upgrade node-1+1 > my-node-2-beta+1 failed network: no address");

	/* The next boot adds nothing to what is known. */
	open_site("node-1+1", &next);
	assert_noted(&next, "network: no address");
	assert_choice("node-1+1", "none", 0);
	assert_failed(1, "network: no address");
	assert_history(1, "upgrade node-1+1 > my-node-2-beta+1 failed network: no address");
	assert_false(has_journal());

	open_site("node-1+1", &after);
	assert_int_equal(trial_take_note(&after, 3, &e), 0);
}

/* Its image is the one that ran before, and ran well. */
static void reset_is_no_fault_of_the_image(void **state)
{
	struct journal j = {.operation = OPERATION_RESET,
		.step = STEP_TRIAL,
		.from = (char[]){"node-1+1"},
		.to = (char[]){"my-node-2-beta+1"},
		.base = (char[]){"my-node-2-beta"},
		.started = 1790000000};
	autotestsite s = {0}, next = {0};
	struct err e = {0};

	(void)state;
	assert_ok(journal_write(boot_fd, &j, &e), e);
	open_site("my-node-2-beta+1", &s);
	assert_ok(trial_unbless(&s, "x", &e), e);
	assert_failed(0, NULL);
	open_site("node-1+1", &next);
	assert_int_equal(trial_take_note(&next, 3, &e), 1);
	assert_failed(0, NULL);
	assert_history(1, "factory-reset node-1+1 > my-node-2-beta+1 failed x");
}

static void trial_that_never_came_up(void **state)
{
	static const char why[] = "it did not come up within 3 tries";
	autotestsite s = {0};
	struct err e = {0};

	(void)state;
	/* As GRUB leaves it. */
	assert_ok(boot_choice_give_up(boot_fd, &e), e);
	open_site("node-1+1", &s);
	assert_noted(&s, why);
	assert_choice("node-1+1", "none", 0);
	assert_failed(1, why);
	assert_history(
		1, "upgrade node-1+1 > my-node-2-beta+1 failed it did not come up within 3 tries");
	assert_false(has_journal());
}

static void somebody_chose_another(void **state)
{
	autotestsite trial = {0}, third = {0}, chosen = {0};
	struct err e = {0};

	(void)state;
	/* The trial itself, and a layer that is neither, are no answer. */
	open_site("my-node-2-beta+1", &trial);
	assert_int_equal(trial_take_note(&trial, 3, &e), 0);
	open_site("node-3+1", &third);
	assert_int_equal(trial_take_note(&third, 3, &e), 0);
	assert_choice("node-1+1", "my-node-2-beta+1", 3);
	open_site("node-1+1", &chosen);
	assert_int_equal(trial_take_note(&chosen, 3, &e), 1);
	assert_failed(1, "layer 'node-1+1' was booted instead");
}

static void second_chance(void **state)
{
	autotestsite s = {0}, again = {0};
	struct err e = {0};

	(void)state;
	open_site("my-node-2-beta+1", &s);
	assert_ok(trial_unbless(&s, "x", &e), e);
	assert_ok(boot_choice_try(boot_fd, "my-node-2-beta+1", 1, &e), e);
	open_site("my-node-2-beta+1", &again);
	assert_int_equal(trial_bless(&again, &e), 0);
	assert_failed(0, NULL);
}

/* No root hash, no journal, a history that is a folder: what boots is decided all the same. */
static void records_are_not_needed(void **state)
{
	autotestsite s = {0};
	struct err e = {0};

	(void)state;
	add_entry("my-node-2-beta+1", NULL);
	assert_ok(journal_clear(boot_fd, &e), e);
	assert_ok(file_make_folder_in_root(boot_fd, "bedplate/history.jsonl", &e), e);
	open_site("my-node-2-beta+1", &s);
	assert_ok(trial_unbless(&s, "x", &e), e);
	assert_choice("node-1+1", "my-node-2-beta+1", 0);
	assert_failed(0, NULL);
	assert_int_equal(trial_bless(&s, &e), 0);
	assert_choice("my-node-2-beta+1", "none", 0);
}

/* A rollback that still has to bring /var back is not forgotten. */
static void journal_of_var_stays(void **state)
{
	struct journal j = {.operation = OPERATION_ROLLBACK,
		.step = STEP_COMMIT,
		.from = (char[]){"node-1+1"},
		.to = (char[]){"my-node-2-beta+1"},
		.base = (char[]){"my-node-2-beta"},
		.var = true,
		.started = 1790000000};
	autotestsite s = {0};
	struct err e = {0};

	(void)state;
	assert_ok(journal_write(boot_fd, &j, &e), e);
	open_site("my-node-2-beta+1", &s);
	assert_int_equal(trial_bless(&s, &e), 0);
	assert_true(has_journal());
}

/* An operation that was taken back says why, and is no trial that failed. */
static void what_came_to_nothing_has_a_line(void **state)
{
	const struct journal j = {.operation = OPERATION_UPGRADE,
		.from = (char[]){"node-1+1"},
		.to = (char[]){"node-3+1"}};
	autotestsite s = {0};

	(void)state;
	open_site("node-1+1", &s);
	note_end(&s, &j, "undone", "the pool is full");
	assert_history(1, "upgrade node-1+1 > node-3+1 undone the pool is full");
	assert_failed(0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_trial_becomes_default, begin, end),
		cmocka_unit_test_setup_teardown(others_are_not_blessed, begin, end),
		cmocka_unit_test_setup_teardown(bad_trial_is_given_up, begin, end),
		cmocka_unit_test_setup_teardown(reset_is_no_fault_of_the_image, begin, end),
		cmocka_unit_test_setup_teardown(trial_that_never_came_up, begin, end),
		cmocka_unit_test_setup_teardown(somebody_chose_another, begin, end),
		cmocka_unit_test_setup_teardown(second_chance, begin, end),
		cmocka_unit_test_setup_teardown(records_are_not_needed, begin, end),
		cmocka_unit_test_setup_teardown(journal_of_var_stays, begin, end),
		cmocka_unit_test_setup_teardown(what_came_to_nothing_has_a_line, begin, end),
	};

	return cmocka_run_group_tests_name("trial-result", tests, make_folder, drop_folder);
}
