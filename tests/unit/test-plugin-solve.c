/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "folder.h"
#include "plugin/solve.h"

#define PACKAGE(name, version, more)                                                               \
	"Package: " name "\nVersion: " version "\nArchitecture: amd64\n" more "Size: 3\n"          \
	"SHA256: " SHA "\nFilename: ./" name ".deb\nDescription: test\n\n"
#define INSTALLED(name, version, more)                                                             \
	"Package: " name "\nStatus: install ok installed\nVersion: " version                       \
	"\nArchitecture: amd64\n" more "Description: test\n more\n\n"
#define SHA "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

static const char status[] = INSTALLED("libc6", "2.41-1", "") INSTALLED("base", "1:1.0",
	"") "Package: removed\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n" INSTALLED("mail-a",
	"1", "Provides: mail\n");

static const char index_text[] = PACKAGE("libc6", "2.41-2", "") PACKAGE("removed", "1", "") PACKAGE(
	"gdb", "2:16.3-1",
	"Depends: libc6 (>= 2.30), libbabel, mail, tiny:any | none\n"
	"Recommends: gdb-doc\n") PACKAGE("libbabel", "1.0", "Depends: removed\n")
	PACKAGE("gdb-doc", "1", "") PACKAGE("libbabel", "1.1", "Depends: removed\n") PACKAGE("tiny",
		"1", "Multi-Arch: allowed\n") PACKAGE("newer", "1", "Depends: libc6 (>= 2.41-2)\n")
		PACKAGE("broken", "1", "Depends: nowhere (>= 3)\n")
			PACKAGE("enemy", "1", "Conflicts: base\n")
				PACKAGE("breaker", "1", "Breaks: base (<< 2:0)\n")
					PACKAGE("mail-b", "1", "Provides: mail\nConflicts: mail\n");

static int solve(const char *names, struct plugin_needs *out, struct err *e)
{
	autofree char *path = xasprintf("%s/Packages", folder);
	autofree char *copy = xstrdup(names);
	struct plugin_solve_spec spec = {.status = status, .arch = "amd64"};
	char *rest = copy;
	int r;

	assert_ok(file_replace(path, index_text, strlen(index_text), 0644, e), *e);
	strv_add(&spec.indexes, path);
	for (char *name; (name = str_next_word(&rest, " "));)
		strv_add(&spec.names, name);
	r = plugin_solve(&spec, out, e);
	strv_fini(&spec.indexes);
	strv_fini(&spec.names);
	return r;
}

static void assert_needs(const char *names, const char *want)
{
	auto_plugin_needs n = {0};
	autostrbuf b = {0};
	struct err e = {0};

	assert_ok(solve(names, &n, &e), e);
	for (size_t i = 0; i < n.count; i++)
		strbuf_printf(
			&b, "%s%s %s", i > 0 ? ", " : "", n.items[i].name, n.items[i].version);
	assert_string_equal(b.data ? b.data : "", want);
}

static void exactly_what_is_missing_is_needed(void **state)
{
	(void)state;
	assert_needs("tiny", "tiny 1");
	assert_needs("gdb", "gdb 2:16.3-1, libbabel 1.1, removed 1, tiny 1");
	assert_needs("gdb tiny", "gdb 2:16.3-1, libbabel 1.1, removed 1, tiny 1");
	assert_needs("base", "");
	assert_needs("libc6", "");
}

static void what_the_image_has_is_said(void **state)
{
	auto_plugin_needs n = {0};
	struct err e = {0};
	uint8_t sum[SHA256_BYTES];

	(void)state;
	assert_ok(solve("base tiny", &n, &e), e);
	assert_int_equal(n.present.count, 1);
	assert_string_equal(n.present.items[0], "base");
	assert_string_equal(n.items[0].arch, "amd64");
	assert_true(n.items[0].has_sha256);
	assert_ok(hex_parse(SHA, sum, sizeof(sum), &e), e);
	assert_memory_equal(n.items[0].sha256, sum, sizeof(sum));
}

static void what_does_not_fit_is_explained(void **state)
{
	static const struct {
		const char *names;
		int code;
		const char *error;
	} cases[] = {
		{"nothing", ENOENT,
			"no package 'nothing': neither in the image nor in the repositories"},
		{"tiny broken", ENOTUNIQ,
			"the packages do not fit the image: nothing provides nowhere >= 3 "
			"needed by broken-1.amd64"},
		{"newer", ENOTUNIQ,
			"the packages do not fit the image: cannot install both "
			"libc6-2.41-2.amd64 and libc6-2.41-1.amd64; package newer-1.amd64 requires "
			"libc6 >= 2.41-2, but none of the providers can be installed"},
		{"enemy", ENOTUNIQ,
			"the packages do not fit the image: package enemy-1.amd64 conflicts "
			"with base provided by base-1:1.0.amd64"},
		{"breaker", ENOTUNIQ,
			"the packages do not fit the image: package breaker-1.amd64 conflicts "
			"with base << 2:0 provided by base-1:1.0.amd64"},
		{"mail-b", ENOTUNIQ,
			"the packages do not fit the image: package mail-b-1.amd64 conflicts "
			"with mail provided by mail-a-1.amd64"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_plugin_needs n = {0};
		struct err e = {0};

		assert_fails(solve(cases[i].names, &n, &e), cases[i].code, e, cases[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_what_is_missing_is_needed),
		cmocka_unit_test(what_the_image_has_is_said),
		cmocka_unit_test(what_does_not_fit_is_explained),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
