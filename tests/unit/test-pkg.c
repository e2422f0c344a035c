/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "ks/ks.h"
#include "pkg/apt-index.h"
#include "pkg/apt-say.h"
#include "pkg/apt-setup.h"
#include "pkg/deb822.h"
#include "pkg/groups.h"
#include "pkg/pkg.h"

static int parse(const char *text, struct pkg_request **out, struct err *e)
{
	autoptr(ks_doc) doc = NULL;
	int r = ks_parse_text("dir/x.ks", text, strlen(text), NULL, &doc, e);

	assert_ok(r, *e);
	assert_int_equal(ks_error_count(doc), 0);
	return pkg_request_from_ks(doc, out, e);
}

static void request_holds_what_the_kickstart_says(void **state)
{
	(void)state;
	autoptr(pkg_request) req = NULL;
	struct err e = {0};

	assert_ok(parse("repo --name=late --baseurl=http://l/late/ --suite=s --cost=2000 "
			"--unsigned --components=main,contrib --excludepkgs=a*,b\n"
			"url --url=https://h/debian --suite=trixie --unsigned --proxy=http://p:1\n"
			"%packages --excludedocs --exclude-weakdeps\nvim\n@base\n-emacs\n%end\n",
			  &req, &e),
		e);
	assert_int_equal(req->repo_count, 2);
	assert_string_equal(req->repos[0].baseurl, "https://h/debian");
	assert_string_equal(req->repos[0].components.items[0], "main");
	assert_string_equal(req->repos[0].proxy, "http://p:1");
	assert_string_equal(req->repos[1].name, "late");
	assert_string_equal(req->repos[1].baseurl, "http://l/late");
	assert_int_equal(req->repos[1].components.count, 2);
	assert_int_equal(req->repos[1].excludepkgs.count, 2);
	assert_true(req->repos[1].is_unsigned);
	assert_int_equal(req->repos[1].line, 1);
	assert_int_equal(req->wish_count, 4);
	assert_string_equal(req->wishes[0].name, "core");
	assert_true(req->wishes[0].is_group);
	assert_string_equal(req->wishes[2].name, "vim");
	assert_true(req->wishes[3].is_excluded);
	assert_true(req->excludedocs);
	assert_true(req->exclude_weakdeps);
	assert_false(req->ignoremissing);

	autofree char *sources = apt_sources_text(req);
	autofree char *want = xasprintf("deb [arch=%s trusted=yes] https://h/debian trixie main\n"
					"deb [arch=%s trusted=yes] http://l/late s main contrib\n",
		req->arch, req->arch);
	assert_string_equal(sources, want);

	/* On a node they are there, and off. */
	autofree char *image = apt_image_sources_text(req);
	assert_string_equal(image,
		"Enabled: no\nTypes: deb\nURIs: https://h/debian\nSuites: trixie\nComponents: main\n\n"
		"Enabled: no\nTypes: deb\nURIs: http://l/late\nSuites: s\nComponents: main contrib\n\n");
}

static void wrong_lines_are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"%packages\nvim\n%end\n", "no repo or url line: nothing to install from"},
		{"repo --name=x --baseurl=ftp://h/d --unsigned\n",
			"dir/x.ks:1: 'ftp://h/d' is neither http:, https: nor file:"},
		{"\nrepo --name=x --metalink=http://h/m\n",
			"dir/x.ks:2: --mirrorlist and --metalink are for RPM only"},
		{"repo --name=x --baseurl=file:no/such --unsigned\n",
			"dir/x.ks:1: no folder 'dir/no/such' for 'file:no/such'"},
		{"repo --name=x --baseurl=http://h/d --suite=s --signedby=no-such.gpg\n",
			"dir/x.ks:1: no keyring 'no-such.gpg'"},
		{"repo --name=x --baseurl=http://h/d --suite=s --signedby=a --unsigned\n",
			"dir/x.ks:1: --unsigned and --signedby exclude each other"},
		{"repo --name=x --baseurl=http://h/d --components=main --unsigned\n",
			"dir/x.ks:1: --components needs --suite"},
		{"repo --name=x --baseurl=http://h/d --suite='s]' --unsigned\n",
			"dir/x.ks:1: ']' may not be in suite 's]'"},
		{"repo --name=x --baseurl=https://h/d --unsigned --sslcacert=no/ca.pem\n",
			"dir/x.ks:1: no file 'dir/no/ca.pem' of --sslcacert"},
		{"url --url=https://h:1/d --unsigned\n"
		 "repo --name=x --baseurl=https://h/e --unsigned --noverifyssl\n",
			"dir/x.ks:2: --proxy, --noverifyssl and --ssl... must be as on dir/x.ks:1: "
			"both lines are about host 'h'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoptr(pkg_request) req = NULL;
		struct err e = {0};

		assert_fails(parse(cases[i].text, &req, &e), EINVAL, e, cases[i].message);
	}
}

