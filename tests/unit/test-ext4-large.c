/* SPDX-License-Identifier: Apache-2.0 */
/* Large folders, deep folders, large files: as large as ext4 and Linux have them. */
#include "ext4-scene.h"

static const struct tree_ops no_content = {0};

static struct tree *new_tree(void)
{
	struct tree *t = tree_new(&no_content, NULL);

	tree_add(t, &(struct tree_entry){.path = xstrdup(""), .mode = S_IFDIR | 0755});
	return t;
}

static void write_and_compare(const struct scene *s, struct tree *t)
{
	struct ext4_params p = scene_params(NULL);
	autoptr(source) image = NULL;
	autoptr(tree) got = NULL;
	struct err e = {0};

	tree_sort(t);
	assert_ok(scene_write(s, t, &p, "image", &e), e);
	scene_fsck(s, "image");
	image = scene_open(s, "image");
	assert_ok(ext4_tree_open(image, &got, &e), e);
	assert_int_equal(t->count, got->count);
	for (size_t i = 0; i < t->count; i++)
		assert_same_entry(&t->entries[i], &got->entries[i]);
}

static void many_names(void **state)
{
	autoptr(tree) t = new_tree();

	for (unsigned i = 0; i < 100000; i++)
		tree_add(t,
			&(struct tree_entry){
				.path = xasprintf("a name of some length %u", i), .mode = S_IFREG});
	write_and_compare(*state, t);

	/* Groups get more inodes (a bitmap block is enough for 32768) instead of the image more groups. */
	autoptr(source) image = scene_open(*state, "image");
	assert_true(image->size_bytes < 512 * MIB);
}

static void many_folders(void **state)
{
	autoptr(tree) t = new_tree();

	/* More than a link count can tell. */
	for (unsigned i = 0; i < 65100; i++)
		tree_add(t, &(struct tree_entry){.path = xasprintf("%u", i), .mode = S_IFDIR});
	write_and_compare(*state, t);
}

static void many_links(void **state)
{
	const struct scene *s = *state;
	autoptr(tree) t = new_tree();
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};

	for (unsigned i = 0; i < 65000; i++)
		tree_add(t,
			&(struct tree_entry){
				.path = xasprintf("%05u", i), .mode = S_IFREG, .inode = 1});
	write_and_compare(s, t);
	tree_add(t, &(struct tree_entry){.path = xstrdup("z"), .mode = S_IFREG, .inode = 1});
	tree_sort(t);
	assert_fails(scene_write(s, t, &p, "image", &e), EMLINK, e,
		"'/00000': more than 65000 hard links");
}

static void deep_folders(void **state)
{
	autoptr(tree) t = new_tree();
	char path[PATH_MAX] = "d";
	size_t len = 1;

	for (; len < PATH_MAX; len += 2) {
		tree_add(t, &(struct tree_entry){.path = xstrdup(path), .mode = S_IFDIR | 0700});
		if (len + 2 < PATH_MAX)
			memcpy(path + len, "/d", 3);
	}
	assert_int_equal(strlen(t->entries[t->count - 1].path), PATH_MAX - 1);
	write_and_compare(*state, t);
}

static void large_files(void **state)
{
	static const uint64_t at[] = {0, (2 * GIB) - 3, (4 * GIB) - 3, 5 * GIB};
	const struct scene *s = *state;
	autofree char *path = NULL;
	autoptr(tree) t = NULL;
	autoptr(source) image = NULL;
	autoptr(source) f = NULL;
	struct err e = {0};
	char text[8];

	scene_folder(s, "t");
	path = scene_path(s, "t/large");
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		assert_int_equal(pwrite(fd, "content", 7, (off_t)at[i]), 7);
	assert_int_equal(ftruncate(fd, (off_t)(6 * GIB)), 0);

	scene_build(s, "t", "image", NULL);
	scene_fsck(s, "image");
	image = scene_open(s, "image");
	assert_ok(ext4_tree_open(image, &t, &e), e);
	assert_int_equal(tree_find(t, "large")->size_bytes, 6 * GIB);
	assert_ok(tree_open(t, tree_find(t, "large"), &f, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		assert_ok(source_read_at(f, text, 7, at[i], &e), e);
		assert_memory_equal(text, "content", 7);
		assert_ok(source_read_at(f, text, 1, at[i] + 7, &e), e);
		assert_int_equal(text[0], 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(many_names),
		TEST(many_folders),
		TEST(many_links),
		TEST(deep_folders),
		TEST(large_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
