/* SPDX-License-Identifier: Apache-2.0 */
/* Two images in a row: what did not change stays where it is. */
#include "ext4-scene.h"
#include "fmt/ext4-layout.h"

static void make_tree(const struct scene *s)
{
	scene_folder(s, "t");
	scene_folder(s, "t/bin");
	for (unsigned i = 0; i < 200; i++) {
		autofree char *name = xasprintf("t/bin/file-%03u", i);

		scene_file(s, name, 1 + i * 777, i);
	}
	scene_file(s, "t/library", 6 << 20, 1);
	scene_folder(s, "t/zoo");
	scene_file(s, "t/zoo/last", 100000, 1);
}

static uint64_t different_blocks(const struct scene *s, const char *a, const char *b)
{
	autoptr(source) x = scene_open(s, a);
	autoptr(source) y = scene_open(s, b);
	uint8_t block[2][4096];
	uint64_t n = 0;
	struct err e = {0};

	assert_int_equal(x->size_bytes, y->size_bytes);
	for (uint64_t off = 0; off < x->size_bytes; off += sizeof(block[0])) {
		assert_ok(source_read_at(x, block[0], sizeof(block[0]), off, &e), e);
		assert_ok(source_read_at(y, block[1], sizeof(block[1]), off, &e), e);
		n += memcmp(block[0], block[1], sizeof(block[0])) != 0;
	}
	return n;
}

static void same_tree_same_image(void **state)
{
	const struct scene *s = *state;
	autoptr(ext4_layout) first = NULL;

	make_tree(s);
	scene_build(s, "t", "one", NULL);
	first = scene_layout(s, "one");
	scene_build(s, "t", "two", first);
	scene_same_image(s, "one", "two");
}

static void remove_file(const struct scene *s, const char *name)
{
	autofree char *path = scene_path(s, name);

	assert_int_equal(unlink(path), 0);
}

static void change_tree(const struct scene *s)
{
	autofree char *old = scene_path(s, "t/bin/file-020");
	autofree char *new = scene_path(s, "t/bin/a-link");

	scene_folder(s, "t/aaa");
	scene_file(s, "t/aaa/new", 3 << 20, 7);
	scene_file(s, "t/bin/file-100", 100 * 777 + 50000, 100); /* grew */
	scene_file(s, "t/bin/file-150", 10, 150);                /* shrank */
	remove_file(s, "t/bin/file-010");
	remove_file(s, "t/bin/file-011");
	assert_int_equal(link(old, new), 0); /* the link sorts before its old name */
}

static void unchanged_stays(void **state)
{
	const struct scene *s = *state;
	autoptr(ext4_layout) a = NULL;
	autoptr(ext4_layout) b = NULL;
	struct ext4_overlap o;

	make_tree(s);
	scene_build(s, "t", "one", NULL);
	a = scene_layout(s, "one");
	change_tree(s);
	scene_build(s, "t", "two", a);
	scene_fsck(s, "two");
	scene_compare(s, "t", "two", SCENE_TIME);
	b = scene_layout(s, "two");

	for (unsigned i = 0; i < 200; i++) {
		autofree char *name = xasprintf("bin/file-%03u", i);
		bool changed = i == 10 || i == 11 || i == 100 || i == 150;

		assert_int_equal(ext4_layout_same_place(a, b, name), !changed);
	}
	assert_true(ext4_layout_same_place(a, b, "library"));
	assert_true(ext4_layout_same_place(a, b, "zoo"));
	assert_true(ext4_layout_same_place(a, b, "zoo/last"));
	/* Only the 13 blocks that one file grew by are elsewhere. */
	o = ext4_layout_compare(a, b);
	assert_true(o.blocks > 5000);
	assert_int_equal(o.blocks - o.in_place, (100 * 777 + 50000 + 4095) / 4096 - 19);
}

static const struct ext4_place *find(const struct ext4_layout *l, const char *path)
{
	for (size_t i = 0; i < l->path_count; i++)
		if (strcmp(l->paths[i], path) == 0)
			return &l->places[l->place_of[i]];
	fail_msg("no '%s'", path);
	return NULL;
}

