/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a copy that are brought over to a folder with a system in it: all of them or none, at
 * whatever step it ends; with fakes for systemctl and nft.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/cmd.h"
#include "folder.h"
#include "hotadd/carry.h"
#include "hotadd/lines.h"
#include "hotadd/run.h"
#include "sys/chroot.h"

/* The system: $root. */
static const char base_script[] =
	"umask 022; mkdir -p root/usr/lib/bedplate root/etc/systemd/system root/etc/old root/run root/tmp root/var/lib\n"
	"cd root; : >etc/.pwd.lock; echo one >etc/one; echo two >etc/two; ln etc/two etc/two-again\n"
	"ln -s one etc/link; echo x >etc/old/file; mkdir etc/old/deep; echo y >etc/old/deep/file\n"
	"mkfifo var/lib/pipe; echo rules >etc/nftables.conf; chmod 4755 etc/one; chown 3:4 etc/two\n"
	"echo user >etc/passwd; touch -d @1000000000 etc/one etc/two etc/old etc\n"
	"setfattr -n user.mark -v 1 etc/one 2>/dev/null || :\n";

/* What is done to its copy: every kind of change. */
static const char change_script[] =
	"umask 022; rm etc/one; ln -s two etc/one\n"          /* a file that becomes a link */
	"rm etc/link; mkdir etc/link; echo in >etc/link/in\n" /* a link that becomes a folder */
	"rm -r etc/old; echo flat >etc/old\n"                 /* a folder that becomes a file */
	"echo three >>etc/two; chmod 700 var/lib; rm var/lib/pipe\n"
	"mkdir -p opt/a/b; echo new >opt/a/b/new; ln opt/a/b/new opt/a/second; mkfifo opt/a/pipe\n"
	"rm etc/nftables.conf; echo 'more rules' >etc/nftables.conf; echo plugin >>etc/passwd\n"
	"echo unit >etc/systemd/system/x.service; chmod 2711 opt/a; chown 5:6 opt/a/b/new\n"
	"mkdir -p tmp var/log; echo rubbish >tmp/rubbish; echo log >var/log/log\n";

static const char list_script[] =
	"cd root; find . -path ./run -prune -o -printf '%p %y %m %U:%G %n %l ' \\( -path ./usr/lib/bedplate "
	"-printf '\\n' -o -type l -printf '\\n' -o -type d -printf '%T@\\n' -o -printf '%s %T@\\n' \\) | sort\n"
	"find . -type f ! -path './run/*' -exec sha256sum {} + | sort -k 2; getfattr -d etc/one 2>/dev/null || :\n";

/* Without times and links of folders, and without our own notes. */
static const char content_script[] =
	"find . ! -path './usr/*' ! -path './run*' ! -path './tmp*' ! -path './var/log*' ! -path . "
	"-printf '%p %y %m %U:%G %l\\n' | sort; find etc opt -type f -exec sha256sum {} + | sort -k 2\n";

static char *sh(const char *cwd, const char *script)
{
	autocmd c = {.cwd = cwd};
	struct err e = {0};
	char *out = NULL;

	cmd_add(&c, "sh", "-euc", script, NULL);
	assert_ok(cmd_output(&c, &out, &e), e);
	return out;
}

static void run_sh(const char *cwd, const char *script)
{
	free(sh(cwd, script));
}

struct scene {
	char *root;
	int root_fd;
	struct hotadd_site site;
	struct hotadd_plan plan;
	struct plugin_manifest manifest;
	struct plugin_policy *policy;
	struct run run;
};

static unsigned steps_left;   /* until this process ends; 0: it does not */
static const char *last_file; /* the same, once this is there */

static void count_step(void *ctx)
{
	(void)ctx;
	if (steps_left > 0 && --steps_left == 0)
		_exit(9);
	if (last_file && access(last_file, F_OK) == 0)
		_exit(9);
}

