/* SPDX-License-Identifier: Apache-2.0 */
/* What is written over an old base, on plain files; the real thing is in tests/lab/base-make.sh. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/io.h"
#include "folder.h"
#include "upgrade/base-patch.h"

#define CHUNK      (64 * KIB)
#define IMAGE_SIZE (6 * MIB + 3 * 4096)

static uint8_t *content; /* of rootfs.img */

/* Content that has data and zeros, a squashfs around it, and the same bare. */
static void make_images(void)
{
	struct err e = {0};
	autocmd c = {0};

	if (content)
		return;
	cmd_add(&c, "sh", "-euc",
		"mkdir -p tree t/LiveOS; seq 200000 >tree/numbers\n"
		"mke2fs -q -t ext4 -b 1024 -O ^has_journal -d tree t/LiveOS/rootfs.img 6M\n"
		"truncate -s +12288 t/LiveOS/rootfs.img\n"
		"mksquashfs t live -quiet -no-progress -comp zstd -b 4096\n"
		"cp t/LiveOS/rootfs.img bare",
		NULL);
	c.cwd = folder;
	assert_ok(cmd_run(&c, &e), e);
	autofree char *path = xasprintf("%s/bare", folder);
	size_t len;
	assert_ok(file_read(path, 16 * MIB, (char **)&content, &len, &e), e);
	assert_int_equal(len, IMAGE_SIZE);
}

struct device {
	uint8_t *bytes; /* expected */
	uint64_t size;
	int fd;
};

static void device_fini(struct device *d)
{
	free(d->bytes);
	close(d->fd);
}
#define autodevice auto_with(device_fini) struct device

/* A device with what the image has, and zeros behind it. */
static void make_device(struct device *d, uint64_t size)
{
	autofree char *path = xasprintf("%s/device", folder);

	*d = (struct device){.size = size, .bytes = xcalloc(1, size)};
	memcpy(d->bytes, content, MIN(size, IMAGE_SIZE));
	d->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(d->fd >= 0);
}

static void fill(const struct device *d)
{
	struct err e = {0};

	assert_ok(io_pwrite(d->fd, d->bytes, d->size, 0, &e), e);
}

static uint64_t limit; /* of growth; UINT64_MAX: none */

static int grow(void *ctx, uint64_t chunk_bytes, struct err *e)
{
	uint64_t *last = ctx;

	assert_true(chunk_bytes > *last);
	*last = chunk_bytes;
	return chunk_bytes > limit ? err_set(e, ENOSPC, "limit") : 0;
}

static int patch(const char *name, const struct device *d, bool write, bool discards,
	uint64_t chunk, struct base_cost *cost, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	uint64_t last = 0;
	autoptr(image) img = NULL;
	int r = image_open(path, &img, e);
	const struct base_patch spec = {
		.img = img,
		.old_fd = d->fd,
		.new_fd = write ? d->fd : -1,
		.old_bytes = d->size,
		.chunk_bytes = chunk,
		.discards = discards,
		.grow = grow,
		.ctx = &last,
	};

	return r == 0 ? base_patch(&spec, cost, NULL, e) : r;
}

static void assert_content(const struct device *d)
{
	autofree uint8_t *got = xcalloc(1, d->size);

	assert_int_equal(fcntl(d->fd, F_SETFL, 0), 0);
	assert_int_equal(pread(d->fd, got, d->size, 0), d->size);
	assert_memory_equal(got, content, MIN(d->size, IMAGE_SIZE));
	/* What is behind the image stays. */
	if (d->size > IMAGE_SIZE)
		assert_memory_equal(got + IMAGE_SIZE, d->bytes + IMAGE_SIZE, d->size - IMAGE_SIZE);
}

/* Where the image has a whole chunk of zeros. */
static uint64_t find_zeros(void)
{
	static const uint8_t zeros[CHUNK];

	for (uint64_t off = 0; off + CHUNK <= IMAGE_SIZE; off += CHUNK)
		if (memcmp(content + off, zeros, CHUNK) == 0)
			return off;
	fail();
	return 0;
}

static void nothing_differs(void **state)
{
	struct base_cost cost = {1, 1};
	struct err e = {0};
	autodevice d;

	(void)state;
	make_images();
	make_device(&d, 8 * MIB);
	fill(&d);
	limit = 0;
	assert_ok(patch("live", &d, true, true, CHUNK, &cost, &e), e);
	assert_int_equal(cost.changed_bytes, 0);
	assert_int_equal(cost.chunk_bytes, 0);
	assert_content(&d);
}

/* Each line: what is done to the old content, and what it costs in chunks of 64 KiB. */
static const struct {
	uint64_t off, len;
	uint64_t blocks, chunks;
} changes[] = {
	{0, 1, 1, 1},
	{4096 * 3 + 4095, 2, 2, 1},
	{CHUNK - 1, 2, 2, 2},
	{MIB - 4096, 8192, 2, 2},
	{CHUNK, CHUNK, 16, 1},
	{IMAGE_SIZE - 1, 1, 1, 1},
	{IMAGE_SIZE - 4096, 8192, 1, 1},
	{IMAGE_SIZE, 4096, 0, 0},
	{0, IMAGE_SIZE, IMAGE_SIZE / 4096, 97},
};