static void wishes_know_their_lines(void **state)
{
	char folder[] = "/tmp/bedplate-test-XXXXXX";
	autoptr(pkg_request) req = NULL;
	static const char included[] = "# a comment\nless\n-emacs\n";
	struct err e = {0};

	(void)state;
	assert_non_null(mkdtemp(folder));
	autofree char *more = xasprintf("%s/more", folder);
	autofree char *text = xasprintf("repo --name=x --baseurl=http://h/d --suite=s --unsigned\n"
					"%%packages --nocore\nvim\n@base\nvim\n"
					"%%include %s\n-@games\n%%end\n",
		more);
	assert_ok(file_replace(more, included, sizeof(included) - 1, 0644, &e), e);
	assert_ok(parse(text, &req, &e), e);
	const struct {
		const char *name, *file;
		unsigned line;
	} want[] = {
		{"base", "dir/x.ks", 4},
		{"less", more, 2},
		{"vim", "dir/x.ks", 5},
		{"games", "dir/x.ks", 7},
		{"emacs", more, 3},
	};
	assert_int_equal(req->wish_count, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_string_equal(req->wishes[i].name, want[i].name);
		assert_string_equal(req->wishes[i].file, want[i].file);
		assert_int_equal(req->wishes[i].line, want[i].line);
	}
	assert_ok(file_remove_tree(folder, &e), e);
}

static void transport_is_by_host(void **state)
{
	autoptr(pkg_request) req = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(parse("url --url=https://h/d --unsigned --sslcacert=/etc/passwd "
			"--sslclientcert=file:///etc/group --sslclientkey=/etc/hosts\n"
			"repo --name=x --baseurl=http://i:80/ --unsigned --noverifyssl --proxy=p\n"
			"%packages --timeout=5 --retries=0\n%end\n",
			  &req, &e),
		e);
	autofree char *text = apt_transport_text(req);
	assert_string_equal(text,
		"Acquire::Retries \"0\";\n"
		"Acquire::http::Timeout \"5\";\n"
		"Acquire::https::Timeout \"5\";\n"
		"Acquire::https::h::CAInfo \"/etc/passwd\";\n"
		"Acquire::https::h::SslCert \"/etc/group\";\n"
		"Acquire::https::h::SslKey \"/etc/hosts\";\n"
		"APT::Sandbox::User \"root\";\n"
		"Acquire::http::Proxy::i \"p\";\n"
		"Acquire::https::Proxy::i \"p\";\n"
		"Acquire::https::i::Verify-Peer \"false\";\n"
		"Acquire::https::i::Verify-Host \"false\";\n");
}

static void digest_follows_the_content_and_not_the_lines(void **state)
{
	(void)state;
	autoptr(pkg_request) a = NULL;
	autoptr(pkg_request) b = NULL;
	autoptr(pkg_request) c = NULL;
	struct err e = {0};
#define REPO "repo --name=x --baseurl=http://h/d --suite=s --unsigned\n"

	assert_ok(parse(REPO "%packages\nvim\n%end\n", &a, &e), e);
	assert_ok(parse("# comment\n\n" REPO "%packages\nvim\n%end\n", &b, &e), e);
	assert_ok(parse(REPO "%packages\nvim\nless\n%end\n", &c, &e), e);
	autofree char *x = pkg_request_digest(a);
	autofree char *y = pkg_request_digest(b);
	autofree char *z = pkg_request_digest(c);
	assert_string_equal(x, y);
	assert_string_not_equal(x, z);
}

static const char packages_text[] = "Package: bash\nEssential: yes\nVersion: 5\n\n"
				    "Package: vim\nProvides: editor (= 1), vi\n\n"
				    "Package: nano\nProvides: editor\nTask: writing, other\n\n"
				    "Package: vim\nVersion: 9\n\n"
				    "Package: vim-doc\n\n"
				    "Package: task-web\n";

static int expand(
	const struct pkg_wish *wishes, size_t count, struct pkg_request *req, struct err *e)
{
	autoptr(apt_index) x = apt_index_new();
	struct pkg_wish copy[8];

	for (size_t i = 0; i < count; i++)
		copy[i] = wishes[i];
	req->wishes = copy;
	req->wish_count = count;
	apt_index_add_text(x, packages_text, sizeof(packages_text) - 1);
	apt_index_sort(x);
	int r = apt_index_expand(x, req, e);
	req->wishes = NULL;
	req->wish_count = 0;
	return r;
}

