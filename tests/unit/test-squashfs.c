/* SPDX-License-Identifier: Apache-2.0 */
/* squashfs images: ours against unsquashfs and the kernel, mksquashfs's against our reader. */
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

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

/* Something of every kind, and content of every size that the block size of 4096 treats apart. */
static void make_everything(const struct scene *s)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 12345, 300000};

	scene_folder(s, "t");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		autofree char *name = xasprintf("t/size-%zu", sizes[i]);

		scene_file(s, name, sizes[i], (unsigned)i);
	}
	run_shell(s,
		"cd t; mkdir -p deep/er/a many; echo x >deep/er/a/file; ln size-4097 deep/hard\n"
		"ln -s ../size-1 deep/link; mknod null c 1 3; mknod disk b 8 300; mkfifo pipe\n"
		"cp size-300000 twin; cp size-1 many/twin-of-1; truncate -s 1M zeros\n"
		"dd if=size-12345 of=hole bs=4096 seek=3 status=none; chmod 4711 size-4096\n"
		"chown 12:34 size-8192; chown -h 56:78 deep/link; i=0\n"
		"while [ $i -lt 300 ]; do : >many/name-$i; i=$((i + 1)); done\n"
		"setfattr -n user.x -v 1 size-1; setfattr -n user.x -v 1 size-4095\n"
		"setfattr -n user.x -v 2 deep; setfattr -n trusted.y -v 3 null\n"
		"setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 twin\n"
		"printf 'odd \\001\\377name' >\"$(printf 'odd \\001\\377name')\"\n"
		"touch -d @1234567890 deep/er size-0; touch -h -d @5 deep/link");
}

static int write_tree(const struct scene *s, const struct squashfs_params *p, const char *image,
	struct squashfs_result *out, struct err *e)
{
	autofree char *path = scene_path(s, image);
	autoptr(tree) t = scene_scan(s, "t");
	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct stat st;

	assert_true(fd >= 0);
	int r = squashfs_write_tree(t, p, fd, out, NULL, e);
	if (r == 0) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, out->image_bytes);
		assert_int_equal(st.st_size % 4096, 0);
	}
	return r;
}

static void build(const struct scene *s, const struct squashfs_params *p, const char *image)
{
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	struct err e = {0};

	assert_ok(write_tree(s, p, image, &result, &e), e);
}

static void wrap(const struct scene *s, const struct squashfs_params *p, const char *image,
	struct squashfs_result *out)
{
	autofree char *path = scene_path(s, image);
	autoptr(source) rootfs = scene_open(s, "rootfs");
	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err e = {0};

	assert_true(fd >= 0);
	assert_ok(squashfs_write_image(rootfs, p, fd, out, NULL, &e), e);
}

static struct tree *open_image(struct source *image)
{
	struct tree *t = NULL;
	struct err e = {0};

	assert_ok(squashfs_tree_open(image, &t, &e), e);
	return t;
}

static void assert_holds(const struct scene *s, const char *image, const char *folder)
{
	autoptr(source) src = scene_open(s, image);
	autoptr(tree) got = open_image(src);
	autoptr(tree) want = scene_scan(s, folder);

	assert_same_tree(want, got, INT64_MAX);
}

static void every_compressor_and_block_size(void **state)
{
	static const enum squashfs_compressor compressors[] = {
		SQUASHFS_ZSTD, SQUASHFS_XZ, SQUASHFS_LZ4};
	static const uint32_t blocks[] = {4096, 0, 1 << 20};
	const struct scene *s = *state;

	make_everything(s);
	for (size_t i = 0; i < ARRAY_LEN(compressors) * ARRAY_LEN(blocks); i++) {
		const struct squashfs_params p = {.compressor = compressors[i / 3],
			.block_bytes = blocks[i % 3],
			.time = SCENE_TIME};

		build(s, &p, "image");
		assert_holds(s, "image", "t");
		run_shell(s, "unsquashfs -n -q -f -d out image >/dev/null");
		assert_holds(s, "image", "out");
		run_shell(s, "rm -r out");
	}
}