/* What a file grew by follows it, although there is free space before. */
static void growth_stays_together(void **state)
{
	const struct scene *s = *state;
	autoptr(ext4_layout) a = NULL;
	autoptr(ext4_layout) b = NULL;

	make_tree(s);
	scene_build(s, "t", "one", NULL);
	a = scene_layout(s, "one");
	remove_file(s, "t/bin/file-100");
	scene_file(s, "t/zoo/last", 120000, 1);
	scene_build(s, "t", "two", a);
	b = scene_layout(s, "two");
	assert_int_equal(find(b, "zoo/last")->runs.count, 1);
	assert_int_equal(
		find(b, "zoo/last")->runs.items[0].start, find(a, "zoo/last")->runs.items[0].start);
}

static void new_version_takes_over(void **state)
{
	const struct scene *s = *state;
	autofree char *old = scene_path(s, "t/modules-6.12.117+deb13");
	autofree char *new = scene_path(s, "t/modules-6.12.121+deb13");
	autoptr(ext4_layout) a = NULL;
	autoptr(ext4_layout) b = NULL;

	make_tree(s);
	scene_folder(s, "t/modules-6.12.117+deb13");
	scene_file(s, "t/modules-6.12.117+deb13/one.ko", 50000, 1);
	scene_file(s, "t/modules-6.12.117+deb13/two.ko", 70000, 1);
	scene_build(s, "t", "one", NULL);
	a = scene_layout(s, "one");
	assert_int_equal(rename(old, new), 0);
	scene_build(s, "t", "two", a);
	scene_fsck(s, "two");
	/* But for the one name everything is where it was. */
	assert_int_equal(different_blocks(s, "one", "two"), 1);

	/* A file that is really new does not get in between. */
	scene_file(s, "t/a-first", 50000, 1);
	scene_build(s, "t", "three", a);
	b = scene_layout(s, "three");
	assert_int_equal(find(b, "modules-6.12.121+deb13/one.ko")->runs.items[0].start,
		find(a, "modules-6.12.117+deb13/one.ko")->runs.items[0].start);
}

static void plan_is_what_is_written(void **state)
{
	const struct scene *s = *state;
	autoptr(tree) t = NULL;
	autoptr(ext4_layout) plan = NULL;
	autoptr(ext4_layout) written = NULL;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};

	make_tree(s);
	t = scene_scan(s, "t");
	assert_ok(ext4_layout_plan(t, &p, &plan, &e), e);
	scene_build(s, "t", "one", NULL);
	written = scene_layout(s, "one");
	for (size_t i = 0; i < t->count; i++)
		assert_true(ext4_layout_same_place(plan, written, t->entries[i].path));

	/* A build on a plan is a build like any other. */
	change_tree(s);
	scene_build(s, "t", "by-plan", plan);
	scene_build(s, "t", "by-image", written);
	scene_same_image(s, "by-plan", "by-image");
}

/* Content that is made when it is read: no block of it is zeros, or every second one is. */
struct pattern {
	struct source s;
	bool holes;
};

static int pattern_read_at(
	struct source *s, void *buf, size_t len, uint64_t off, struct err *e UNUSED)
{
	const struct pattern *f = (const struct pattern *)s;
	uint8_t *out = buf;

	for (size_t i = 0; i < len; i++)
		out[i] = f->holes && (off + i) / 4096 % 2 ? 0 : (uint8_t)((off + i) / 4096 | 1);
	return 0;
}

static void pattern_free(struct source *s)
{
	free(s);
}

static const struct source_ops pattern_ops = {.read_at = pattern_read_at, .free = pattern_free};

static int pattern_open(struct tree *t UNUSED, const struct tree_entry *en, struct source **out,
	struct err *e UNUSED)
{
	struct pattern *f = xcalloc(1, sizeof(*f));

	f->s = (struct source){.ops = &pattern_ops, .size_bytes = en->size_bytes};
	f->holes = strstr(en->path, "holes");
	*out = &f->s;
	return 0;
}

static const struct tree_ops pattern_tree_ops = {.open = pattern_open};

static struct tree *pattern_tree(void)
{
	struct tree *t = tree_new(&pattern_tree_ops, NULL);

	tree_add(t, &(struct tree_entry){.path = xstrdup(""), .mode = S_IFDIR | 0755});
	return t;
}