#define WISH(...)                                                                                  \
	{                                                                                          \
		.file = (char[]){"x.ks"}, .line = 7, __VA_ARGS__                                   \
	}
#define NAME(s)                                                                                    \
	.name = (char[])                                                                           \
	{                                                                                          \
		s                                                                                  \
	}

static void wishes_become_names(void **state)
{
	const struct pkg_wish wishes[] = {
		WISH(NAME("vim*")),
		WISH(NAME("vi")),
		WISH(NAME("writing"), .is_group = true),
		WISH(NAME("web"), .is_group = true),
		WISH(NAME("vim-doc"), .is_excluded = true),
	};
	struct pkg_request req = {0};
	struct err e = {0};

	(void)state;
	assert_ok(expand(wishes, ARRAY_LEN(wishes), &req, &e), e);
	assert_int_equal(req.install.count, 3);
	assert_string_equal(req.install.items[0], "nano");
	assert_string_equal(req.install.items[1], "task-web");
	assert_string_equal(req.install.items[2], "vim");
	assert_int_equal(req.exclude.count, 1);
	assert_string_equal(req.exclude.items[0], "vim-doc");
	strv_fini(&req.install);
	strv_fini(&req.exclude);
}

static void wishes_that_cannot_be_are_refused(void **state)
{
	const struct {
		struct pkg_wish wish;
		int code;
		const char *message;
	} cases[] = {
		{WISH(.name = NULL), ENOENT, "x.ks:7: no package matches 'foo'"},
		{WISH(.name = NULL), ENOENT, "x.ks:7: no package matches 'q*'"},
		{WISH(.name = NULL, .is_group = true), ENOENT, "x.ks:7: no group matches '@games'"},
		{WISH(.name = NULL), ENOENT,
			"x.ks:7: 'editor' is virtual, name one that provides it: "},
		{WISH(.name = NULL, .is_excluded = true), EINVAL,
			"x.ks:7: 'bash' is essential and can not be left out"},
	};
	static char names[][8] = {"foo", "q*", "games", "editor", "bash"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pkg_wish wish = cases[i].wish;
		struct pkg_request req = {0};
		struct err e = {0};

		wish.name = names[i];
		assert_int_equal(expand(&wish, 1, &req, &e), -cases[i].code);
		assert_true(str_starts(e.msg, cases[i].message));
	}
}

static void ignoremissing_lets_a_name_go(void **state)
{
	const struct pkg_wish wishes[] = {WISH(NAME("foo")), WISH(NAME("nano"))};
	struct pkg_request req = {.ignoremissing = true};
	struct err e = {0};

	(void)state;
	assert_ok(expand(wishes, ARRAY_LEN(wishes), &req, &e), e);
	assert_int_equal(req.install.count, 1);
	strv_fini(&req.install);
	strv_fini(&req.exclude);
}

static void control_files_are_read_as_they_come(void **state)
{
	static const char *const names[] = {"Package", "Version"};
	static const char text[] = "\r\n\nPackage:  a \nDescription: x\n Version: no\nVersion: 1\n"
				   "junk\n\n\nVersion: 2";
	struct deb822 d = {.at = text, .end = text + sizeof(text) - 1};
	struct slice v[2];

	(void)state;
	assert_true(deb822_next(&d, names, v, 2));
	assert_true(slice_eq(v[0], "a"));
	assert_true(slice_eq(v[1], "1"));
	assert_true(deb822_next(&d, names, v, 2));
	assert_null(v[0].data);
	assert_true(slice_eq(v[1], "2"));
	assert_false(deb822_next(&d, names, v, 2));
}

static void groups_name_packages(void **state)
{
	(void)state;
	for (size_t i = 0; i < pkg_group_count; i++) {
		assert_true(strlen(pkg_groups[i].packages) > 0);
		assert_ptr_equal(pkg_group_find(pkg_groups[i].name), &pkg_groups[i]);
	}
	assert_null(pkg_group_find("no-such-group"));
}

