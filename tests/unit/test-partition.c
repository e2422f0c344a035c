/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables in files, looked at with sfdisk(8). */
#include "sys/partition.h"

#include <fcntl.h>
#include <jansson.h>

#include "base/cmd.h"
#include "base/hash.h"
#include "folder.h"

#define UUID_DISK  "11111111-2222-3333-4444-555555555555"
#define UUID_FIRST "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee1"

static char *new_file(const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, 64 * MIB), 0);
	return path;
}

static json_t *look(const char *path)
{
	autofree char *text = NULL;
	struct err e = {0};
	autocmd c = {0};

	cmd_add(&c, "sfdisk", "--json", path, NULL);
	assert_ok(cmd_output(&c, &text, &e), e);
	json_t *j = json_loads(text, 0, NULL);
	assert_non_null(j);
	return j;
}

static void check_part(json_t *j, size_t i, const char *want)
{
	json_t *part = json_array_get(
		json_object_get(json_object_get(j, "partitiontable"), "partitions"), i);
	autofree char *got = NULL;

	if (part) {
		const char *name = json_string_value(json_object_get(part, "name"));
		got = xasprintf("%s at %lld+%lld type %s uuid %s", name ? name : "-",
			json_integer_value(json_object_get(part, "start")),
			json_integer_value(json_object_get(part, "size")),
			json_string_value(json_object_get(part, "type")),
			json_string_value(json_object_get(part, "uuid")));
	}
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void make_two(const char *path)
{
	struct partition parts[] = {
		{1, MIB, MIB, PARTITION_TYPE_BIOS, "bedplate-bios", UUID_FIRST},
		{2, 2 * MIB, 20 * MIB, PARTITION_TYPE_EFI, "bedplate-efi",
			"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee2"},
	};
	struct partition_change c = {
		.create = true, .disk_uuid = UUID_DISK, .add = parts, .add_count = 2};
	struct err e = {0};

	assert_ok(partition_write(path, &c, &e), e);
}

static void a_table_is_as_asked_for(void **state UNUSED)
{
	autofree char *path = new_file("a"), *other = new_file("b");
	uint8_t sum[SHA256_BYTES], again[SHA256_BYTES];
	struct err e = {0};

	make_two(path);
	json_t *j = look(path);
	check_part(j, 0,
		"bedplate-bios at 2048+2048 type 21686148-6449-6E6F-744E-656564454649 uuid "
		"AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEE1");
	check_part(j, 1,
		"bedplate-efi at 4096+40960 type C12A7328-F81F-11D2-BA4B-00A0C93EC93B uuid "
		"AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEE2");
	check_part(j, 2, NULL);
	json_decref(j);

	make_two(other);
	assert_ok(sha256_file(path, sum, &e), e);
	assert_ok(sha256_file(other, again, &e), e);
	assert_memory_equal(sum, again, sizeof(sum));
}

static void a_partition_is_replaced_and_gets_a_uuid(void **state UNUSED)
{
	autofree char *path = new_file("c");
	static const unsigned gone[] = {2};
	struct partition part = {5, 30 * MIB, 4 * MIB, PARTITION_TYPE_DATA, NULL, ""};
	struct partition_change c = {
		.remove = gone, .remove_count = 1, .add = &part, .add_count = 1};
	struct err e = {0};

	make_two(path);
	assert_ok(partition_write(path, &c, &e), e);
	assert_int_equal(strlen(part.uuid), PARTITION_UUID_BYTES - 1);
	assert_int_equal(strspn(part.uuid, "0123456789abcdef-"), PARTITION_UUID_BYTES - 1);
	json_t *j = look(path);
	check_part(j, 0,
		"bedplate-bios at 2048+2048 type 21686148-6449-6E6F-744E-656564454649 uuid "
		"AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEE1");
	autofree char *upper = xstrdup(part.uuid);
	for (char *p = upper; *p; p++)
		if (*p >= 'a' && *p <= 'f')
			*p = (char)(*p - 'a' + 'A');
	autofree char *want = xasprintf(
		"- at 61440+8192 type 0FC63DAF-8483-4772-8E79-3D69D8477DE4 uuid %s", upper);
	check_part(j, 1, want);
	check_part(j, 2, NULL);
	json_decref(j);
}

/* What is refused leaves the file as it was. */
static void refused(const char *path, struct partition_change *c, int code, const char *words)
{
	uint8_t before[SHA256_BYTES], after[SHA256_BYTES];
	struct err e = {0};

	assert_ok(sha256_file(path, before, &e), e);
	assert_int_equal(partition_write(path, c, &e), -code);
	if (!strstr(e.msg, words))
		fail_msg("'%s' is not in '%s'", words, e.msg);
	assert_ok(sha256_file(path, after, &e), e);
	assert_memory_equal(before, after, sizeof(before));
}

static void what_does_not_fit_is_refused(void **state UNUSED)
{
	autofree char *path = new_file("d"), *empty = new_file("e");
	static const unsigned none[] = {7}, zero[] = {0};
	struct partition part = {3, 30 * MIB, 60 * MIB, PARTITION_TYPE_DATA, "x", ""};
	struct partition_change add = {.add = &part, .add_count = 1};
	struct partition_change remove = {.remove = none, .remove_count = 1};

	make_two(path);
	refused(path, &add, EINVAL, "no room for partition 3");
	part.size_bytes = 1000;
	refused(path, &add, EINVAL, "whole sectors of 512 bytes");
	part.size_bytes = 10 * MIB;
	part.start_bytes = 10 * MIB;
	refused(path, &add, EINVAL, "no room for partition 3");
	refused(path, &remove, EINVAL, "there is no partition 7");
	remove.remove = zero;
	refused(path, &remove, EINVAL, "there is no partition 0");
	refused(empty, &add, EINVAL, "there is no GUID partition table on it");
}

static void partitions_are_named_as_the_kernel_does(void **state UNUSED)
{
	autofree char *letter = partition_path("/dev/vda", 3),
		      *digit = partition_path("/dev/nvme0n1", 12);

	assert_string_equal(letter, "/dev/vda3");
	assert_string_equal(digit, "/dev/nvme0n1p12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_as_asked_for),
		cmocka_unit_test(a_partition_is_replaced_and_gets_a_uuid),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(partitions_are_named_as_the_kernel_does),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
