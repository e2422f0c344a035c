/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "folder.h"
#include "ks/grammar.h"
#include "ks/ks.h"
#include "ks/text.h"
#include "ks/unattended.h"

static char *write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct err e = {0};

	assert_ok(file_replace(path, text, strlen(text), 0644, &e), e);
	return path;
}

static struct ks_doc *parse(const char *text)
{
	struct ks_doc *doc = NULL;
	struct err e = {0};

	assert_ok(ks_parse_text("t.ks", text, strlen(text), NULL, &doc, &e), e);
	return doc;
}

static struct ks_doc *parse_file(const char *path, const struct ks_options *options)
{
	struct ks_doc *doc = NULL;
	struct err e = {0};

	assert_ok(ks_parse_file(path, options, &doc, &e), e);
	return doc;
}

static struct ks_doc *parse_good(const char *text)
{
	struct ks_doc *doc = parse(text);

	if (ks_error_count(doc) > 0)
		fail_msg("%s", ks_problem_at(doc, 0)->text);
	return doc;
}

/* The nth problem reads "FILE:LINE: [warning: ]text". */
static void assert_problem(const struct ks_doc *doc, size_t n, const char *want)
{
	assert_true(n < ks_problem_count(doc));
	const struct ks_problem *p = ks_problem_at(doc, n);
	autofree char *got = xasprintf(
		"%s:%u: %s%s", p->file, p->line, p->is_warning ? "warning: " : "", p->text);

	assert_string_equal(got, want);
}

static void assert_words(const char *line, bool comments, const char *want)
{
	autostrv words = {0};
	autostrbuf joined = {0};
	struct err e = {0};

	assert_ok(ks_shlex(line, strlen(line), comments, &words, &e), e);
	for (size_t i = 0; i < words.count; i++)
		strbuf_printf(&joined, "[%s]", words.items[i]);
	strbuf_puts(&joined, "");
	assert_string_equal(joined.data, want);
}

static void words_are_quoted_as_in_a_shell(void **state)
{
	(void)state;
	assert_words("", true, "");
	assert_words(" a  b\tc\r\n", true, "[a][b][c]");
	assert_words("'a b' \"c d\"e''", true, "[a b][c de]");
	assert_words("'' \"\"", true, "[][]");
	assert_words("\"a\\\"b\\\\c\\d\"", true, "[a\"b\\c\\d]");
	assert_words("'a\\b' a\\ b \\#c", true, "[a\\b][a b][#c]");
	assert_words("a#b c", true, "[a]");
	assert_words("a '#' \"#\" # c", true, "[a][#][#]");
	assert_words("a#b #c", false, "[a#b][#c]");
	assert_words("a \\\n", true, "[a][\n]");
}

static void unbalanced_quotes_fail(void **state)
{
	autostrv words = {0};
	struct err e = {0};

	(void)state;
	assert_fails(
		ks_shlex("a 'b", 4, true, &words, &e), EINVAL, e, "no closing quotation mark (')");
	assert_fails(ks_shlex("\"a\\\"", 4, true, &words, &e), EINVAL, e,
		"no closing quotation mark (\")");
	assert_fails(ks_shlex("a\\", 2, true, &words, &e), EINVAL, e,
		"nothing follows the backslash at the end of the line");
	assert_fails(ks_shlex("a\0b", 3, true, &words, &e), EINVAL, e, "the line holds a NUL byte");
}

static void assert_number(const char *text, const char *want_digits, int64_t want)
{
	autofree char *digits = NULL;
	struct err e = {0};
	int64_t value = 0;

	assert_ok(ks_parse_int(text, &digits, &value, &e), e);
	assert_string_equal(digits, want_digits);
	assert_true(value == want);
}