static void foreign_images_are_read(void **state)
{
	const struct scene *s = *state;

	make_everything(s);
	run_shell(s,
		"for c in gzip xz zstd lz4; do mksquashfs t $c -quiet -no-progress -comp $c -b 4096; "
		"done; mksquashfs t raw -quiet -no-progress -noI -noD -noF -noX\n"
		"mksquashfs t tails -quiet -no-progress -b 8192 -tailends -no-duplicates");
	assert_holds(s, "gzip", "t");
	assert_holds(s, "xz", "t");
	assert_holds(s, "zstd", "t");
	assert_holds(s, "lz4", "t");
	assert_holds(s, "raw", "t");
	assert_holds(s, "tails", "t");
}

static void same_bytes_for_any_number_of_threads(void **state)
{
	const struct scene *s = *state;
	struct squashfs_params p = {.block_bytes = 4096, .time = SCENE_TIME, .threads = 1};

	make_everything(s);
	build(s, &p, "one");
	for (p.threads = 2; p.threads <= 8; p.threads += 3) {
		build(s, &p, "many");
		scene_same_image(s, "one", "many");
	}
}

static void size_is_that_of_mksquashfs(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	struct err e = {0};

	run_shell(s,
		"mkdir t; for d in /usr/share/zoneinfo /usr/include/linux; do\n"
		"[ ! -d $d ] || cp -a $d t; done; seq 300000 >t/numbers; cp t/numbers t/again\n"
		"mksquashfs t theirs -quiet -no-progress -comp zstd");
	assert_ok(write_tree(s, &p, "ours", &result, &e), e);
	autoptr(source) theirs = scene_open(s, "theirs");
	assert_true(result.image_bytes * 100 <= theirs->size_bytes * 102);
	assert_holds(s, "ours", "t");
}

/* 200 blocks of which every third is zero, each of the others another. */
static void make_rootfs(const struct scene *s)
{
	scene_file(s, "rootfs", 200 * 4096, 1);
	run_shell(s,
		"i=0; while [ $i -lt 200 ]; do\n"
		"dd if=/dev/zero of=rootfs bs=4096 count=1 seek=$i conv=notrunc status=none\n"
		"i=$((i + 3)); done");
}

static void live_image(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.block_bytes = 4096, .time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};

	make_rootfs(s);
	wrap(s, &p, "image", &result);
	assert_int_equal(result.sparse_blocks, 67);
	assert_int_equal(result.blocks, 133);
	run_shell(s,
		"[ \"$(unsquashfs -l image | tr '\\n' ' ')\" = "
		"'squashfs-root squashfs-root/LiveOS squashfs-root/LiveOS/rootfs.img ' ]\n"
		"unsquashfs -q -n -d out image >/dev/null; cmp out/LiveOS/rootfs.img rootfs\n"
		"[ \"$(stat -c '%u %g %Y' out/LiveOS out/LiveOS/rootfs.img | sort -u)\" = "
		"'0 0 1700000000' ]");

	autoptr(source) src = scene_open(s, "image");
	autoptr(tree) t = open_image(src);
	const struct tree_entry *en = tree_find(t, SQUASHFS_ROOTFS_PATH);
	autoptr(source) rootfs = NULL;
	struct err e = {0};
	uint64_t start, end;
	assert_non_null(en);
	assert_ok(tree_open(t, en, &rootfs, &e), e);
	assert_ok(source_next_data(rootfs, 0, &start, &end, &e), e);
	assert_int_equal(start, 4096);
	assert_int_equal(end, 3 * 4096);
}

static void the_kernel_mounts_it(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.time = SCENE_TIME};
	autocmd c = {0};

	make_everything(s);
	build(s, &p, "image");
	cmd_add(&c, "sh", "-c", "mkdir mnt && mount -t squashfs -o ro,loop image mnt", NULL);
	c.cwd = s->root;
	if (cmd_run(&c, NULL) < 0)
		skip();
	struct tree *got = scene_scan(s, "mnt");
	autoptr(tree) want = scene_scan(s, "t");
	size_t count = got->count, same = 0;
	while (same < MIN(count, want->count) &&
		str_eq(got->entries[same].path, want->entries[same].path) &&
		got->entries[same].mode == want->entries[same].mode &&
		got->entries[same].xattr_count == want->entries[same].xattr_count)
		same++;
	tree_free(got);
	run_shell(s, "diff -r --no-dereference -x null -x disk -x pipe t mnt; umount mnt");
	assert_int_equal(count, want->count);
	assert_int_equal(same, count);
}

