/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of an administrator: which run, in what order, and what is said of one that fails. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "folder.h"
#include "upgrade/hooks.h"

#define SECONDS 60

static const struct hook_event event = {.name = "post-upgrade", .from = "n-1+1", .to = "n-2+1"};

/* The folder of one test: NAME/hooks.d and, for what hooks write, NAME/out. */
static char *make_hooks(const char *name, const char *script)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	struct err e = {0};
	autocmd c = {.cwd = path};

	assert_ok(file_make_folder(path, 0755, &e), e);
	cmd_add(&c, "sh", "-euc", NULL);
	cmd_addf(&c,
		"umask 022; mkdir -p hooks.d/post-upgrade; cd hooks.d/post-upgrade\n"
		"hook() { { echo '#!/bin/sh'; cat; } >\"$1\"; chmod 0755 \"$1\"; }\n"
		"out='%s/out'\n%s",
		path, script);
	assert_ok(cmd_run(&c, &e), e);
	return xasprintf("%s/hooks.d", path);
}

static void assert_out(const char *name, const char *want)
{
	autofree char *path = xasprintf("%s/%s/out", folder, name);
	autofree char *got = NULL;
	struct err e = {0};

	if (!want) {
		assert_int_equal(file_read(path, 4096, &got, NULL, &e), -ENOENT);
		return;
	}
	assert_ok(file_read(path, 4096, &got, NULL, &e), e);
	assert_string_equal(got, want);
}

static void they_run_in_order(void **state)
{
	autofree char *hooks = make_hooks("order",
		"for n in 20-b 10-a 9.c _x-Y; do echo \"echo $n \\$BEDPLATE_EVENT "
		"\\$BEDPLATE_FROM \\$BEDPLATE_TO \\$PWD >>$out\" | hook $n; done\n"
		"for n in 10-a~ 10-a.dpkg-old .hidden 'a b' 'c;d'; do\n"
		"echo \"echo no >>$out\" | hook \"$n\"; done\n"
		"echo \"echo no >>$out\" | hook data; chmod 0644 data\n"
		"mkdir folder; ln -s 10-a link; ln -s nowhere dangling; mkfifo -m 755 pipe\n");
	struct err e = {0};

	(void)state;
	assert_ok(hooks_run_in(hooks, SECONDS, &event, &e), e);
	assert_out("order",
		"10-a post-upgrade n-1+1 n-2+1 /\n20-b post-upgrade n-1+1 n-2+1 /\n"
		"9.c post-upgrade n-1+1 n-2+1 /\n_x-Y post-upgrade n-1+1 n-2+1 /\n");
}

static void nothing_to_run_is_fine(void **state)
{
	autofree char *hooks = make_hooks("none", "echo \"echo no >$out\" | hook a\n");
	autofree char *missing = xasprintf("%s/none/missing", folder);
	const struct hook_event other = {.name = "on-boot"};
	struct err e = {0};

	(void)state;
	assert_ok(hooks_run_in(hooks, SECONDS, &other, &e), e);
	assert_ok(hooks_run_in(missing, SECONDS, &event, &e), e);
	assert_out("none", NULL);
}

static void layers_may_be_missing(void **state)
{
	autofree char *hooks = make_hooks("layers",
		"echo \"echo \\\"[\\$BEDPLATE_FROM][\\$BEDPLATE_TO]\\\" >>$out\" | hook a\n");
	const struct hook_event none = {.name = "post-upgrade"};
	struct err e = {0};

	(void)state;
	assert_int_equal(setenv("BEDPLATE_FROM", "somebody-else's", 1), 0);
	assert_ok(hooks_run_in(hooks, SECONDS, &none, &e), e);
	assert_int_equal(unsetenv("BEDPLATE_FROM"), 0);
	assert_out("layers", "[][]\n");
}

static void assert_fails_with(const char *name, const char *script, const char *format)
{
	autofree char *hooks = make_hooks(name, script);
	autofree char *want = NULL;
	struct err e = {0};
	int r = hooks_run_in(hooks, SECONDS, &event, &e);
	char *percent = strstr(format, "%s");

	assert_non_null(percent);
	want = xasprintf(
		"%.*s%s/post-upgrade%s", (int)(percent - format), format, hooks, percent + 2);
	assert_fails(r, EPERM, e, want);
}

static void the_first_that_fails_ends_it(void **state)
{
	(void)state;
	assert_fails_with("stderr",
		"echo 'echo why >&2; exit 3' | hook 10-bad\n"
		"echo \"echo no >$out\" | hook 20-never\n",
		"post-upgrade hook %s/10-bad: exit status 3: why");
	assert_out("stderr", NULL);
	assert_fails_with("stdout", "echo 'echo only here; exit 1' | hook 10-bad\n",
		"post-upgrade hook %s/10-bad: exit status 1: only here");
	assert_fails_with("silent", "echo 'exit 1' | hook 10-bad\n",
		"post-upgrade hook %s/10-bad: exit status 1");
	assert_fails_with("signal", "echo 'kill -9 $$' | hook 10-bad\n",
		"post-upgrade hook %s/10-bad: killed by signal 9");
	assert_fails_with("format", "printf '#!/nonexistent\\n' >10-bad; chmod 755 10-bad\n",
		"post-upgrade hook %s/10-bad: No such file or directory");
}

static void what_others_can_change_is_refused(void **state)
{
	autofree char *want = xasprintf(
		" belongs to user %u and has mode 0777, expected user %u and nobody else with write "
		"access",
		geteuid(), geteuid());
	autofree char *file = xasprintf("'%%s/10-open'%s", want);
	autofree char *folder_text = xasprintf("'%%s'%s", want);

	(void)state;
	assert_fails_with(
		"open", "echo \"echo no >$out\" | hook 10-open; chmod 0777 10-open\n", file);
	assert_out("open", NULL);
	assert_fails_with(
		"open-folder", "echo \"echo no >$out\" | hook 10-a; chmod 0777 .\n", folder_text);
	assert_out("open-folder", NULL);
	autofree char *hooks = make_hooks(
		"open-top", "echo \"echo no >$out\" | hook a; chmod 0775 ..\n");
	struct err e = {0};
	assert_int_equal(hooks_run_in(hooks, SECONDS, &event, &e), -EPERM);
	assert_out("open-top", NULL);
}

static void what_does_not_end_is_ended(void **state)
{
	autofree char *hooks = make_hooks("hang", "echo 'sleep 10000 & wait' | hook a\n");
	struct err e = {0};

	(void)state;
	assert_int_equal(hooks_run_in(hooks, 1, &event, &e), -EPERM);
	assert_non_null(strstr(e.msg, "/a: no end after 1 s"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_run_in_order),
		cmocka_unit_test(nothing_to_run_is_fine),
		cmocka_unit_test(layers_may_be_missing),
		cmocka_unit_test(the_first_that_fails_ends_it),
		cmocka_unit_test(what_others_can_change_is_refused),
		cmocka_unit_test(what_does_not_end_is_ended),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