static void what_differs_is_written_and_counted(void **state)
{
	static const char *const images[] = {"live", "bare"};

	(void)state;
	make_images();
	limit = UINT64_MAX;
	for (size_t i = 0; i < 2 * ARRAY_LEN(changes); i++) {
		struct base_cost measured, made;
		struct err e = {0};
		autodevice d;
		size_t n = i / 2;

		make_device(&d, 8 * MIB);
		for (uint64_t at = 0; at < changes[n].len; at++)
			d.bytes[changes[n].off + at] ^= 0x5a;
		fill(&d);
		assert_ok(patch(images[i % 2], &d, false, false, CHUNK, &measured, &e), e);
		assert_ok(patch(images[i % 2], &d, true, false, CHUNK, &made, &e), e);
		assert_int_equal(made.changed_bytes, changes[n].blocks * 4096);
		assert_int_equal(made.chunk_bytes, changes[n].chunks * CHUNK);
		assert_memory_equal(&measured, &made, sizeof(made));
		assert_content(&d);
	}
}

/* Chunks that are no part of a unit, or larger than it. */
static void any_chunk_size(void **state)
{
	static const uint64_t sizes[] = {4096, 192 * KIB, MIB, 3 * MIB, 1024 * MIB};
	static const uint64_t chunks[] = {(4 * MIB - 3 * CHUNK) / 4096, 21, 4, 2, 1};

	(void)state;
	make_images();
	limit = UINT64_MAX;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct base_cost cost, exact;
		struct err e = {0};
		autodevice d;

		make_device(&d, 8 * MIB);
		memset(d.bytes + 3 * CHUNK, 0xa5, 4 * MIB - 3 * CHUNK);
		fill(&d);
		assert_ok(patch("live", &d, false, false, sizes[i], &exact, &e), e);
		assert_int_equal(exact.changed_bytes, 4 * MIB - 3 * CHUNK);
		assert_int_equal(exact.chunk_bytes, chunks[i] * sizes[i]);
		assert_ok(patch("live", &d, true, true, sizes[i], &cost, &e), e);
		assert_int_equal(cost.changed_bytes, exact.changed_bytes);
		assert_true(cost.chunk_bytes <= exact.chunk_bytes);
		assert_content(&d);
	}
}

static void zeros_are_given_back(void **state)
{
	uint64_t off;

	(void)state;
	make_images();
	off = find_zeros();
	limit = 0;
	for (unsigned discards = 0; discards < 2; discards++) {
		struct base_cost cost;
		struct err e = {0};
		struct stat before, after;
		autodevice d;

		make_device(&d, 8 * MIB);
		memset(d.bytes + off, 1, CHUNK);
		fill(&d);
		assert_int_equal(fsync(d.fd), 0);
		assert_int_equal(fstat(d.fd, &before), 0);
		limit = discards ? 0 : CHUNK;
		assert_ok(patch("live", &d, true, discards, CHUNK, &cost, &e), e);
		assert_int_equal(cost.changed_bytes, CHUNK);
		assert_int_equal(cost.chunk_bytes, discards ? 0 : CHUNK);
		assert_content(&d);
		assert_int_equal(fstat(d.fd, &after), 0);
		if (discards)
			assert_true(after.st_blocks < before.st_blocks);
	}
}

/* The device is smaller than the image was: behind its end it is zero, and it is written. */
static void a_shorter_device_grows(void **state)
{
	struct base_cost cost;
	struct err e = {0};
	autodevice d;

	(void)state;
	make_images();
	make_device(&d, 2 * MIB);
	fill(&d);
	limit = UINT64_MAX;
	assert_ok(patch("live", &d, true, true, CHUNK, &cost, &e), e);
	d.bytes = xrealloc(d.bytes, IMAGE_SIZE);
	d.size = IMAGE_SIZE;
	assert_int_equal(ftruncate(d.fd, IMAGE_SIZE), 0);
	assert_content(&d);
}

static void no_more_than_it_may(void **state)
{
	struct base_cost cost = {1, 2};
	struct err e = {0};
	autodevice d;

	(void)state;
	make_images();
	make_device(&d, 8 * MIB);
	memset(d.bytes, 0x77, 4 * CHUNK);
	fill(&d);
	limit = 3 * CHUNK;
	assert_fails(patch("live", &d, true, false, CHUNK, &cost, &e), ENOSPC, e, "limit");
	assert_int_equal(cost.chunk_bytes, 2);
	limit = 4 * CHUNK;
	assert_ok(patch("live", &d, true, false, CHUNK, &cost, &e), e);
	assert_int_equal(cost.chunk_bytes, 4 * CHUNK);
	assert_content(&d);
}

/* Reads of a device can fail, here because it cannot be read at all; and images can be damaged. */
static void errors_are_errors(void **state)
{
	struct base_cost cost;
	struct err e = {0};
	autocmd c = {0};
	autodevice d;

	(void)state;
	make_images();
	make_device(&d, 8 * MIB);
	cmd_add(&c, "sh", "-euc",
		"cp live bad; at=$(LC_ALL=C grep -obUaP '\\x28\\xb5\\x2f\\xfd' bad | sed -n 40p)\n"
		"printf xxxx | dd of=bad bs=1 seek=${at%%:*} conv=notrunc status=none",
		NULL);
	c.cwd = folder;
	assert_ok(cmd_run(&c, &e), e);
	limit = UINT64_MAX;
	assert_int_equal(patch("bad", &d, true, true, CHUNK, &cost, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "compressed data is damaged"));
	close(d.fd);
	d.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_fails(patch("live", &d, false, true, CHUNK, &cost, &e), EISDIR, e,
		"reading the base at 0: Is a directory");
}

static int finish(void **state)
{
	free(content);
	return drop_folder(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_differs),
		cmocka_unit_test(what_differs_is_written_and_counted),
		cmocka_unit_test(any_chunk_size),
		cmocka_unit_test(zeros_are_given_back),
		cmocka_unit_test(a_shorter_device_grows),
		cmocka_unit_test(no_more_than_it_may),
		cmocka_unit_test(errors_are_errors),
	};

	return cmocka_run_group_tests(tests, make_folder, finish);
}