static void huge_sparse_file(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.block_bytes = 1 << 20, .time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	autoptr(source) rootfs = NULL;
	struct err e = {0};
	char end[5] = "";

	run_shell(s, "truncate -s 4200M rootfs; printf tail >>rootfs");
	wrap(s, &p, "image", &result);
	assert_int_equal(result.blocks, 1);
	autoptr(source) src = scene_open(s, "image");
	autoptr(tree) t = open_image(src);
	assert_ok(tree_open(t, tree_find(t, SQUASHFS_ROOTFS_PATH), &rootfs, &e), e);
	assert_int_equal(rootfs->size_bytes, 4200 * MIB + 4);
	assert_ok(source_read_at(rootfs, end, 4, 4200 * MIB, &e), e);
	assert_string_equal(end, "tail");
	assert_fails(source_read_at(rootfs, end, 4, 4200 * MIB + 1, &e), EIO, e,
		"read of 4 bytes at 4404019201 is past the end (4404019204)");
}

/* Write "rootfs" with and without reuse; both must be the same bytes. */
static uint64_t reused_of(
	const struct scene *s, struct squashfs_params p, const struct squashfs_reuse *reuse)
{
	auto_with(squashfs_result_fini) struct squashfs_result plain = {0};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};

	wrap(s, &p, "plain", &plain);
	p.reuse = reuse;
	wrap(s, &p, "reused", &result);
	scene_same_image(s, "plain", "reused");
	return result.reused_blocks;
}

static void unchanged_blocks_are_reused(void **state)
{
	const struct scene *s = *state;
	struct squashfs_params p = {.block_bytes = 4096, .time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	autofree char *index_path = scene_path(s, "index");
	autoptr(squashfs_index) index = NULL;
	autoptr(squashfs_reuse) by_index = NULL;
	autoptr(squashfs_reuse) by_image = NULL;
	struct err e = {0};

	make_rootfs(s);
	wrap(s, &p, "old", &result);
	assert_ok(squashfs_index_save(result.index, index_path, &e), e);
	assert_ok(squashfs_index_load(index_path, &index, &e), e);
	autoptr(source) old = scene_open(s, "old");
	assert_ok(squashfs_reuse_load(old, index, &by_index, NULL, &e), e);
	assert_ok(squashfs_reuse_load(old, NULL, &by_image, NULL, &e), e);

	/* One block in the middle changes, and one more comes. */
	run_shell(s,
		"printf changed | dd of=rootfs bs=4096 seek=100 conv=notrunc status=none\n"
		"seq 1000 >>rootfs");
	assert_int_equal(reused_of(s, p, by_index), 132);
	assert_int_equal(reused_of(s, p, by_image), 132);
	p.level = 3;
	assert_int_equal(reused_of(s, p, by_index), 0);
	p.level = 0;
	p.compressor = SQUASHFS_LZ4;
	assert_int_equal(reused_of(s, p, by_index), 0);
	assert_int_equal(reused_of(s, p, by_image), 0);
}

static void a_changed_image_is_not_reused(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.block_bytes = 4096, .time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	autoptr(squashfs_reuse) reuse = NULL;
	struct err e = {0};

	make_rootfs(s);
	wrap(s, &p, "old", &result);
	run_shell(s, "printf XYZ | dd of=old bs=1 seek=300 conv=notrunc status=none");
	autoptr(source) old = scene_open(s, "old");
	assert_ok(squashfs_reuse_load(old, result.index, &reuse, NULL, &e), e);
	assert_int_equal(reused_of(s, p, reuse), 132);
	/* Cut behind our back, too. */
	run_shell(s, "truncate -s 400 old");
	assert_true(reused_of(s, p, reuse) < 132);
}

static void damaged_index_is_refused(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.block_bytes = 4096, .time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	autofree char *path = scene_path(s, "index");
	autoptr(squashfs_index) index = NULL;
	struct err e = {0};

	make_rootfs(s);
	wrap(s, &p, "old", &result);
	assert_ok(squashfs_index_save(result.index, path, &e), e);
	run_shell(s, "printf x | dd of=index bs=1 seek=99 conv=notrunc status=none");
	assert_int_equal(squashfs_index_load(path, &index, &e), -EBADMSG);
	run_shell(s, "truncate -s 30 index");
	assert_int_equal(squashfs_index_load(path, &index, &e), -EBADMSG);
	run_shell(s, "rm index");
	assert_int_equal(squashfs_index_load(path, &index, &e), -ENOENT);
}

static void acls_are_counted_as_lost(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.time = SCENE_TIME};
	auto_with(squashfs_result_fini) struct squashfs_result result = {0};
	struct err e = {0};

	run_shell(s, "mkdir t; echo 1 >t/a; echo 2 >t/b; setfattr -n user.x -v 1 t/b");
	autofree char *path = scene_path(s, "t/a");
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0,
		0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0,
		255, 255, 255, 255};
	if (lsetxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0) < 0)
		skip();
	assert_ok(write_tree(s, &p, "image", &result, &e), e);
	assert_int_equal(result.lossy_files, 1);
	assert_int_equal(result.lost_xattrs, 1);
}

