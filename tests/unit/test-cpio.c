/* SPDX-License-Identifier: Apache-2.0 */
/* Archives for the initramfs, byte for byte. */
#include <sys/stat.h>

#include "base/xalloc.h"
#include "fmt/cpio-read.h"
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

struct scene {
	const char *data;
	size_t len, at;
	struct strbuf seen;
};

static int read_scene(void *ctx, void *buf, size_t len, size_t *got, struct err *e)
{
	struct scene *s = ctx;

	(void)e;
	*got = MIN(len, s->len - s->at);
	memcpy(buf, s->data + s->at, *got);
	s->at += *got;
	return 0;
}

static void see(void *ctx, const char *path, uint64_t size, const char *data)
{
	struct scene *s = ctx;

	strbuf_printf(&s->seen, "%s %d %.8s|", path, (int)size, data ? data : "(large)");
}

static int walk(
	const struct strbuf *b, size_t len, struct strbuf *seen, uint64_t *rest, struct err *e)
{
	struct scene s = {.data = b->data, .len = len};
	const struct cpio_walk w = {.read = read_scene, .visit = see, .ctx = &s};
	int r = cpio_walk(&w, rest, e);

	*seen = s.seen;
	return r;
}

static void archives_behind_each_other_are_read(void **state)
{
	autofree char *large = xcalloc(1, CPIO_SMALL_BYTES + 1);
	autostrbuf b = {0}, seen = {0};
	uint64_t rest = 0;
	struct err e = {0};

	(void)state;
	memset(large, 'x', CPIO_SMALL_BYTES + 1);
	cpio_add(&b, "./one", S_IFREG | 0644, "12345", 5);
	cpio_end(&b);
	cpio_add(&b, "/large", S_IFREG | 0644, large, CPIO_SMALL_BYTES + 1);
	cpio_add(&b, "dir", S_IFDIR | 0755, "", 0);
	cpio_end(&b);
	size_t end = b.len;
	strbuf_add(&b, "\x1f\x8b", 2);
	assert_ok(walk(&b, b.len, &seen, &rest, &e), e);
	assert_string_equal(seen.data, "one 5 12345|large 1048577 (large)|dir 0 |");
	assert_int_equal(rest, end);
}

static void what_is_cut_off_or_damaged_is_refused(void **state)
{
	autostrbuf b = {0};

	(void)state;
	cpio_add(&b, "one", S_IFREG | 0644, "12345", 5);
	for (size_t len = 1; len < 110 + 4 + 5; len++) {
		autostrbuf seen = {0};
		uint64_t rest = 0;
		struct err e = {0};

		assert_fails(walk(&b, len, &seen, &rest, &e), EBADMSG, e, "the archive is cut off");
	}
	for (size_t i = 1; i < 6; i++) {
		autostrbuf seen = {0};
		uint64_t rest = 0;
		struct err e = {0};
		char old = b.data[i];

		b.data[i] = 'x';
		assert_fails(walk(&b, b.len, &seen, &rest, &e), EBADMSG, e,
			"not a cpio archive, or a damaged one");
		b.data[i] = old;
	}
}

/* Sizes of 4 GiB and names without end, as a hostile archive has them. */
static void numbers_out_of_range(void **state)
{
	static const size_t fields[] = {54, 94};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		autostrbuf b = {0}, seen = {0};
		uint64_t rest = 0;
		struct err e = {0};

		cpio_add(&b, "one", S_IFREG | 0644, "12345", 5);
		memset(b.data + fields[i], 'f', 8);
		assert_int_equal(walk(&b, b.len, &seen, &rest, &e), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_header_is_as_the_kernel_reads_it),
		cmocka_unit_test(the_end_fills_a_block),
		cmocka_unit_test(archives_behind_each_other_are_read),
		cmocka_unit_test(what_is_cut_off_or_damaged_is_refused),
		cmocka_unit_test(numbers_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
