/* SPDX-License-Identifier: Apache-2.0 */
/* A base written to a plain file; the real thing, on dm-verity, is in tests/lab. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/str.h"
#include "folder.h"
#include "liveimg/base-write.h"

/* A live image around a file system with some content, of a size that ends in mid-sector. */
static void make_image(void)
{
	struct err e = {0};
	autocmd c = {0};

	cmd_add(&c, "sh", "-euc",
		"[ ! -e image ] || exit 0; mkdir -p tree t/LiveOS; seq 200000 >tree/numbers\n"
		"seq 500000 900000 >tree/more\n"
		"mke2fs -q -t ext4 -O ^has_journal -d tree t/LiveOS/rootfs.img 16M\n"
		"truncate -s +1234 t/LiveOS/rootfs.img\n"
		"mksquashfs t image -quiet -no-progress -comp zstd",
		NULL);
	c.cwd = folder;
	assert_ok(cmd_run(&c, &e), e);
}

static int write_to(const char *image, const char *name, uint64_t size, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", folder, image);
	autofree char *out = xasprintf("%s/%s", folder, name);
	struct manifest m = {.rootfs.size_bytes = size};
	autoptr(image) img = NULL;
	autofd int fd = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = image_open(path, &img, e);

	return r < 0 ? r : base_write(img, &m, fd, NULL, e);
}

static void assert_same(const char *a, const char *b)
{
	struct err e = {0};
	autocmd c = {0};

	cmd_add(&c, "cmp", a, b, NULL);
	c.cwd = folder;
	assert_ok(cmd_run(&c, &e), e);
}

static void bit_for_bit(void **state)
{
	struct err e = {0};

	(void)state;
	make_image();
	assert_ok(write_to("image", "out", 16 * MIB + 1234, &e), e);
	assert_same("out", "t/LiveOS/rootfs.img");
	assert_ok(write_to("t/LiveOS/rootfs.img", "plain", 16 * MIB + 1234, &e), e);
	assert_same("plain", "t/LiveOS/rootfs.img");
}

static void another_size_is_refused(void **state)
{
	struct err e = {0};
	struct stat st;

	(void)state;
	make_image();
	autofree char *out = xasprintf("%s/none", folder);
	assert_int_equal(write_to("image", "none", 16 * MIB, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "16778450 bytes, its manifest has 16777216"));
	assert_int_equal(stat(out, &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void damage_is_an_error(void **state)
{
	struct err e = {0};
	autocmd c = {0};

	(void)state;
	make_image();
	cmd_add(&c, "sh", "-euc",
		"cp image bad; dd if=/dev/urandom of=bad bs=1k count=50 seek=100 conv=notrunc "
		"status=none",
		NULL);
	c.cwd = folder;
	assert_ok(cmd_run(&c, &e), e);
	assert_int_equal(write_to("bad", "out", 16 * MIB + 1234, &e), -EBADMSG);
	assert_true(str_starts(e.msg, "writing the base: block "));
}

static void all_of_it_is_read(void **state)
{
	autofree char *path = xasprintf("%s/out", folder);
	struct err e = {0};

	(void)state;
	make_image();
	assert_ok(write_to("image", "out", 16 * MIB + 1234, &e), e);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(base_read_verified(fd, 16 * MIB, NULL, &e), e);
	assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	assert_fails(base_read_verified(fd, 32 * MIB, NULL, &e), ENODATA, e,
		"reading the base at 16778450: it is too short");
}

static void it_is_read_beside_other_work(void **state)
{
	autofree char *path = xasprintf("%s/out", folder);
	struct base_reading *rd = NULL;
	struct err e = {0};

	(void)state;
	make_image();
	assert_ok(write_to("image", "out", 16 * MIB + 1234, &e), e);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(base_reading_start(fd, 32 * MIB, &rd, &e), e);
	assert_fails(base_reading_wait(rd, NULL, &e), ENODATA, e,
		"reading the base at 16778450: it is too short");
	assert_int_equal(base_reading_wait(rd, NULL, &e), -ENODATA);
	base_reading_free(rd);
	assert_ok(base_reading_start(fd, 16 * MIB, &rd, &e), e);
	base_reading_free(rd);
	assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bit_for_bit),
		cmocka_unit_test(another_size_is_refused),
		cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(all_of_it_is_read),
		cmocka_unit_test(it_is_read_beside_other_work),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
