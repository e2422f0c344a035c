/* SPDX-License-Identifier: Apache-2.0 */
/* Archives for the initramfs, byte for byte. */
#include <sys/stat.h>

#include "fmt/cpio.h"
#include "test.h"

#define ZERO "00000000"

static void each_header_is_as_the_kernel_reads_it(void **state)
{
	/* Magic, inode, mode, uid, gid, links, mtime, size, four devices, name, checksum. */
	static const char want[] = "070701" ZERO "000041ed" ZERO ZERO
				   "00000001" ZERO ZERO ZERO ZERO ZERO ZERO "00000004" ZERO
				   "dir\0\0\0"
				   "070701" ZERO "000081a4" ZERO ZERO "00000001" ZERO
				   "00000005" ZERO ZERO ZERO ZERO "00000006" ZERO
				   "dir/f\0hello\0\0\0";
	autostrbuf b = {0};

	(void)state;
	cpio_add(&b, "dir", S_IFDIR | 0755, "", 0);
	cpio_add(&b, "dir/f", S_IFREG | 0644, "hello", 5);
	assert_int_equal(b.len, sizeof(want) - 1);
	assert_memory_equal(b.data, want, b.len);
}

static void the_end_fills_a_block(void **state)
{
	autostrbuf b = {0};

	(void)state;
	cpio_end(&b);
	assert_int_equal(b.len, 512);
	assert_string_equal(b.data + 110, "TRAILER!!!");
	assert_int_equal(b.data[511], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_header_is_as_the_kernel_reads_it),
		cmocka_unit_test(the_end_fills_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