static void failures_are_one_line(void **state)
{
	static const struct {
		const char *said, *message;
		int code;
	} cases[] = {
		{"Err:1 http://h/debian trixie InRelease\n  Could not resolve 'h'\n"
		 "E: Failed to fetch http://h/debian/dists/trixie/InRelease  Could not\n"
		 "E: Some index files failed to download.",
			"x.ks:4: archive 'http://h/debian trixie InRelease' unreachable: "
			"Could not resolve 'h'",
			EHOSTUNREACH},
		{"Err:1 http://h/debian trixie-updates InRelease\n  503",
			"x.ks:5: archive 'http://h/debian trixie-updates InRelease' unreachable: "
			"503",
			EHOSTUNREACH},
		{"E: Failed to fetch http://h/debian-security/dists/trixie/InRelease  503",
			"x.ks:6: archive 'http://h/debian-security/dists/trixie/InRelease' "
			"unreachable: 503",
			EHOSTUNREACH},
		{"W: GPG error: http://h/debian trixie InRelease: NO_PUBKEY 0E98404D386FA1D9\n"
		 "E: The repository 'http://h/debian trixie InRelease' is not signed.",
			"x.ks:4: bad signature: http://h/debian trixie InRelease: "
			"NO_PUBKEY 0E98404D386FA1D9",
			EKEYREJECTED},
		{"Err:2 http://h/debian trixie Release\n  404  Not Found\n"
		 "E: The repository 'http://h/debian trixie Release' does not have a Release file.",
			"x.ks:4: archive 'http://h/debian trixie Release' unreachable: "
			"404  Not Found",
			EHOSTUNREACH},
		{"E: The repository 'copy:/d ./ Release' is not signed.",
			"archive 'file:/d ./ Release' is not signed; --unsigned on its line would "
			"accept that",
			EKEYREJECTED},
		{"The following packages have unmet dependencies:\n"
		 " foo : Depends: bar but it is not installable\n"
		 "E: Unable to correct problems, you have held broken packages.",
			"'bar' is excluded in %packages, but needed: foo : Depends: bar but it is "
			"not installable",
			ENOENT},
		{"dpkg: error processing archive x: cannot write: No space left on device",
			"disk full: dpkg: error processing archive x: cannot write: No space left "
			"on device",
			ENOSPC},
		{"dpkg: error processing package foo (--configure):\n exit status 3",
			"dpkg: error processing package foo (--configure): exit status 3", EPROTO},
	};
	static char file[] = "x.ks", url[] = "http://h/debian", more[] = "http://h/debian-security";
	static char suite[] = "trixie", updates[] = "trixie-updates";
	struct pkg_repo repos[] = {
		{.baseurl = url, .suite = suite, .file = file, .line = 4},
		{.baseurl = url, .suite = updates, .file = file, .line = 5},
		{.baseurl = more, .suite = suite, .file = file, .line = 6},
	};
	struct pkg_request req = {.repos = repos, .repo_count = ARRAY_LEN(repos)};

	(void)state;
	strv_add(&req.exclude, "bar");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree struct apt_said *said = xcalloc(1, sizeof(*said));
		autofree char *text = xstrdup(cases[i].said);
		char *rest = text;
		struct err e = {0};

		for (char *line; (line = str_next_word(&rest, "\n"));)
			apt_said_line(said, line);
		assert_fails(apt_said_error(said, &req, -EPROTO, &e), cases[i].code, e,
			cases[i].message);
	}
	strv_fini(&req.exclude);
}

static void preferences_keep_packages_out(void **state)
{
	struct apt_target target = {.uri = (char[]){"http://h/d/"},
		.suite = (char[]){"s"},
		.origin = (char[]){"O"},
		.label = (char[]){"L"},
		.codename = (char[]){"N"},
		.file = (char[]){""}};
	struct pkg_repo repo = {.baseurl = (char[]){"http://h/d"}, .suite = (char[]){"s"}};
	struct pkg_request req = {.repos = &repo, .repo_count = 1};
	struct err e = {0};

	(void)state;
	strv_add(&req.exclude, "foo");
	strv_add(&repo.includepkgs, "bar*");
	autofree char *text = NULL;
	assert_ok(apt_preferences_text(&req, &target, 1, &text, &e), e);
	assert_string_equal(text,
		"Package: foo\nPin: version *\nPin-Priority: -1\n\n"
		"Package: bar*\nPin: release o=O,l=L,n=N\nPin-Priority: 500\n\n"
		"Package: *\nPin: release o=O,l=L,n=N\nPin-Priority: -1\n\n");
	strv_fini(&req.exclude);
	strv_fini(&repo.includepkgs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_holds_what_the_kickstart_says),
		cmocka_unit_test(wrong_lines_are_named),
		cmocka_unit_test(wishes_know_their_lines),
		cmocka_unit_test(transport_is_by_host),
		cmocka_unit_test(digest_follows_the_content_and_not_the_lines),
		cmocka_unit_test(wishes_become_names),
		cmocka_unit_test(wishes_that_cannot_be_are_refused),
		cmocka_unit_test(ignoremissing_lets_a_name_go),
		cmocka_unit_test(control_files_are_read_as_they_come),
		cmocka_unit_test(groups_name_packages),
		cmocka_unit_test(failures_are_one_line),
		cmocka_unit_test(preferences_keep_packages_out),
	};

	return cmocka_run_group_tests_name("pkg", tests, NULL, NULL);
}