static void numbers_are_python_ints(void **state)
{
	(void)state;
	assert_number("0", "0", 0);
	assert_number("-0", "0", 0);
	assert_number("+007", "7", 7);
	assert_number(" 1_000\t", "1000", 1000);
	assert_number("-5", "-5", -5);
	assert_number("9223372036854775807", "9223372036854775807", INT64_MAX);
	assert_number("9223372036854775808", "9223372036854775808", INT64_MAX);
	assert_number("-99999999999999999999", "-99999999999999999999", INT64_MIN);
	assert_number("\u0663\u0660", "30", 30);
	assert_number("\u00a0"
		      "5",
		"5", 5);
}

static void other_numbers_are_refused(void **state)
{
	static const char *const bad[] = {"", " ", "+", "-", "_1", "1_", "1__0", "0x1", "1.0",
		"1 0", "--1", "\u00b2", "\xd9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autofree char *digits = NULL;
		int64_t value;

		assert_int_equal(ks_parse_int(bad[i], &digits, &value, NULL), -EINVAL);
	}
}

static void paths_are_normalised(void **state)
{
	static const char *const pairs[][2] = {{"/", "/"}, {"//", "//"}, {"///", "/"},
		{"/a/", "/a"}, {"//a/", "//a"}, {"/a//b/./c/../d", "/a/b/d"}, {"/..", "/"},
		{"/../a", "/a"}, {"a/../b", "a/../b"}, {"swap", "swap"}, {"", ""},
		{"/a/../..", "/"}, {"//a/../../b", "//b"}, {"/...", "/..."}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		autofree char *got = ks_normalise_path(pairs[i][0]);

		assert_string_equal(got, pairs[i][1]);
	}
}

static void lines_end_as_in_python(void **state)
{
	static const char text[] = "a\nb\r\nc\rd\ve\ff\x1cg\xc2\x85"
				   "h\u2028i";
	const char *end = text + sizeof(text) - 1, *p = text;
	unsigned count = 0;

	(void)state;
	while (p < end) {
		p = ks_line_end(p, end);
		count++;
	}
	assert_int_equal(count, 9);
}

static void model_gives_values(void **state)
{
	autoptr(ks_doc) doc = parse_good("partition /boot --fstype=ext4 --size=512 --grow\n"
					 "repo --name=a --baseurl=b --components=main,contrib\n"
					 "clearpart --linux\n"
					 "network --device=e --onboot=no\n"
					 "poweroff\n");
	const struct ks_cmd *c = ks_next(doc, "part", NULL);
	int64_t n = 0;

	(void)state;
	assert_string_equal(ks_name(c), "partition");
	assert_string_equal(ks_file(c), "t.ks");
	assert_int_equal(ks_line(c), 1);
	assert_string_equal(ks_args(c)->items[0], "/boot");
	assert_string_equal(ks_str(c, "fstype"), "ext4");
	assert_string_equal(ks_str(c, "type"), "ext4");
	assert_true(ks_int(c, "size", &n));
	assert_int_equal(n, 512);
	assert_false(ks_int(c, "maxsize", &n));
	assert_true(ks_flag(c, "grow"));
	assert_false(ks_flag(c, "noformat"));
	assert_true(ks_given(c, "grow"));
	assert_false(ks_given(c, "label"));
	assert_null(ks_str(c, "label"));
	assert_null(ks_next(doc, "part", c));
	assert_null(ks_next(doc, "raid", NULL));

	c = ks_next(doc, "repo", NULL);
	assert_int_equal(ks_list(c, "components")->count, 2);
	assert_int_equal(ks_list(c, "excludepkgs")->count, 0);
	c = ks_next(doc, "clearpart", NULL);
	assert_true(ks_flag(c, "linux"));
	assert_false(ks_flag(c, "all"));
	c = ks_next(doc, "network", NULL);
	assert_false(ks_flag(c, "onboot"));
	assert_string_equal(ks_str(c, "bootproto"), "dhcp");
	assert_string_equal(ks_name(ks_next(doc, "reboot", NULL)), "poweroff");
}