/* A system anew, and a copy in which everything was done. */
static void begin(struct scene *s)
{
	struct err e = {0};

	*s = (struct scene){.root = xasprintf("%s/root", folder)};
	assert_ok(file_remove_tree(s->root, &e), e);
	run_sh(folder, base_script);
	s->root_fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->root_fd >= 0);
	s->site = (struct hotadd_site){
		.root = s->root, .root_fd = s->root_fd, .live = true, .step = count_step};
	s->plan = (struct hotadd_plan){.name = xstrdup("test"), .version = xstrdup("1.0")};
	strv_add(&s->plan.services, "x.service");
	s->manifest.name = xstrdup("test");
	strv_add(&s->manifest.writes, "/etc/");
	strv_add(&s->manifest.writes, "/opt/");
	strv_add(&s->manifest.writes, "/var/lib/");
	s->run = (struct run){.site = &s->site, .plan = &s->plan, .stage = STAGE_NONE};
	assert_ok(run_begin(&s->run, &e), e);
	assert_ok(run_view(&s->run, &s->manifest, &e), e);
	view_end(&s->run.view);
	s->run.policy = s->policy = plugin_policy_new(&s->manifest, s->run.view.tree);
	assert_ok(stage_open(s->root_fd, s->root, &s->run.stage, &e), e);
}

static void end(struct scene *s)
{
	run_fini(&s->run);
	plugin_policy_free(s->policy);
	plugin_manifest_fini(&s->manifest);
	hotadd_plan_fini(&s->plan);
	close(s->root_fd);
	free(s->root);
}

static void change_copy(struct scene *s, const char *script)
{
	struct err e = {0};

	run_sh(s->run.stage.tree, script);
	assert_ok(run_judge(&s->run, &e), e);
}

/* Fakes: what they were asked is in called; systemctl fails with the word in fail. */
static void make_fakes(void)
{
	autofree char *path = NULL;

	run_sh(folder,
		"mkdir bin; for name in systemctl nft; do\n"
		"printf '#!/bin/sh\\ncase $* in *is-active*) [ -e %s/active ]; exit;; esac\\n' \"$PWD\" >bin/$name\n"
		"printf 'echo \"${0##*/} $*\" >>%s/called\\n' \"$PWD\" >>bin/$name\n"
		"printf 'case \" $* \" in *\" start \"*) [ ! -e %s/hook ] || sh %s/hook;; esac\\n' \"$PWD\" \"$PWD\" >>bin/$name\n"
		"printf 'case \" $* \" in *\" $(cat %s/fail) \"*) echo wrong >&2; exit 1;; esac\\n' \"$PWD\" >>bin/$name\n"
		"chmod 755 bin/$name; done; echo none >fail; : >called");
	path = xasprintf("%s/bin:%s", folder, getenv("PATH"));
	assert_int_equal(setenv("PATH", path, 1), 0);
}

static void every_kind_of_change_comes_over(void **state)
{
	struct scene s;
	autostrv none = {0};
	struct err e = {0};

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(&s, change_script);
	autofree char *want = sh(s.run.stage.tree, content_script);
	assert_ok(run_carry_out(&s.run, &none, &e), e);
	autofree char *got = sh(s.root, content_script);
	assert_string_equal(got, want);
	run_sh(s.root,
		"[ ! -e tmp/rubbish ]; [ ! -e var/log/log ]; [ -d var/log ]\n"
		"[ opt/a/second -ef opt/a/b/new ]; [ -e usr/lib/bedplate/plugins/test.before ]\n"
		"[ ! -e usr/lib/bedplate/plugins/.undo ]");
	autofree char *called = sh(folder, "cat called; : >called");
	assert_string_equal(called,
		"systemctl --quiet daemon-reload\nnft --file /etc/nftables.conf\n"
		"systemctl --quiet start -- x.service\n");
	end(&s);
}

static void a_service_that_fails_takes_all_back(void **state)
{
	struct scene s;
	autostrv none = {0};
	struct err e = {0};

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(&s, change_script);
	autofree char *before = sh(folder, list_script);
	/* What it has made before it failed is its state. */
	run_sh(folder,
		"echo start >fail; : >called; echo \"mkdir -p $PWD/root/srv/state/deep\" >hook");
	strv_add(&s.manifest.state, "/srv/state/");
	s.run.manifest = &s.manifest;

	assert_int_equal(run_carry_out(&s.run, &none, &e), -EPROTO);
	assert_string_equal(e.msg, "systemctl: exit status 1: wrong");
	autofree char *after = sh(folder, list_script);
	assert_string_equal(after, before);
	autofree char *called = sh(folder, "echo none >fail; rm hook; cat called; : >called");
	assert_string_equal(called,
		"systemctl --quiet daemon-reload\nnft --file /etc/nftables.conf\n"
		"systemctl --quiet start -- x.service\nsystemctl --quiet stop -- x.service\n"
		"systemctl --quiet daemon-reload\nnft --file /etc/nftables.conf\n");
	end(&s);
}

