/* SPDX-License-Identifier: Apache-2.0 */
/* A file streamed out of images that mksquashfs has made, against the file. */
#include "ext4-scene.h"
#include "fmt/squashfs.h"

#define TEST_NAME(fn) cmocka_unit_test_setup_teardown(fn, scene_setup, scene_teardown)

static void run_shell(const struct scene *s, const char *script)
{
	struct err e = {0};
	autocmd c = {0};

	cmd_add(&c, "sh", "-euc", script, NULL);
	c.cwd = s->root;
	assert_ok(cmd_run(&c, &e), e);
}

/* What comes out: where the next piece may start, and its bytes in a file. */
struct sink {
	uint8_t *data; /* zeroed */
	uint64_t next, pieces, bytes;
	int fail_at; /* piece */
};

static int take(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct sink *k = ctx;

	assert_int_equal((uintptr_t)data % 4096, 0);
	assert_int_equal(off % SQUASHFS_STREAM_PIECE_BYTES, 0);
	assert_true(off >= k->next);
	memcpy(k->data + off, data, len);
	k->next = off + len;
	k->bytes += len;
	if (++k->pieces == (uint64_t)k->fail_at)
		return err_set(e, ENOSPC, "full");
	return 0;
}

static int stream(
	struct source *image, const char *name, unsigned threads, struct sink *k, struct err *e)
{
	const struct squashfs_stream_spec spec = {.threads = threads, .data = take, .ctx = k};
	autoptr(source) file = NULL;
	autoptr(tree) t = NULL;

	assert_ok(squashfs_tree_open(image, &t, e), *e);
	const struct tree_entry *en = tree_find(t, name);
	assert_non_null(en);
	assert_ok(tree_open(t, en, &file, e), *e);
	free(k->data);
	*k = (struct sink){.data = xcalloc(1, file->size_bytes + 1), .fail_at = k->fail_at};
	return squashfs_stream(file, &spec, NULL, e);
}

static void assert_streams(const struct scene *s, const char *image, const char *name)
{
	autofree char *path = xasprintf("%s/t/%s", s->root, name), *want = NULL;
	autoptr(source) src = scene_open(s, image);
	struct sink k = {0};
	struct err e = {0};
	size_t len;

	assert_ok(file_read(path, 64 * MIB, &want, &len, &e), e);
	for (unsigned threads = 0; threads <= 9; threads += 3) {
		assert_ok(stream(src, name, threads, &k, &e), e);
		if (memcmp(k.data, want, len) != 0)
			fail_msg("'%s' of '%s' with %u threads differs", name, image, threads);
	}
	free(k.data);
}

/*
 * 5 MiB and a bit: text that compresses, noise that does not, holes of all sizes; and small files
 * whose ends share a block.
 */
static void make_files(const struct scene *s)
{
	run_shell(s,
		"mkdir t; cd t; seq 300000 >rootfs.img\n"
		"dd if=/dev/urandom of=rootfs.img bs=4096 seek=500 count=300 status=none\n"
		"truncate -s 3M rootfs.img; seq 9 >>rootfs.img; truncate -s 4M rootfs.img\n"
		"dd if=/dev/urandom of=rootfs.img bs=65536 seek=65 count=2 status=none\n"
		"seq 150000 >>rootfs.img\n"
		"head -c 262144 rootfs.img >whole; head -c 100 rootfs.img >short; : >empty\n"
		"head -c 140000 rootfs.img >tail; truncate -s 2M zeros");
}

static void every_compressor_block_size_and_tail(void **state)
{
	static const char *const images[] = {"zstd-4096", "xz-131072", "gzip-131072", "lz4-65536",
		"zstd-1048576", "tails", "raw", "sparse"};
	static const char *const files[] = {
		"rootfs.img", "whole", "short", "empty", "tail", "zeros"};
	const struct scene *s = *state;

	make_files(s);
	run_shell(s,
		"for c in zstd-4096 xz-131072 gzip-131072 lz4-65536 zstd-1048576; do\n"
		"mksquashfs t $c -quiet -no-progress -comp ${c%-*} -b ${c#*-}; done\n"
		"mksquashfs t tails -quiet -no-progress -comp zstd -tailends\n"
		"mksquashfs t raw -quiet -no-progress -noI -noD -noF -noX\n"
		"mksquashfs t sparse -quiet -no-progress -no-fragments");
	for (size_t i = 0; i < ARRAY_LEN(images); i++)
		for (size_t k = 0; k < ARRAY_LEN(files); k++)
			assert_streams(s, images[i], files[k]);
}

static void zeros_are_left_out(void **state)
{
	const struct scene *s = *state;
	autoptr(source) src = NULL;
	struct sink k = {0};
	struct err e = {0};

	run_shell(s,
		"mkdir t; truncate -s 40M t/f; echo x | dd of=t/f seek=1000000 bs=1 conv=notrunc\n"
		"echo y >>t/f; mksquashfs t image -quiet -no-progress -comp zstd -b 131072");
	src = scene_open(s, "image");
	assert_ok(stream(src, "f", 2, &k, &e), e);
	assert_int_equal(k.pieces, 2);
	assert_int_equal(k.bytes, SQUASHFS_STREAM_PIECE_BYTES + 2);
	assert_memory_equal(k.data + 1000000, "x\n", 2);
	assert_memory_equal(k.data + 40 * MIB, "y\n", 2);
	free(k.data);
}

/* Every byte of the data blocks, or a sample of them, set wrong: an error that says where. */
static void damage_is_named(void **state)
{
	const struct scene *s = *state;
	autofree char *path = scene_path(s, "image"), *data = NULL;
	unsigned damaged = 0;
	struct sink k = {0};
	struct err e = {0};
	size_t len;

	run_shell(s,
		"mkdir t; seq 200000 >t/f\n"
		"mksquashfs t image -quiet -no-progress -comp xz -b 131072 -no-fragments");
	assert_ok(file_read(path, 16 * MIB, &data, &len, &e), e);
	autoptr(source) image = source_memory(data, len);
	for (size_t i = 200; i < len; i += len / 13) {
		char was = data[i];

		data[i] = (char)(was ^ 0x55);
		int r = stream(image, "f", 3, &k, &e);
		data[i] = was;
		assert_true(r == 0 || r == -EBADMSG);
		if (r == 0)
			continue;
		damaged++;
		assert_true(str_starts(e.msg, "block "));
		assert_non_null(strstr(e.msg, " of the image: compressed data is damaged"));
	}
	assert_true(damaged > 0);
	assert_ok(stream(image, "f", 3, &k, &e), e);
	free(k.data);
}

static void the_receiver_ends_it(void **state)
{
	const struct scene *s = *state;
	struct sink k = {.fail_at = 3};
	autoptr(source) src = NULL;
	struct err e = {0};

	make_files(s);
	run_shell(s, "mksquashfs t image -quiet -no-progress -comp zstd");
	src = scene_open(s, "image");
	assert_fails(stream(src, "rootfs.img", 4, &k, &e), ENOSPC, e, "full");
	assert_int_equal(k.pieces, 3);
	free(k.data);
	autoptr(source) other = source_memory("x", 1);
	const struct squashfs_stream_spec spec = {.data = take, .ctx = &k};
	assert_fails(squashfs_stream(other, &spec, NULL, &e), EINVAL, e,
		"not a file in a squashfs image");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_NAME(every_compressor_block_size_and_tail),
		TEST_NAME(zeros_are_left_out),
		TEST_NAME(damage_is_named),
		TEST_NAME(the_receiver_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