static void defaults_of_flags(void **state)
{
	autoptr(ks_doc) doc = parse_good("network --device=e\nfirewall\nrootpw x\n");
	const struct ks_cmd *c = ks_next(doc, "network", NULL);

	(void)state;
	assert_true(ks_flag(c, "onboot"));
	assert_false(ks_flag(c, "activate"));
	assert_false(ks_flag(c, "no-activate"));
	assert_true(ks_flag(ks_next(doc, "firewall", NULL), "enabled"));
	assert_true(ks_flag(ks_next(doc, "rootpw", NULL), "plaintext"));
	assert_false(ks_flag(ks_next(doc, "rootpw", NULL), "iscrypted"));
}

static void all_errors_are_found(void **state)
{
	autoptr(ks_doc) doc = parse(
		"frob\npart\ntext\npart / --size=x\nrootpw 'a\n%foo\nfrob\n%end\n"
		"skipx\nsnapshot\n");

	(void)state;
	assert_int_equal(ks_error_count(doc), 6);
	assert_problem(doc, 0, "t.ks:1: unknown command 'frob'");
	assert_problem(doc, 1, "t.ks:2: part: expected one mount point");
	assert_problem(doc, 2, "t.ks:4: part: --size: 'x' is not a whole number");
	assert_problem(doc, 3, "t.ks:5: no closing quotation mark (')");
	assert_problem(doc, 4, "t.ks:6: unknown section '%foo'");
	assert_problem(
		doc, 5, "t.ks:9: warning: 'skipx' is valid kickstart, but nothing here acts on it");
	assert_problem(doc, 6, "t.ks:10: snapshot: option --name is missing");
}

static void errors_are_capped(void **state)
{
	autostrbuf text = {0};

	(void)state;
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&text, "frob\n");
	autoptr(ks_doc) doc = parse(text.data);
	assert_int_equal(ks_problem_count(doc), 1000);
}

static void sections_are_kept(void **state)
{
	autoptr(ks_doc) doc = parse_good(
		"%post --nochroot --log=/l\n  a\r\n%end\n"
		"%pre --erroronfail --interpreter=/usr/bin/python3\nb\n%end\n"
		"%packages --nocore\nvim\n@g --optional\n-x\n%end\n"
		"%addon a b\nbody\n%end\n");
	const struct ks_script *s = ks_script_at(doc, 0);
	const struct ks_packages *p = ks_packages(doc);

	(void)state;
	assert_int_equal(ks_script_count(doc), 2);
	assert_int_equal(s->kind, KS_POST);
	assert_true(s->nochroot);
	assert_string_equal(s->log, "/l");
	assert_string_equal(s->body, "  a\r\n");
	assert_int_equal(s->body_len, 5);
	assert_int_equal(s->line, 1);
	s = ks_script_at(doc, 1);
	assert_int_equal(s->kind, KS_PRE);
	assert_true(s->erroronfail);
	assert_string_equal(s->interpreter, "/usr/bin/python3");
	assert_true(p->seen && p->nocore);
	assert_string_equal(p->packages.items[0], "vim");
	assert_string_equal(p->groups.items[0], "g");
	assert_true(p->group_details[0].optional);
	assert_string_equal(p->excluded.items[0], "x");
	assert_string_equal(ks_addon_at(doc, 0)->header, "%addon a b");
	assert_string_equal(ks_addon_at(doc, 0)->body, "body\n");
}

static void includes_are_relative_to_the_file(void **state)
{
	autofree char *sub = xasprintf("%s/sub", folder);

	(void)state;
	assert_int_equal(mkdir(sub, 0755), 0);
	autofree char *main_ks = write_file("main.ks",
		"%include sub/a.ks\n%packages\n"
		"%include sub/list\n%end\n");
	autofree char *a = write_file("sub/a.ks", "%include b.ks\nlang x\n");
	autofree UNUSED char *b = write_file("sub/b.ks", "timezone X\n\nfrob\n");
	autofree UNUSED char *list = write_file("sub/list", "vim\n");
	autoptr(ks_doc) doc = parse_file(main_ks, NULL);
	autofree char *want = xasprintf("%s/sub/b.ks:3: unknown command 'frob'", folder);

	assert_int_equal(ks_problem_count(doc), 1);
	assert_problem(doc, 0, want);
	assert_string_equal(ks_file(ks_next(doc, "lang", NULL)), a);
	assert_int_equal(ks_line(ks_next(doc, "timezone", NULL)), 1);
	assert_string_equal(ks_packages(doc)->packages.items[0], "vim");
}