/* The lock of the accounts is not held while services start, which may write to what else the plugin brings. */
static void accounts_that_came_while_services_start_stay(void **state)
{
	struct scene s;
	autostrv none = {0};
	struct err e = {0};

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(&s, "echo plugin:x:9 >>etc/passwd; echo three >>etc/two");
	run_sh(folder,
		"echo start >fail; "
		"echo \"cd $PWD/root/etc; echo admin:x:10 >>passwd; echo four >>two\" >hook");
	assert_int_equal(run_carry_out(&s.run, &none, &e), -EPROTO);
	autofree char *got = sh(
		s.root, "cat etc/passwd etc/two; [ ! -e usr/lib/bedplate/plugins ]");
	assert_string_equal(got, "user\nadmin:x:10\ntwo\n");
	run_sh(folder, "echo none >fail; rm hook; : >called");
	end(&s);
}

/* 1: the process ended in step n; 0: it came to its end. */
static int die_at(struct scene *s, unsigned n)
{
	pid_t pid = fork();
	autostrv none = {0};
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = {0};

		steps_left = n;
		_exit(run_carry_out(&s->run, &none, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 1);
	return WEXITSTATUS(status) == 9;
}

static void cut_at_every_step(bool removes)
{
	bool died = true;

	for (unsigned n = 1; died; n += removes ? 3 : 1) {
		autofree char *what = NULL;
		struct scene s;
		struct err e = {0};

		assert_true(n < 500);
		begin(&s);
		s.plan.removes = removes;
		change_copy(&s, change_script);
		autofree char *before = sh(folder, list_script);
		died = die_at(&s, n);
		autofree char *between = sh(folder, list_script);
		int r = hotadd_recover(&s.site, &what, &e);
		assert_true(r >= 0);
		autofree char *after = sh(folder, list_script);
		/* After its last step it is complete, and stays. */
		if (r > 0) {
			assert_string_equal(
				what, removes ? "removing plugin 'test'" : "adding plugin 'test'");
			assert_string_equal(after, before);
		} else if (removes) {
			run_sh(s.root, "[ -e opt/a/b/new ]; [ ! -e usr/lib/bedplate/plugins ]");
		} else {
			assert_string_equal(after, between);
			assert_true(died ? hotadd_is_added(s.root_fd, "test") : true);
		}
		if (!died) {
			assert_int_equal(r, 0);
			assert_true(n > 30);
		}
		end(&s);
	}
	run_sh(folder, ": >called");
}

static void at_every_step_it_is_all_or_nothing(void **state)
{
	if (geteuid() != 0)
		skip();
	(void)state;
	cut_at_every_step(false);
}

static void a_removal_is_all_or_nothing(void **state)
{
	if (geteuid() != 0)
		skip();
	(void)state;
	cut_at_every_step(true);
}

/* Ends in step n of taking back.  0: it came to its end. */
static int recover_until(struct scene *s, unsigned n)
{
	pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		autofree char *what = NULL;
		struct err e = {0};

		steps_left = n;
		_exit(hotadd_recover(&s->site, &what, &e) > 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 1);
	return WEXITSTATUS(status) == 9;
}

static void taking_back_is_cut_at_every_step(void **state)
{
	bool died = true;

	if (geteuid() != 0)
		skip();
	(void)state;
	for (unsigned n = 1; died; n += 7) {
		autofree char *what = NULL;
		struct scene s;
		struct err e = {0};

		assert_true(n < 500);
		begin(&s);
		change_copy(&s, change_script);
		autofree char *before = sh(folder, list_script);
		assert_int_equal(die_at(&s, 30), 1);
		died = recover_until(&s, n);
		int r = hotadd_recover(&s.site, &what, &e);
		assert_true(r >= 0);
		assert_true(died || n > 30);
		autofree char *after = sh(folder, list_script);
		assert_string_equal(after, before);
		end(&s);
	}
	run_sh(folder, ": >called");
}

/* Cut off when all was there, in a process of its own. */
static void die_with(struct scene *s, const char *path)
{
	autofree char *file = xasprintf("%s/root/%s", folder, path);

	last_file = file;
	assert_int_equal(die_at(s, 0), 1);
	last_file = NULL;
}

static void what_others_did_since_stays(void **state)
{
	struct scene s;
	struct err e = {0};
	autofree char *what = NULL;

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	strv_add(&s.manifest.state, "/srv/way/own/");
	s.run.manifest = &s.manifest;
	change_copy(&s,
		"echo plugin:x:9 >>etc/passwd; echo three >>etc/two; echo four >>etc/old/file\n"
		"rm etc/link; rm etc/nftables.conf; echo n >etc/new; echo m >etc/new2; mkdir -p opt/z; echo z >opt/z/last");
	die_with(&s, "opt/z/last");
	run_sh(s.root,
		"echo admin:x:10 >>etc/passwd; rm etc/two; echo mine >etc/two; ln -s two etc/link\n"
		"echo mine >etc/new2; mkdir -p srv/way/own/state; echo o >srv/way/other");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
	autofree char *got = sh(s.root,
		"cat etc/passwd etc/two etc/old/file etc/nftables.conf etc/new2; readlink etc/link; cat srv/way/other\n"
		"[ ! -e etc/new ]; [ ! -e opt ]; [ ! -e srv/way/own ]; [ ! -e usr/lib/bedplate/plugins ]");
	assert_string_equal(got, "user\nadmin:x:10\nmine\nx\nrules\nmine\ntwo\no\n");
	end(&s);
}

/* Taking back texts that others have changed since, as often as it takes. */
static void a_text_is_taken_back_once(void **state)
{
	static const char *const cuts[] = {
		/* Cut off before the text was there: its attributes were not, or its name was. */
		"n=$(basename usr/lib/bedplate/plugins/.undo/*-after -after)\n"
		"(umask 077; echo user >usr/lib/bedplate/plugins/.undo/$n-merged)",
		"echo half >etc/.bedplate-plugin.new",
	};

	if (geteuid() != 0)
		skip();
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		autofree char *what = NULL;
		struct scene s;
		struct err e = {0};

		begin(&s);
		change_copy(&s, "echo plugin:x:9 >>etc/passwd; mkdir -p opt/z; echo z >opt/z/last");
		die_with(&s, "opt/z/last");
		run_sh(s.root, "echo admin:x:10 >>etc/passwd");
		run_sh(s.root, cuts[i]);
		assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
		autofree char *got = sh(
			s.root, "cat etc/passwd; stat -c %a etc/passwd; ls -A etc | head -n 1");
		assert_string_equal(got, "user\nadmin:x:10\n644\n.pwd.lock\n");
		end(&s);
	}
}