static void pattern_add(struct tree *t, const char *name, uint64_t size)
{
	tree_add(t,
		&(struct tree_entry){
			.path = xstrdup(name), .mode = S_IFREG | 0644, .size_bytes = size});
}

static void growth_moves_nothing(void **state)
{
	const struct scene *s = *state;
	autoptr(tree) small = pattern_tree();
	autoptr(tree) large = pattern_tree();
	autoptr(ext4_layout) a = NULL;
	autoptr(ext4_layout) b = NULL;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};

	pattern_add(small, "b", 100 * MIB);
	tree_sort(small);
	assert_ok(scene_write(s, small, &p, "one", &e), e);
	a = scene_layout(s, "one");

	/* Larger than what is left of its group, and than any group. */
	pattern_add(large, "a", 150 * MIB);
	pattern_add(large, "b", 100 * MIB);
	tree_sort(large);
	p = scene_params(a);
	assert_ok(scene_write(s, large, &p, "two", &e), e);
	scene_fsck(s, "two");
	b = scene_layout(s, "two");
	assert_true(ext4_layout_same_place(a, b, "b"));

	/* And back again. */
	p = scene_params(b);
	assert_ok(scene_write(s, small, &p, "three", &e), e);
	scene_fsck(s, "three");
	scene_same_image(s, "one", "three");
}

static void many_fragments(void **state)
{
	/* In the inode, in one node each, in nodes of nodes. */
	static const uint64_t pieces[] = {4, 5, 340, 341, 1360, 1361, 5000};
	const struct scene *s = *state;
	autoptr(tree) t = pattern_tree();
	autoptr(tree) got = NULL;
	autoptr(source) image = NULL;
	autoptr(ext4_layout) a = NULL;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		autofree char *name = xasprintf("holes-%04u", (unsigned)pieces[i]);

		pattern_add(t, name, pieces[i] * 8192 - 4000);
	}
	tree_sort(t);
	assert_ok(scene_write(s, t, &p, "one", &e), e);
	scene_fsck(s, "one");
	image = scene_open(s, "one");
	assert_ok(ext4_tree_open(image, &got, &e), e);
	assert_same_tree(t, got, 0);

	a = scene_layout(s, "one");
	p = scene_params(a);
	assert_ok(scene_write(s, t, &p, "two", &e), e);
	scene_same_image(s, "one", "two");
}

static void foreign_previous(void **state)
{
	const struct scene *s = *state;
	autofree char *image = scene_path(s, "one");
	autofree char *folder = scene_path(s, "t");
	autoptr(ext4_layout) a = NULL;
	autoptr(ext4_layout) b = NULL;
	struct ext4_overlap o;
	struct err e = {0};
	autocmd c = {0};

	make_tree(s);
	cmd_add(&c, "mke2fs", "-q", "-F", "-text4", "-b4096", "-d", folder, image, "64M", NULL);
	assert_ok(cmd_run(&c, &e), e);
	a = scene_layout(s, "one");
	scene_build(s, "t", "two", a);
	scene_fsck(s, "two");
	b = scene_layout(s, "two");
	/* Its inode tables are elsewhere, so most is kept, not all. */
	o = ext4_layout_compare(a, b);
	assert_true(o.in_place > o.blocks / 2);
}

static void fixed_size_with_previous(void **state)
{
	const struct scene *s = *state;
	autoptr(tree) t = NULL;
	autoptr(ext4_layout) a = NULL;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};

	make_tree(s);
	scene_build(s, "t", "one", NULL);
	a = scene_layout(s, "one");
	remove_file(s, "t/bin/file-199");
	t = scene_scan(s, "t");
	p = scene_params(a);
	p.size_bytes = 40 * MIB;
	assert_ok(scene_write(s, t, &p, "two", &e), e);
	scene_fsck(s, "two");
	p.size_bytes = 16 * MIB;
	assert_int_equal(scene_write(s, t, &p, "three", &e), -ENOSPC);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(same_tree_same_image),
		TEST(unchanged_stays),
		TEST(growth_stays_together),
		TEST(new_version_takes_over),
		TEST(plan_is_what_is_written),
		TEST(growth_moves_nothing),
		TEST(many_fragments),
		TEST(foreign_previous),
		TEST(fixed_size_with_previous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