static void include_that_opens_a_section(void **state)
{
	autofree char *main_ks = write_file("m.ks", "%include open.ks\nb\n%end\ntext\n");
	autofree UNUSED char *open_ks = write_file("open.ks", "%post\na\n");
	autoptr(ks_doc) doc = parse_file(main_ks, NULL);

	(void)state;
	assert_int_equal(ks_error_count(doc), 0);
	assert_string_equal(ks_script_at(doc, 0)->body, "a\nb\n");
	assert_non_null(ks_next(doc, "text", NULL));
}

static void include_cycles_are_refused(void **state)
{
	autofree char *a = write_file("cycle-a.ks", "%include cycle-b.ks\n");
	autofree char *b = write_file("cycle-b.ks", "text\n%include ./cycle-a.ks\nskipx\n");
	autoptr(ks_doc) doc = parse_file(a, NULL);

	(void)state;
	assert_int_equal(ks_error_count(doc), 1);
	assert_non_null(strstr(ks_problem_at(doc, 0)->text, "includes itself"));
	assert_string_equal(ks_problem_at(doc, 0)->file, b);
	assert_non_null(ks_next(doc, "skipx", NULL));
}

static void missing_include(void **state)
{
	const struct ks_options options = {.missing_include_ok = true};
	autofree char *path = write_file("missing.ks", "text\n%include gone.ks\n");
	autoptr(ks_doc) doc = parse_file(path, NULL);
	autoptr(ks_doc) again = parse_file(path, &options);
	autofree char *want = xasprintf(
		"%s:0: line 2: %%include: '%s/gone.ks': No such file or directory", path, folder);

	(void)state;
	assert_int_equal(ks_error_count(doc), 1);
	assert_problem(doc, 0, want);
	assert_int_equal(ks_error_count(again), 0);
}

static int fetch(void *ctx, const char *url, char **text, size_t *len, struct err *e)
{
	if (!str_starts(url, ctx))
		return err_set(e, ECONNREFUSED, "no host");
	*text = xstrdup(str_ends(url, "/b") ? "text\n" : "%include http://h/b\n");
	*len = strlen(*text);
	return 0;
}

static void included_urls_need_a_fetcher(void **state)
{
	char host[] = "http://h/";
	const struct ks_options options = {.fetch = fetch, .fetch_ctx = host};
	static const char text[] = "%include http://h/a\n%include ftp://x/\n";
	autoptr(ks_doc) doc = parse(text);
	autoptr(ks_doc) again = NULL;
	struct err e = {0};

	(void)state;
	assert_problem(
		doc, 0, "t.ks:0: line 1: %include: 'http://h/a': only files can be included here");
	assert_ok(ks_parse_text("t.ks", text, sizeof(text) - 1, &options, &again, &e), e);
	assert_problem(again, 0, "t.ks:0: line 2: %include: no host");
	assert_string_equal(ks_file(ks_next(again, "text", NULL)), "http://h/b");
}

static void reading_problems_are_errors(void **state)
{
	struct ks_doc *doc = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(ks_parse_file("/nonexistent/x", NULL, &doc, &e), -ENOENT);
	assert_int_equal(ks_parse_file("/tmp", NULL, &doc, &e), -EISDIR);
	assert_null(doc);
}

static void nul_bytes_are_errors(void **state)
{
	static const char text[] = "text\nlang a\0b\n";
	autoptr(ks_doc) doc = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(ks_parse_text("t.ks", text, sizeof(text) - 1, NULL, &doc, &e), e);
	assert_problem(doc, 0, "t.ks:2: the line holds a NUL byte");
}

