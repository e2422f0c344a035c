/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <errno.h>
#include <string.h>

#include "vm/disk.h"
#include "vm/domain.h"

/* A file of the folder with text at off. */
static char *make(const char *name, const char *text, size_t off)
{
	autofree char *data = xcalloc(1, off + strlen(text) + 1);
	char *path = xasprintf("%s/%s", folder, name);
	struct err e = {0};

	memcpy(data + off, text, strlen(text));
	assert_ok(file_replace(path, data, off + strlen(text), 0600, &e), e);
	return path;
}

static enum disk_kind kind_of(const char *path)
{
	enum disk_kind kind;
	struct err e = {0};

	assert_ok(disk_find_kind(path, &kind, &e), e);
	return kind;
}

static void kinds_by_name_and_content(void **state)
{
	autofree char *squashfs = make("a", "hsqs", 0);
	autofree char *disk = make("b", "\x55\xaa", 510);
	autofree char *iso = make("c", "CD001", 32769);
	autofree char *named = make("d.qcow2", "hsqs", 0);
	autofree char *nothing = make("e", "", 0);
	autofree char *cut = make("f", "\x55", 510);
	autofree char *missing = xasprintf("%s/none", folder);
	autofree char *said = xasprintf("%s: No such file or directory", missing);
	enum disk_kind kind;
	struct err e = {0};

	(void)state;
	assert_int_equal(kind_of(folder), DISK_IMAGE);
	assert_int_equal(kind_of(squashfs), DISK_IMAGE);
	assert_int_equal(kind_of(disk), DISK_DISK);
	assert_int_equal(kind_of(iso), DISK_MEDIUM);
	assert_int_equal(kind_of(named), DISK_DISK);
	assert_int_equal(kind_of(nothing), DISK_IMAGE);
	assert_int_equal(kind_of(cut), DISK_IMAGE);
	assert_fails(disk_find_kind(missing, &kind, &e), ENOENT, e, said);
}

static struct domain_spec spec_of(const char *name, const char *disk)
{
	return (struct domain_spec){.name = name,
		.disk = disk,
		.memory_bytes = 2 * GIB,
		.cpus = 2,
		.uri = "qemu:///system"};
}

static void description_of_hostile_names(void **state)
{
	autofree char *disk = make("a'b<&>\"\xc3\xa4.qcow2", "", 0);
	const struct domain_spec spec = spec_of("<x>&'\"]]>\xf0\x9f\x98\x80", disk);
	autofree char *xml = NULL;
	autofree char *want = xasprintf(
		"<source file='%s/a&apos;b&lt;&amp;&gt;\"\xc3\xa4.qcow2'/>", folder);
	struct err e = {0};

	(void)state;
	assert_ok(domain_describe(&spec, &xml, &e), e);
	assert_non_null(strstr(xml, "<name>&lt;x&gt;&amp;&apos;\"]]&gt;\xf0\x9f\x98\x80</name>"));
	assert_non_null(strstr(xml, want));
	assert_non_null(strstr(xml, "type='qcow2' discard='unmap'"));
	assert_non_null(strstr(xml, "<source network='default'/>"));
	assert_null(strstr(xml, "<loader"));
}

static void names_that_xml_cannot_hold(void **state)
{
	static const char *const bad[] = {"a\nb", "\x01", "\x7f", "\x80", "\xc3", "\xc0\xaf",
		"\xed\xa0\x80", "\xef\xbf\xbe", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xff"};
	autofree char *disk = make("disk", "", 0);
	autofree char *xml = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct domain_spec spec = spec_of(bad[i], disk);
		struct err e = {0};

		assert_fails(domain_describe(&spec, &xml, &e), EINVAL, e,
			"the name has a control character or is not UTF-8, which libvirt cannot "
			"hold");
	}
}

static void names_and_sizes_that_libvirt_refuses(void **state)
{
	autofree char *disk = make("disk", "", 0);
	autofree char *xml = NULL;
	struct domain_spec spec = spec_of("", disk);
	struct err e = {0};

	(void)state;
	assert_fails(domain_describe(&spec, &xml, &e), EINVAL, e,
		"bad name '': 1 to 255 bytes without '/' are needed");
	spec.name = "../x";
	assert_fails(domain_describe(&spec, &xml, &e), EINVAL, e,
		"bad name '../x': 1 to 255 bytes without '/' are needed");
	spec = spec_of("n", disk);
	spec.cpus = 1000;
	assert_fails(domain_describe(&spec, &xml, &e), EINVAL, e, "bad number of processors 1000");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_by_name_and_content),
		cmocka_unit_test(description_of_hostile_names),
		cmocka_unit_test(names_that_xml_cannot_hold),
		cmocka_unit_test(names_and_sizes_that_libvirt_refuses),
	};

	return cmocka_run_group_tests_name("domain", tests, make_folder, drop_folder);
}
