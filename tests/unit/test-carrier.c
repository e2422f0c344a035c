/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the package that carries an image, and its entry in an image's own package database. */
#include <fcntl.h>

#include "base/cmd.h"
#include "folder.h"
#include "image/carrier.h"
#include "image/manifest.h"
#include "image/package-db.h"

#define STATUS "/var/lib/dpkg/status"
#define OTHER                                                                                      \
	"Package: other\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"            \
	"Maintainer: x\nDescription: x\n"

static void names_are_debian_ones(void **state)
{
	static const struct {
		const char *image, *want;
	} names[] = {{"node", "node-image-update"}, {"My_Node:2~x", "my-node-2-x-image-update"}},
	  versions[] = {{"1.0", "1.0"}, {"20261121", "20261121"}, {"1:2_3", "1+2+3"},
		  {"v1", "0+v1"}, {"1-", "1-0"}, {"1~rc1-2", "1~rc1-2"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *got = carrier_package_name(names[i].image);

		assert_string_equal(got, names[i].want);
	}
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		autofree char *got = carrier_package_version(versions[i].image);

		assert_string_equal(got, versions[i].want);
	}
}

/* A tree whose database has moved, as in an image; status NULL: without one. */
static int open_tree(const char *status)
{
	struct err e = {0};

	assert_ok(file_remove_tree(folder, &e), e);
	assert_ok(file_make_folder(folder, 0755, &e), e);
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (status) {
		autofree char *link = xasprintf("%s/var/lib/dpkg", folder);

		assert_ok(file_write_in_root(fd, "/usr/lib/bedplate/dpkg/status", status, 0644, &e),
			e);
		assert_ok(file_make_folder_in_root(fd, "/usr/lib/bedplate/dpkg/info", &e), e);
		assert_ok(file_make_folder_in_root(fd, "/var/lib", &e), e);
		assert_int_equal(symlink("../../usr/lib/bedplate/dpkg", link), 0);
	}
	return fd;
}

static char *status_of(int root_fd)
{
	char *text = NULL;
	struct err e = {0};

	assert_ok(file_read_in_root(root_fd, STATUS, MIB, &text, &e), e);
	return text;
}

static void it_is_in_the_database(void **state)
{
	static const char *const before[] = {OTHER "\n", OTHER, "Package: other\nVersion: 1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		autofd int root_fd = open_tree(before[i]);
		automanifest m = {0};
		struct err e = {0};

		assert_ok(carrier_mark_tree(root_fd, "node", "1_0", &e), e);
		autofree char *text = status_of(root_fd);
		autofree char *list = NULL;
		assert_true(str_starts(text, before[i]));
		assert_ok(packages_parse(text, &m, &e), e);
		assert_int_equal(m.package_count, 2);
		assert_string_equal(m.packages[1].name, "node-image-update");
		assert_string_equal(m.packages[1].version, "1+0");
		assert_ok(file_read_in_root(root_fd, "/var/lib/dpkg/info/node-image-update.list",
				  100, &list, &e),
			e);
		assert_string_equal(list, "/.\n");
		assert_true(
			faccessat(root_fd, "usr/lib/bedplate/dpkg/info/node-image-update.md5sums",
				F_OK, 0) == 0);
		/* It is still a part of /usr, and once is enough. */
		assert_ok(carrier_mark_tree(root_fd, "node", "1_0", &e), e);
		autofree char *again = NULL;
		assert_ok(file_read_in_root(
				  root_fd, "/usr/lib/bedplate/dpkg/status", MIB, &again, &e),
			e);
		assert_string_equal(again, text);
	}
}

static void dpkg_can_read_it(void **state)
{
	autofd int root_fd = open_tree(OTHER "\n");
	autofree char *out = NULL;
	autocmd c = {0};
	struct err e = {0};

	(void)state;
	if (!cmd_exists("dpkg-query"))
		return;
	assert_ok(carrier_mark_tree(root_fd, "node", "1.0", &e), e);
	cmd_add(&c, "dpkg-query", NULL);
	cmd_addf(&c, "--admindir=%s/var/lib/dpkg", folder);
	cmd_add(&c, "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n", NULL);
	assert_ok(cmd_output(&c, &out, &e), e);
	assert_string_equal(out, "node-image-update 1.0 ii \nother 1 ii \n");
}

static void a_tree_without_dpkg_stays_as_it_is(void **state)
{
	autofd int root_fd = open_tree(NULL);
	autostrv names = {0};
	struct err e = {0};

	(void)state;
	assert_ok(carrier_mark_tree(root_fd, "node", "1.0", &e), e);
	assert_ok(file_list(folder, &names, &e), e);
	assert_int_equal(names.count, 0);
	assert_int_equal(e.code, 0);
}

static void somebodys_own_package_is_left_alone(void **state)
{
	static const char text[] = "Package: node-image-update\nVersion: 7\n\n";
	autofd int root_fd = open_tree(text);
	struct err e = {0};

	(void)state;
	assert_ok(carrier_mark_tree(root_fd, "node", "1.0", &e), e);
	autofree char *got = status_of(root_fd);
	assert_string_equal(got, text);
	/* Which is not one whose name only ends the same way. */
	autofd int other_fd = open_tree("X-Package: node-image-update\nPackage: x\nVersion: 1\n\n");
	assert_ok(carrier_mark_tree(other_fd, "node", "1.0", &e), e);
	autofree char *more = status_of(other_fd);
	assert_non_null(strstr(more, "\nPackage: node-image-update\nVersion: 1.0\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_debian_ones),
		cmocka_unit_test(it_is_in_the_database),
		cmocka_unit_test(dpkg_can_read_it),
		cmocka_unit_test(a_tree_without_dpkg_stays_as_it_is),
		cmocka_unit_test(somebodys_own_package_is_left_alone),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