static void wrong_parameters_are_refused(void **state)
{
	static const struct {
		struct squashfs_params p;
		const char *msg;
	} cases[] = {
		{{.block_bytes = 2048}, "block size 2048 is no power of two from 4K to 1M"},
		{{.block_bytes = 5000}, "block size 5000 is no power of two from 4K to 1M"},
		{{.block_bytes = 1 << 21}, "block size 2097152 is no power of two from 4K to 1M"},
		{{.level = 23}, "zstd has no compression level 23"},
		{{.compressor = SQUASHFS_XZ, .level = 6}, "xz has no compression level 6"},
	};
	const struct scene *s = *state;

	scene_folder(s, "t");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_with(squashfs_result_fini) struct squashfs_result result = {0};
		struct err e = {0};

		assert_fails(
			write_tree(s, &cases[i].p, "image", &result, &e), EINVAL, e, cases[i].msg);
	}
}

/* Everything there is to read; any error is fine, a crash is not. */
static void read_all(struct source *image)
{
	autoptr(tree) t = NULL;

	if (squashfs_tree_open(image, &t, NULL) < 0)
		return;
	for (size_t i = 0; i < t->count; i++) {
		autoptr(source) f = NULL;
		uint8_t buf[16];

		if (S_ISREG(t->entries[i].mode) && t->entries[i].size_bytes >= sizeof(buf) &&
			tree_open(t, &t->entries[i], &f, NULL) == 0)
			(void)!source_read_at(f, buf, sizeof(buf), 0, NULL);
	}
}

static void damaged_images_are_refused(void **state)
{
	const struct scene *s = *state;
	const struct squashfs_params p = {.block_bytes = 4096, .time = SCENE_TIME};
	autofree char *path = scene_path(s, "image"), *data = NULL;
	autoptr(tree) t = NULL;
	struct err e = {0};
	size_t len;

	run_shell(s, "mkdir -p t/d; seq 5000 >t/a; echo x >t/d/b; setfattr -n user.x -v 1 t/a");
	build(s, &p, "image");
	assert_ok(file_read(path, MIB, &data, &len, &e), e);
	autoptr(source) image = source_memory(data, len);
	for (size_t i = 0; i < len; i++) {
		char was = data[i];

		data[i] = (char)(i % 2 ? was ^ 0x55 : 0xff);
		read_all(image);
		data[i] = was;
	}
	assert_int_equal(squashfs_tree_open(image, &t, &e), 0);
	autoptr(source) cut = source_memory(data, len / 2);
	autoptr(tree) none = NULL;
	assert_int_equal(squashfs_tree_open(cut, &none, &e), -EBADMSG);
	autoptr(source) empty = source_memory(data, 0);
	assert_fails(squashfs_tree_open(empty, &none, &e), EBADMSG, e, "not a squashfs image");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_NAME(every_compressor_and_block_size),
		TEST_NAME(foreign_images_are_read),
		TEST_NAME(same_bytes_for_any_number_of_threads),
		TEST_NAME(size_is_that_of_mksquashfs),
		TEST_NAME(live_image),
		TEST_NAME(the_kernel_mounts_it),
		TEST_NAME(huge_sparse_file),
		TEST_NAME(unchanged_blocks_are_reused),
		TEST_NAME(a_changed_image_is_not_reused),
		TEST_NAME(damaged_index_is_refused),
		TEST_NAME(acls_are_counted_as_lost),
		TEST_NAME(wrong_parameters_are_refused),
		TEST_NAME(damaged_images_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