/* Cut off behind it, and somebody gets an account before the next attempt. */
static void accounts_between_two_attempts_stay(void **state)
{
	struct scene s;
	struct err e = {0};
	autofree char *what = NULL, *two = xasprintf("%s/root/etc/two", folder);

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(
		&s, "echo plugin:x:9 >>etc/passwd; rm etc/two; mkdir -p opt/z; echo z >opt/z/last");
	die_with(&s, "opt/z/last");
	run_sh(s.root, "echo admin:x:10 >>etc/passwd");
	last_file = two;
	assert_int_equal(recover_until(&s, 0), 1);
	last_file = NULL;
	run_sh(s.root,
		"! grep plugin etc/passwd || exit 1; cp etc/passwd new; echo later:x:11 >>new; mv new etc/passwd");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
	autofree char *got = sh(s.root, "cat etc/passwd etc/two");
	assert_string_equal(got, "user\nadmin:x:10\nlater:x:11\ntwo\n");
	end(&s);
}

static void a_volume_that_is_not_mounted_is_waited_for(void **state)
{
	struct scene s;
	struct err e = {0};
	autofree char *what = NULL;
	autofree char *var = xasprintf("%s/var", folder), *at = xasprintf("%s/root/var", folder);

	if (geteuid() != 0)
		skip();
	(void)state;
	run_sh(folder, "rm -rf root; mkdir -p var root/var");
	assert_int_equal(mount("test", var, "tmpfs", 0, "mode=0755"), 0);
	begin(&s);
	run_sh(folder, "mkdir -p var/lib; echo old >var/lib/file");
	assert_int_equal(mount(var, at, NULL, MS_BIND, NULL), 0);
	stage_close(&s.run.stage);
	assert_ok(stage_open(s.root_fd, s.root, &s.run.stage, &e), e);
	change_copy(&s,
		"echo new >var/lib/file; mkdir -p opt/z; echo z >opt/z/last; echo w >var/lib/z");
	die_with(&s, "var/lib/z");
	stage_close(&s.run.stage);
	assert_int_equal(umount2(at, MNT_DETACH), 0);
	run_sh(s.root, "echo other >var/lib/file");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), -EXDEV);
	assert_true(str_ends(e.msg, "the volume that it was on is not mounted"));
	run_sh(s.root, "[ \"$(cat var/lib/file)\" = other ]; [ -e opt/z/last ]");
	assert_int_equal(mount(var, at, NULL, MS_BIND, NULL), 0);
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
	run_sh(s.root, "[ \"$(cat var/lib/file)\" = old ]; [ ! -e var/lib/z ]; [ ! -e opt ]");
	assert_int_equal(umount2(at, MNT_DETACH), 0);
	assert_int_equal(umount2(var, MNT_DETACH), 0);
	end(&s);
}