static void support_warnings_name_what_has_no_effect(void **state)
{
	autoptr(ks_doc) doc = parse_good("lang a\nautopart\ngraphical\n%packages\nvim\n%end\n"
					 "%onerror\na\n%end\n");

	(void)state;
	ks_add_support_warnings(doc, KS_FOR_IMAGE);
	assert_int_equal(ks_problem_count(doc), 3);
	assert_problem(doc, 0,
		"t.ks:3: warning: 'graphical' is valid kickstart, but nothing here acts on it");
	assert_problem(doc, 1, "t.ks:2: warning: 'autopart' has no effect here");
	assert_problem(doc, 2, "t.ks:7: warning: '%onerror' has no effect here");
}

static void every_option_is_acted_on_or_named(void **state)
{
	static const char *const want[] = {
		"t.ks:7: warning: %packages without --multilib undoes that of line 5",
		"t.ks:7: warning: %packages without --nocore undoes that of line 5",
		"t.ks:2: warning: bootloader: --location is not acted on",
		"t.ks:3: warning: network: --activate is not acted on",
		"t.ks:1: warning: partition: --grow is not acted on",
		"t.ks:1: warning: partition: --ondisk is not acted on",
		"t.ks:4: warning: repo: --install is not acted on",
		"t.ks:5: warning: %packages: --multilib is not acted on",
		"t.ks:7: warning: %packages: --default is not acted on",
	};
	autoptr(ks_doc) doc = parse_good(
		"partition / --fstype=ext4 --fsoptions=discard --size=100 --grow --ondrive=sda\n"
		"bootloader --append=quiet --timeout=1 --location=none\n"
		"network --device=link --activate --bootproto=dhcp\n"
		"repo --name=x --baseurl=http://h/ --install --cost=1 --sslcacert=a\n"
		"%packages --multilib --nocore\n%end\n%packages --default\nvim\n%end\n");

	(void)state;
	ks_add_support_warnings(doc, KS_FOR_IMAGE);
	assert_int_equal(ks_problem_count(doc), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_problem(doc, i, want[i]);
	assert_true(ks_given_only(ks_next(doc, "part", NULL), "size|fstype|fsoptions|grow|ondisk"));
	assert_false(ks_given_only(ks_next(doc, "part", NULL), "size|fstype|ondisk"));
}

static void an_install_names_options_too(void **state)
{
	static const char *const want[] = {
		"t.ks:1: warning: bootloader: --default is not acted on",
		"t.ks:1: warning: bootloader: --extlinux is not acted on",
		"t.ks:3: warning: part: --asprimary is not acted on",
		"t.ks:2: warning: text: --non-interactive is not acted on",
	};
	autoptr(ks_doc) doc = parse_good("bootloader --append=quiet --extlinux --default=x\n"
					 "text --non-interactive\n"
					 "part /boot --fstype=ext4 --size=100 --asprimary\n");

	(void)state;
	ks_add_support_warnings(doc, KS_FOR_INSTALL);
	assert_int_equal(ks_problem_count(doc), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_problem(doc, i, want[i]);
}

static void assert_options_exist(const struct ks_command *g, const char *names)
{
	autofree char *copy = xstrdup(names ? names : "");
	char *rest = copy;

	for (char *name; (name = str_next_word(&rest, "|"));)
		if (ks_opt_find(g, name) == g->opt_count)
			fail_msg("%s has no option '%s'", g->name, name);
}

/* The grammar's lists have only names that there are. */
static void image_options_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < ks_commands_count; i++) {
		assert_options_exist(&ks_commands[i], ks_commands[i].image_options);
		assert_options_exist(&ks_commands[i], ks_commands[i].install_ignored);
	}
}