/* On a folder of the plugin, or in one: a file system of its own, or another folder of this one. */
static void what_is_mounted_since_is_not_emptied(void **state)
{
	static const struct {
		const char *at, *change;
		bool first; /* it is seen before anything has changed */
	} cases[] = {
		{"opt/mnt", "mount -t tmpfs test opt/mnt", true},
		{"opt/mnt", "mkdir srv; mount --bind srv opt/mnt", true},
		{"opt/z/deep", "mkdir opt/z/deep; mount -t tmpfs test opt/z/deep", false},
		{"opt/z/deep", "mkdir srv opt/z/deep; mount --bind srv opt/z/deep", false},
	};

	if (geteuid() != 0)
		skip();
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *what = NULL,
			      *file = xasprintf("%s/root/%s/data", folder, cases[i].at);
		autofree char *at = xasprintf("%s/root/%s", folder, cases[i].at);
		struct scene s;
		struct err e = {0};

		begin(&s);
		change_copy(&s, "echo new >>etc/two; mkdir -p opt/mnt opt/z; echo z >opt/z/last");
		die_with(&s, "opt/z/last");
		run_sh(s.root, cases[i].change);
		run_sh(at, "echo data >data");
		/* -EBUSY is for who is at work. */
		assert_int_equal(hotadd_recover(&s.site, &what, &e), -EXDEV);
		assert_true(str_ends(e.msg, "something is mounted there"));
		assert_true(file_exists(file));
		if (cases[i].first)
			run_sh(s.root, "grep new etc/two; [ -e opt/z/last ]");
		assert_int_equal(umount2(at, MNT_DETACH), 0);
		assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
		run_sh(s.root, "! grep new etc/two || exit 1; [ ! -e opt ]");
		end(&s);
	}
}

static void damaged_notes_are_put_aside(void **state)
{
	struct scene s;
	struct err e = {0};
	autofree char *what = NULL;

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	run_sh(s.root,
		"mkdir -p usr/lib/bedplate/plugins/.undo; echo x >usr/lib/bedplate/plugins/.undo/list.json");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 0);
	run_sh(s.root,
		"[ ! -e usr/lib/bedplate/plugins/.undo ]; [ -e usr/lib/bedplate/plugins/.undo.bad/list.json ]");
	/* One without a list is none. */
	run_sh(s.root,
		"mkdir -p usr/lib/bedplate/plugins/.undo; echo x >usr/lib/bedplate/plugins/.undo/1");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 0);
	run_sh(s.root, "[ ! -e usr/lib/bedplate/plugins/.undo ]");
	end(&s);
}

static void a_name_that_is_not_utf8_comes_back(void **state)
{
	struct scene s;
	struct err e = {0};
	autofree char *what = NULL;

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(&s, "echo x >\"etc/$(printf '\\377')\"; mkdir -p opt/z; echo z >opt/z/last");
	die_with(&s, "opt/z/last");
	run_sh(s.root, "[ -e \"etc/$(printf '\\377')\" ]");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
	run_sh(s.root, "[ ! -e \"etc/$(printf '\\377')\" ]");
	end(&s);
}

/* A recovery that is cut off itself is begun anew. */
static void taking_back_can_be_repeated(void **state)
{
	struct scene s;
	struct err e = {0};
	autoundolist u = {0};
	autofree char *what = NULL;

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(&s, change_script);
	assert_int_equal(die_at(&s, 25), 1);
	run_sh(folder, "rm -rf saved; cp -a root/usr/lib/bedplate/plugins saved");
	assert_int_equal(transaction_pending(s.root_fd, &u, &e), 1);
	assert_ok(transaction_undo(s.root_fd, &u, &(struct undo_spec){0}, &e), e);
	/* As if it had ended before its own end: half of what it did is undone by hand. */
	run_sh(folder,
		"rm root/etc/two root/etc/nftables.conf; rm -r root/etc/old\n"
		"cp -a saved root/usr/lib/bedplate/plugins; echo half >root/etc/.bedplate-plugin.new");
	assert_int_equal(hotadd_recover(&s.site, &what, &e), 1);
	autofree char *two = sh(folder,
		"cat root/etc/two root/etc/nftables.conf root/etc/old/deep/file; "
		"[ ! -e root/etc/.bedplate-plugin.new ]; [ ! -e root/opt ]; ls root/usr/lib/bedplate");
	assert_string_equal(two, "two\nrules\ny\n");
	end(&s);
}

static void what_others_change_meanwhile_is_no_ones_loss(void **state)
{
	struct scene s;
	autostrv none = {0};
	struct err e = {0};

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	change_copy(&s, "echo plugin >>etc/passwd; echo new >etc/new");
	run_sh(s.root, "echo admin >>etc/passwd");
	assert_int_equal(run_carry_out(&s.run, &none, &e), -ESTALE);
	assert_string_equal(e.msg, "somebody else has changed '/etc/passwd' meanwhile: try again");
	run_sh(s.root, "[ ! -e etc/new ]; [ ! -e usr/lib/bedplate/plugins ]");
	end(&s);

	e = (struct err){0};
	begin(&s);
	change_copy(&s, "echo new >etc/new");
	run_sh(s.root, "echo admin >etc/new");
	assert_int_equal(run_carry_out(&s.run, &none, &e), -ESTALE);
	assert_string_equal(e.msg, "'/etc/new' came to be there meanwhile: try again");
	run_sh(s.root, "[ \"$(cat etc/new)\" = admin ]; [ ! -e usr/lib/bedplate/plugins ]");
	end(&s);
}

static void what_is_not_declared_is_refused(void **state)
{
	struct scene s;
	struct err e = {0};

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	run_sh(s.run.stage.tree, "mkdir usr/share; echo x >usr/share/x");
	assert_int_equal(run_judge(&s.run, &e), -EACCES);
	assert_string_equal(e.msg, "plugin 'test' writes '/usr/share', which it does not declare");
	run_sh(s.run.stage.tree, "rm -r usr/share; mknod etc/disk b 8 0");
	assert_int_equal(run_judge(&s.run, &e), -EACCES);
	assert_string_equal(e.msg, "plugin 'test' makes a device of '/etc/disk'");
	end(&s);
}

static void what_is_mounted_is_not_changed(void **state)
{
	static const char *const changes[] = {"echo x >etc/old/file", "rm -r etc/old",
		"rm -r etc/old; mkdir etc/old", "rm -r etc; mkdir etc"};

	if (geteuid() != 0)
		skip();
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct scene s;
		struct err e = {0};

		begin(&s);
		autofree char *old = xasprintf("%s/etc/old", s.root);
		run_sh(s.run.stage.tree, changes[i]);
		assert_int_equal(mount("test", old, "tmpfs", 0, NULL), 0);
		assert_int_equal(run_judge(&s.run, &e), -EBUSY);
		assert_string_equal(e.msg,
			"something is mounted on '/etc/old', which a plugin cannot change: unmount it first");
		assert_int_equal(umount2(old, MNT_DETACH), 0);
		end(&s);
	}
}