/* Topics that are open, between commas. */
static char *open_questions(const char *text)
{
	struct ks_question questions[KS_QUESTIONS];
	autoptr(ks_doc) doc = parse_good(text);
	size_t open = ks_unattended(doc, questions);
	autostrbuf b = {0};

	for (size_t i = 0; i < KS_QUESTIONS; i++) {
		if (questions[i].answered)
			continue;
		strbuf_printf(&b, "%s%s", b.len > 0 ? "," : "", questions[i].topic);
		open--;
	}
	assert_int_equal(open, 0);
	return strbuf_take(&b);
}

#define ANSWERED                                                                                   \
	"text\nliveimg --url=file:///x\nclearpart --all\nzerombr\ntimezone UTC\nrootpw --lock\n"   \
	"reboot\n"

static void unattended_questions(void **state)
{
	static const char *const cases[][2] = {
		{"", "source,storage,erasing disks,time zone,administrator,language and keyboard,end"},
		{ANSWERED "autopart\n", ""},
		{ANSWERED "part / --size=1\n", ""},
		{ANSWERED "logvol / --vgname=v --name=n --size=1\n", ""},
		{ANSWERED "part /home\n", "storage"},
		{ANSWERED "autopart --encrypted\n", "encryption"},
		{ANSWERED "autopart --encrypted --passphrase=x\n", ""},
		{ANSWERED "autopart\nliveimg --url=https://h/x\n", "network"},
		{ANSWERED "autopart\nliveimg --url=https://h/x\nnetwork --hostname=h\n", "network"},
		{ANSWERED "autopart\nliveimg --url=https://h/x\nnetwork --device=link\n", ""},
		{ANSWERED "autopart\nfirstboot --reconfig\n", "first boot"},
		{ANSWERED "autopart\nmediacheck\n", "end"},
		{ANSWERED "autopart\ngraphical\n", "language and keyboard"},
		{ANSWERED "autopart\ngraphical\nlang a\nkeyboard us\n", ""},
		{"cmdline\nliveimg --url=/x\nmount a /\ntimezone X\n"
		 "user --name=a --groups=wheel --password=p\nhalt\n",
			""},
		{"cmdline\nliveimg --url=/x\nmount a /\ntimezone X\n"
		 "user --name=a --groups='adm,sudo(27)' --password=p\nhalt\n",
			""},
		{"cmdline\nliveimg --url=/x\nmount a /\ntimezone X\n"
		 "user --name=a --groups=sudoers --password=p\nhalt\n",
			"administrator"},
		{"cmdline\nurl --url=http://x\nnetwork --device=e\nautopart\nclearpart --linux\n"
		 "timezone --utc\nuser --name=a --groups=wheel --password=p --lock\nhalt\n",
			"source,erasing disks,time zone,administrator"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *got = open_questions(cases[i][0]);

		assert_string_equal(got, cases[i][1]);
	}
}

static void json_is_ascii_and_complete(void **state)
{
	autoptr(ks_doc) doc = parse_good("lang \xff\nservices --enabled=a,b\n%pre\nx\n%end\n");
	autofree char *json = ks_json(doc);

	(void)state;
	assert_non_null(strstr(json, "\\uFFFD"));
	assert_non_null(strstr(json, "\"enabled\": ["));
	assert_non_null(strstr(json, "\"section\": \"%pre\""));
}

static void secrets_are_taken_out(void **state)
{
	static const char *const cases[][2] = {
		{"lang C # as it is\n", "lang C # as it is\n"},
		{"rootpw --iscrypted $6$x$y # mine\n", "rootpw --iscrypted REMOVED\n"},
		{"rootpw -- --odd\n", "rootpw -- REMOVED\n"},
		{"rootpw --lock\n", "rootpw --lock\n"},
		{"user --name=a --password 'b c' --gecos=\"A B\"\n",
			"user --name=a --password REMOVED '--gecos=A B'\n"},
		{"user --name=a --passw=b", "user --name=a --passw=REMOVED\n"},
		{"user --name=a --plaintext\n", "user --name=a --plaintext\n"},
		{"sshpw --username=a secret --plaintext\n",
			"sshpw --username=a REMOVED --plaintext\n"},
		{"bootloader --append=quiet --password=grub.pbkdf2.sha512.1.a.b\n",
			"bootloader --append=quiet --password=REMOVED\n"},
		{"bootloader --md5pass=x\n", "bootloader --md5pass=REMOVED\n"},
		{"part / --size=1 --encrypted --passphrase=x\n",
			"part / --size=1 --encrypted --passphrase=REMOVED\n"},
		{"logvol / --passphrase=x --backuppassphrase\n",
			"logvol / --passphrase=REMOVED --backuppassphrase\n"},
		{"raid / --passphrase x\n", "raid / --passphrase REMOVED\n"},
		{"autopart --passphrase=x\n", "autopart --passphrase=REMOVED\n"},
		{"network --wepkey=1 --wpakey=2\n", "network --wepkey=REMOVED --wpakey=REMOVED\n"},
		{"iscsi --user=u --password=x --reverse-password=y\n",
			"iscsi --user=u --password=REMOVED --reverse-password=REMOVED\n"},
		{"rhsm --organization=1 --activation-key=k\n",
			"rhsm --organization=1 --activation-key=REMOVED\n"},
		{"rdp --username=a --password=b\n", "rdp --username=a --password=REMOVED\n"},
		{"vnc --password=b --host=c\n", "vnc REMOVED\n"},
		{"realm join --one-time-password=x d\n", "realm REMOVED\n"},
		{"liveimg --url=http://u:p@h/x@y\n", "liveimg --url=http://REMOVED@h/x@y\n"},
		{"%include https://u:p@h/x\n", "%include https://REMOVED@h/x\n"},
		{"url --proxy=http://h/a@b\n", "url --proxy=http://h/a@b\n"},
		{"#rootpw old\n", "# rootpw REMOVED\n"},
		{"# it's prose\n", "# it's prose\n"},
		{"# rootpw 'old\n", "# (left out: a line that cannot be read)\n"},
		{"rootpw 'old\n", "# (left out: a line that cannot be read)\n"},
		{"%post\nrootpw x\n%end\nrootpw x\n", "%post\nrootpw x\n%end\nrootpw REMOVED\n"},
		{"%packages\n%include http://u:p@h/\na\n%end\n",
			"%packages\n%include http://REMOVED@h/\na\n%end\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *got = ks_without_secrets(cases[i][0], strlen(cases[i][0]));

		assert_string_equal(got, cases[i][1]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_quoted_as_in_a_shell),
		cmocka_unit_test(unbalanced_quotes_fail),
		cmocka_unit_test(numbers_are_python_ints),
		cmocka_unit_test(other_numbers_are_refused),
		cmocka_unit_test(paths_are_normalised),
		cmocka_unit_test(lines_end_as_in_python),
		cmocka_unit_test(model_gives_values),
		cmocka_unit_test(defaults_of_flags),
		cmocka_unit_test(all_errors_are_found),
		cmocka_unit_test(errors_are_capped),
		cmocka_unit_test(sections_are_kept),
		cmocka_unit_test(includes_are_relative_to_the_file),
		cmocka_unit_test(include_that_opens_a_section),
		cmocka_unit_test(include_cycles_are_refused),
		cmocka_unit_test(missing_include),
		cmocka_unit_test(included_urls_need_a_fetcher),
		cmocka_unit_test(reading_problems_are_errors),
		cmocka_unit_test(nul_bytes_are_errors),
		cmocka_unit_test(support_warnings_name_what_has_no_effect),
		cmocka_unit_test(every_option_is_acted_on_or_named),
		cmocka_unit_test(an_install_names_options_too),
		cmocka_unit_test(image_options_exist),
		cmocka_unit_test(unattended_questions),
		cmocka_unit_test(secrets_are_taken_out),
		cmocka_unit_test(json_is_ascii_and_complete),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