static void what_one_did_to_a_text_goes(void **state)
{
	static const struct {
		const char *path, *now, *before, *after, *want;
	} cases[] = {
		/* Changed by the plugin, and by others once more. */
		{"etc/group", "adm:x:4:agent,admin\nx:x:9:\n", "adm:x:4:\n", "adm:x:4:agent\n",
			"adm:x:4:admin\nx:x:9:\n"},
		{"etc/gshadow", "adm:*::old\n", "adm:*::old,gone\n", "adm:*::old,agent\n",
			"adm:*::old,gone\n"},
		/* Whom others took out of a group since stays out. */
		{"etc/group", "sudo:x:27:agent\nadm:x:4:agent,b,new\n",
			"sudo:x:27:alice\nadm:x:4:a,b\n",
			"sudo:x:27:alice,agent\nadm:x:4:a,b,agent\n",
			"sudo:x:27:\nadm:x:4:b,new\n"},
		/* Whom the plugin took out, and others put in again, is in it once. */
		{"etc/group", "adm:x:4:b,a\n", "adm:x:4:a,b\n", "adm:x:4:b\n", "adm:x:4:b,a\n"},
		{"etc/shadow", "root:new:1::::::\nagent:!:1::::::\n", "root:old:1::::::\n",
			"root:old:2::::::\nagent:!:1::::::\n", "root:new:1::::::\n"},
		{"etc/passwd", "root:x:0:0::/:/bin/zsh\nagent:x:9:9::/:/bin/sh\n",
			"root:x:0:0::/:/bin/sh\nold:x:5:5::/:/\n",
			"root:x:0:0::/:/bin/sh\nagent:x:9:9::/:/\n",
			"root:x:0:0::/:/bin/zsh\nold:x:5:5::/:/\n"},
		/* An empty line is a line. */
		{"etc/subuid", "a:1:2\n\nb:3:4\nc:5:6\n", "a:1:2\n\n", "a:1:2\n\nb:3:4\n",
			"a:1:2\n\nc:5:6\n"},
		/* Two plugins with the same port. */
		{"etc/nftables.conf", "{\n a\n 1\n 1\n b\n}\n", "{\n a\n}\n", "{\n a\n 1\n}\n",
			"{\n a\n 1\n b\n}\n"},
		/* The end of a block goes with its beginning. */
		{"etc/nftables.conf", "a {\n}\nb {\n 2\n}\nc {\n}\n", "a {\n}\n",
			"a {\n}\nb {\n 2\n}\n", "a {\n}\nc {\n}\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *got = lines_take_back(
			cases[i].path, cases[i].now, cases[i].before, cases[i].after);

		assert_string_equal(got, cases[i].want);
	}
}

static void lines_of_others_stay(void **state)
{
	static const char before[] = "root:x:0:\nadm:x:4:\n";
	static const char after[] = "root:x:0:\nadm:x:4:agent\nagent:x:9:\n";
	static const char now[] = "root:x:0:\nadm:x:4:agent\nagent:x:9:\nuser:x:10:\n";

	(void)state;
	autofree char *text = lines_take_back("etc/group", now, before, after);
	assert_string_equal(text, "root:x:0:\nadm:x:4:\nuser:x:10:\n");
	autofree char *rules = lines_take_back(
		"etc/nftables.conf", "a\nnew\n}\nb\n", "a\n}\n", "a\nnew\n}\n");
	assert_string_equal(rules, "a\n}\nb\n");
	autofree char *same = lines_take_back("etc/group", before, before, after);
	assert_string_equal(same, before);
}

/* With its record, as hotadd_add() writes it. */
static void add_with_record(struct scene *s)
{
	static const uint8_t sum[SHA256_BYTES] = {1};
	struct plugin_image *image = xcalloc(1, sizeof(*image));
	autostrv none = {0};
	autodelta own = {0};
	struct err e = {0};

	*image = (struct plugin_image){.name = xstrdup("node")};
	s->manifest.images = image;
	s->manifest.image_count = 1;
	struct plugin_member *recipe = plugin_manifest_add_file(&s->manifest);
	recipe->file = xstrdup(PLUGIN_RECIPE);
	recipe->size_bytes = 1;
	s->manifest.version = xstrdup("1.0");
	s->manifest.vendor = xstrdup("V");
	s->manifest.description = xstrdup("D");
	change_copy(s, change_script);
	run_sh(s->run.stage.tree, "mkdir -p usr/lib/bedplate/plugins");
	assert_ok(delta_find(&s->run.stage, &own, &e), e);
	assert_ok(plugin_record_write_of(s->run.stage.tree_fd, own.after, &s->manifest, sum,
			  &s->run.delta.changes, &e),
		e);
	assert_ok(run_judge(&s->run, &e), e);
	assert_ok(run_carry_out(&s->run, &none, &e), e);
}

static void what_is_taken_out_leaves_the_rest(void **state)
{
	struct scene s;
	struct err e = {0};

	if (geteuid() != 0)
		skip();
	(void)state;
	begin(&s);
	/* /var is no part of a layer, and accounts stay. */
	static const char script[] =
		"find etc opt ! -name passwd ! -path etc/systemd/system/x.service "
		"-printf '%p %y %m %U:%G %l\\n' 2>/dev/null | sort\n"
		"find etc -type f ! -name passwd ! -name x.service -exec sha256sum {} + | sort -k 2\n";
	autofree char *before = sh(s.root, script);
	add_with_record(&s);
	run_sh(s.root,
		"echo admin >>etc/systemd/system/x.service; rm etc/link/in\n"
		"echo admin >>etc/nftables.conf; echo admin >>etc/passwd");

	autoaddedplugins plugins = {0};
	assert_ok(added_plugins_read(s.root_fd, &plugins, &e), e);
	assert_int_equal(plugins.count, 1);
	assert_int_equal(plugins.items[0].file_fd, -1);
	/* Files of a few bytes each: a block of each. */
	const uint64_t bytes = added_plugin_bytes(&plugins.items[0]);
	assert_in_range(bytes, plugins.items[0].record->files->count * 4096 + 1,
		plugins.items[0].record->files->count * 4096 + 1000);
	assert_ok(added_plugins_take_out(&plugins, &e), e);
	autofree char *rules = sh(
		s.root, "cat etc/nftables.conf; printf 'rules\\n' >etc/nftables.conf");
	assert_string_equal(rules, "admin\n");
	autofree char *after = sh(s.root, script);
	assert_string_equal(after, before);
	autofree char *stays = sh(s.root, "cat etc/systemd/system/x.service etc/passwd");
	assert_string_equal(stays, "unit\nadmin\nuser\nplugin\nadmin\n");
	assert_int_equal(plugins.items[0].changed.count, 1);
	assert_string_equal(plugins.items[0].changed.items[0], "etc/systemd/system/x.service");
	assert_int_equal(plugins.items[0].gone.count, 1);
	assert_string_equal(plugins.items[0].gone.items[0], "etc/link/in");
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_change_comes_over),
		cmocka_unit_test(a_service_that_fails_takes_all_back),
		cmocka_unit_test(accounts_that_came_while_services_start_stay),
		cmocka_unit_test(at_every_step_it_is_all_or_nothing),
		cmocka_unit_test(a_removal_is_all_or_nothing),
		cmocka_unit_test(taking_back_can_be_repeated),
		cmocka_unit_test(taking_back_is_cut_at_every_step),
		cmocka_unit_test(what_others_did_since_stays),
		cmocka_unit_test(a_text_is_taken_back_once),
		cmocka_unit_test(accounts_between_two_attempts_stay),
		cmocka_unit_test(a_volume_that_is_not_mounted_is_waited_for),
		cmocka_unit_test(what_is_mounted_since_is_not_emptied),
		cmocka_unit_test(damaged_notes_are_put_aside),
		cmocka_unit_test(a_name_that_is_not_utf8_comes_back),
		cmocka_unit_test(what_others_change_meanwhile_is_no_ones_loss),
		cmocka_unit_test(what_is_not_declared_is_refused),
		cmocka_unit_test(what_is_mounted_is_not_changed),
		cmocka_unit_test(what_one_did_to_a_text_goes),
		cmocka_unit_test(lines_of_others_stay),
		cmocka_unit_test(what_is_taken_out_leaves_the_rest),
	};
	int r;

	make_folder(NULL);
	/* In memory: everything is synced all the time. */
	if (geteuid() == 0) {
		assert_int_equal(chroot_enter_namespace(NULL), 0);
		assert_int_equal(mount("test", folder, "tmpfs", 0, "mode=0755"), 0);
	}
	make_fakes();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	umount2(folder, MNT_DETACH);
	drop_folder(NULL);
	return r;
}
