/* SPDX-License-Identifier: Apache-2.0 */
/* ext4 images hold what the tree holds: judged by e2fsck, by our reader and by the kernel. */
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/endian.h"
#include "ext4-scene.h"

#define AFTER_2038 3000000000LL

static void run(const char *const *argv)
{
	struct err e = {0};
	autocmd c = {0};

	for (; *argv; argv++)
		cmd_add(&c, *argv, NULL);
	assert_ok(cmd_run(&c, &e), e);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void set_xattr(const char *path, const char *name, const void *value, size_t len)
{
	if (lsetxattr(path, name, value, len, 0) < 0)
		fail_msg("setting %s of %s: %s", name, path, strerror(errno));
}

static void make_links(const struct scene *s)
{
	static const size_t lens[] = {1, 59, 60, 61, 1000, 4095};
	char target[PATH_MAX];
	autofree char *hard = scene_path(s, "t/hard");
	autofree char *again = scene_path(s, "t/z/hard-again");

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		autofree char *path = xasprintf("%s/t/link-%zu", s->root, lens[i]);

		memset(target, 'a', lens[i]);
		target[lens[i]] = '\0';
		assert_int_equal(symlink(target, path), 0);
	}
	scene_file(s, "t/hard", 10000, 3);
	assert_int_equal(link(hard, again), 0);
}

static void make_special(const struct scene *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autofree char *fifo = scene_path(s, "t/fifo");
	autofree char *small = scene_path(s, "t/null");
	autofree char *large = scene_path(s, "t/large-device");
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(mknod(fifo, S_IFIFO | 0600, 0), 0);
	assert_int_equal(mknod(small, S_IFCHR | 0666, makedev(1, 3)), 0);
	assert_int_equal(mknod(large, S_IFBLK | 0660, makedev(259, 70000)), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/t/socket", s->root);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void make_attributes(const struct scene *s)
{
	/* cap_net_raw+ep, as setcap(8) writes it */
	static const uint8_t capability[20] = {1, 0, 0, 2, 0, 0x20};
	autofree char *tool = scene_path(s, "t/tool");
	autofree char *shared = scene_path(s, "t/shared");
	char large[3000];

	scene_file(s, "t/tool", 5000, 4);
	set_xattr(tool, "security.capability", capability, sizeof(capability));
	scene_folder(s, "t/shared");
	RUN("setfacl", "-m", "u:1000:rwx,u:70000:r,g:5:rx,d:u:1000:rwx,d:g:7:r", shared);
	memset(large, 'v', sizeof(large));
	set_xattr(shared, "user.large", large, sizeof(large));
	set_xattr(shared, "user.none", "", 0);
	set_xattr(shared, "trusted.small", "abc", 3);
}

static void make_times_and_owners(const struct scene *s)
{
	struct timespec late[2] = {{.tv_sec = AFTER_2038}, {.tv_sec = AFTER_2038}};
	struct timespec early[2] = {{.tv_sec = -86400}, {.tv_sec = -86400}};
	autofree char *a = scene_path(s, "t/late");
	autofree char *b = scene_path(s, "t/early");

	scene_file(s, "t/late", 1, 5);
	scene_file(s, "t/early", 4096, 6);
	assert_int_equal(chown(a, 3000000000U, 70001), 0);
	assert_int_equal(chmod(a, 06755), 0);
	assert_int_equal(utimensat(AT_FDCWD, a, late, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, b, early, 0), 0);
}

static void make_names(const struct scene *s)
{
	char longest[NAME_MAX + 3] = "t/";

	memset(longest + 2, 'n', NAME_MAX);
	scene_file(s, longest, 1, 1);
	scene_file(s, "t/\x01\n\xff\xfe \\ \"'", 1, 2);
	scene_file(s, "t/a", 1, 1);
	scene_folder(s, "t/a.d");
	scene_folder(s, "t/a b");
	scene_file(s, "t/a b/x", 1, 1);
	scene_folder(s, "t/lost+found");
}

static void make_sparse(const struct scene *s)
{
	autofree char *path = scene_path(s, "t/sparse");
	autofree char *zeros = scene_path(s, "t/zeros");
	autofree char *none = xcalloc(1, 100000);
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	autofd int zero_fd = open(zeros, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(pwrite(fd, "x", 1, 100 * 4096 + 17), 1);
	assert_int_equal(pwrite(fd, "y", 1, 5 << 20), 1);
	assert_int_equal(ftruncate(fd, 40000001), 0);
	/* Written, not skipped: becomes a hole all the same. */
	assert_int_equal(write(zero_fd, none, 100000), 100000);
	scene_file(s, "t/empty", 0, 0);
}

static void make_everything(const struct scene *s)
{
	scene_folder(s, "t");
	scene_folder(s, "t/z");
	make_names(s);
	make_links(s);
	make_special(s);
	make_attributes(s);
	make_times_and_owners(s);
	make_sparse(s);
}

static void compare_mounted(const struct scene *s, const char *image, int64_t latest)
{
	autofree char *file = scene_path(s, image);
	autofree char *at = scene_path(s, "mnt");
	autoptr(tree) want = scene_scan(s, "t");
	struct err e = {0};
	autocmd c = {0};

	assert_int_equal(mkdir(at, 0755), 0);
	cmd_add(&c, "mount", "-o", "loop,ro", file, at, NULL);
	if (cmd_run(&c, &e) < 0) {
		print_message("# the kernel was not asked: %s\n", e.msg);
		return;
	}
	autoptr(tree) got = scene_scan(s, "mnt");
	assert_same_tree(want, got, latest);
	tree_free(take_ptr(got));
	assert_int_equal(umount(at), 0);
}

static void everything_comes_back(void **state)
{
	const struct scene *s = *state;
	autoptr(tree) t = NULL;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};

	make_everything(s);
	t = scene_scan(s, "t");
	p.time = 4000000000;
	assert_ok(scene_write(s, t, &p, "image", &e), e);
	scene_fsck(s, "image");
	scene_compare(s, "t", "image", 4000000000);
	compare_mounted(s, "image", 4000000000);
}

/* Whether the image says so, and its layout, too. */
static void assert_discard(const struct scene *s, const char *image, bool want)
{
	autoptr(ext4_layout) l = NULL;
	autoptr(source) src = scene_open(s, image);
	uint8_t options[4];
	struct err e = {0};

	/* s_default_mount_opts of the superblock, and EXT4_DEFM_DISCARD in it. */
	assert_ok(source_read_at(src, options, sizeof(options), 1024 + 0x100, &e), e);
	assert_int_equal(options[1] & 4, want ? 4 : 0);
	assert_ok(ext4_layout_load(src, &l, &e), e);
	assert_int_equal(ext4_layout_discard(l), want);
}

static void discard_is_a_default_of_mounts(void **state)
{
	const struct scene *s = *state;
	struct ext4_params p = scene_params(NULL);
	autoptr(tree) t = NULL;
	struct err e = {0};

	scene_folder(s, "t");
	scene_build(s, "t", "image", NULL);
	assert_discard(s, "image", false);
	p.discard = true;
	t = scene_scan(s, "t");
	assert_ok(scene_write(s, t, &p, "image", &e), e);
	scene_fsck(s, "image");
	assert_discard(s, "image", true);
}

static void times_are_clamped(void **state)
{
	const struct scene *s = *state;

	scene_folder(s, "t");
	make_times_and_owners(s);
	scene_build(s, "t", "image", NULL);
	scene_compare(s, "t", "image", SCENE_TIME);
}

static void zeros_become_holes(void **state)
{
	const struct scene *s = *state;
	autoptr(source) image = NULL;
	autoptr(tree) t = NULL;
	autoptr(source) f = NULL;
	uint64_t start, end;
	struct err e = {0};

	scene_folder(s, "t");
	make_sparse(s);
	scene_file(s, "t/short", 5, 1);
	scene_build(s, "t", "image", NULL);
	image = scene_open(s, "image");
	assert_ok(ext4_tree_open(image, &t, &e), e);

	assert_ok(tree_open(t, tree_find(t, "sparse"), &f, &e), e);
	assert_ok(source_next_data(f, 0, &start, &end, &e), e);
	assert_int_equal(start, 100 * 4096);
	assert_int_equal(end, 101 * 4096);
	assert_ok(source_next_data(f, end, &start, &end, &e), e);
	assert_int_equal(start, 5 << 20);
	assert_ok(source_next_data(f, end, &start, &end, &e), e);
	assert_int_equal(start, 40000001);
	source_free(take_ptr(f));

	assert_ok(tree_open(t, tree_find(t, "zeros"), &f, &e), e);
	assert_ok(source_next_data(f, 0, &start, &end, &e), e);
	assert_int_equal(start, 100000);
	source_free(take_ptr(f));

	assert_ok(tree_open(t, tree_find(t, "short"), &f, &e), e);
	assert_ok(source_next_data(f, 0, &start, &end, &e), e);
	assert_int_equal(start, 0);
	assert_int_equal(end, 5);
}

static uint32_t super_time(const struct scene *s, const char *image, uint64_t off)
{
	autoptr(source) src = scene_open(s, image);
	struct err e = {0};
	le32 v;

	assert_ok(source_read_at(src, &v, sizeof(v), 1024 + off, &e), e);
	return le32_get(v);
}

static void same_input_same_bytes(void **state)
{
	const struct scene *s = *state;
	autofree char *a = scene_path(s, "t");
	autofree char *b = scene_path(s, "copy");

	make_everything(s);
	RUN("cp", "-a", a, b);
	scene_build(s, "t", "one", NULL);
	scene_build(s, "copy", "two", NULL);
	scene_same_image(s, "one", "two");
	/* s_wtime, s_lastcheck, s_mkfs_time: no clock was asked. */
	assert_int_equal(super_time(s, "one", 0x30), SCENE_TIME);
	assert_int_equal(super_time(s, "one", 0x40), SCENE_TIME);
	assert_int_equal(super_time(s, "one", 0x108), SCENE_TIME);
}

static void size_is_kept_or_too_small(void **state)
{
	const struct scene *s = *state;
	autoptr(tree) t = NULL;
	autoptr(source) image = NULL;
	struct ext4_params p = scene_params(NULL);
	uint64_t size;
	struct err e = {0};

	scene_folder(s, "t");
	scene_file(s, "t/a", 9 << 20, 1);
	t = scene_scan(s, "t");
	p.size_bytes = 300 * MIB;
	assert_ok(scene_write(s, t, &p, "image", &e), e);
	scene_fsck(s, "image");
	image = scene_open(s, "image");
	assert_ok(ext4_size(image, &size, &e), e);
	assert_int_equal(size, 300 * MIB);

	p.size_bytes = 8 * MIB;
	assert_fails(scene_write(s, t, &p, "small", &e), ENOSPC, e,
		"a file system of 8 MiB is too small, the content needs 12 MiB");
	p.size_bytes = 12 * MIB;
	assert_ok(scene_write(s, t, &p, "fits", &e), e);
	scene_fsck(s, "fits");
}

/* A tree that no folder can hold, of entries without content. */
static int write_listed(const struct scene *s, const struct tree_entry *list, size_t count,
	const struct ext4_params *p, struct err *e)
{
	static const struct tree_ops ops = {0};
	autoptr(tree) t = tree_new(&ops, NULL);

	for (size_t i = 0; i < count; i++) {
		struct tree_entry *en = tree_add(t, &list[i]);

		en->path = xstrdup(en->path);
		en->link_of = i;
	}
	return scene_write(s, t, p, "image", e);
}

static void bad_trees_are_refused(void **state)
{
	static char root[] = "", deep[] = "a/b", a[] = "a", up[] = "..";
	const struct scene *s = *state;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};
	const struct tree_entry no_root[] = {{.path = a, .mode = S_IFREG}};
	const struct tree_entry no_folder[] = {
		{.path = root, .mode = S_IFDIR}, {.path = deep, .mode = S_IFREG}};
	const struct tree_entry file_folder[] = {{.path = root, .mode = S_IFDIR},
		{.path = a, .mode = S_IFREG}, {.path = deep, .mode = S_IFREG}};
	const struct tree_entry twice[] = {{.path = root, .mode = S_IFDIR},
		{.path = a, .mode = S_IFREG}, {.path = a, .mode = S_IFREG}};
	const struct tree_entry dots[] = {
		{.path = root, .mode = S_IFDIR}, {.path = up, .mode = S_IFREG}};
	const struct tree_entry no_type[] = {
		{.path = root, .mode = S_IFDIR}, {.path = a, .mode = 0644}};

	assert_fails(write_listed(s, no_root, 1, &p, &e), EINVAL, e, "the tree has no root");
	assert_fails(
		write_listed(s, no_folder, 2, &p, &e), EINVAL, e, "'/a/b': its folder is missing");
	assert_fails(write_listed(s, file_folder, 3, &p, &e), EINVAL, e,
		"'/a/b': its folder is missing");
	assert_fails(write_listed(s, twice, 3, &p, &e), EINVAL, e, "'/a': not in order");
	assert_fails(write_listed(s, dots, 2, &p, &e), EINVAL, e, "'/..': no name for a file");
	assert_fails(write_listed(s, no_type, 2, &p, &e), EINVAL, e, "'/a': bad entry");
	p.label = "seventeen letters";
	assert_fails(write_listed(s, dots, 1, &p, &e), EINVAL, e,
		"label 'seventeen letters' is longer than 16 bytes");
}

static void attributes_have_limits(void **state)
{
	static char root[] = "";
	const struct scene *s = *state;
	struct ext4_params p = scene_params(NULL);
	struct err e = {0};
	struct xattr *x = xcalloc(1, sizeof(*x));
	struct tree_entry list[] = {{.path = root, .mode = S_IFDIR, .xattrs = x, .xattr_count = 1}};
	static const struct tree_ops ops = {0};
	autoptr(tree) t = tree_new(&ops, NULL);

	*x = (struct xattr){xstrdup("user.x"), xcalloc(1, 5004), 5004};
	list[0].path = xstrdup("");
	tree_add(t, &list[0]);
	assert_fails(
		scene_write(s, t, &p, "image", &e), E2BIG, e, "'/': attributes of more than 4 KiB");
	free(x->name);
	x->name = xstrdup("strange.x");
	assert_fails(scene_write(s, t, &p, "image", &e), EINVAL, e,
		"'/': attribute 'strange.x': ext4 has no such kind");
	free(x->name);
	x->name = xstrdup("system.posix_acl_access");
	assert_fails(scene_write(s, t, &p, "image", &e), EINVAL, e,
		"'/': attribute 'system.posix_acl_access': unknown version of an ACL");
}

/* Images of other tools: block lists, other block and inode sizes, checksums, hashed folders. */
static void foreign_images_are_read(void **state)
{
	static const char *const kinds[] = {"-text2 -b1024 -I128", "-text3 -b4096",
		"-text4 -b4096 -Ometadata_csum,64bit,dir_index", "-text4 -b65536 -O^has_journal",
		"-text4 -b1024 -I1024"};
	const struct scene *s = *state;
	autofree char *folder = scene_path(s, "t");

	autofree char *shared = scene_path(s, "t/shared");
	autofree char *lost = scene_path(s, "t/lost+found");

	make_everything(s);
	autofree char *link = scene_path(s, "t/link-4095");

	/* mke2fs makes its own with this mode; a block of 1024 bytes has no room for the others. */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(chmod(lost, 0700), 0);
	assert_int_equal(removexattr(shared, "user.large"), 0);
	scene_file(s, "t/large", 70 << 20, 9);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		autofree char *image = xasprintf("%s/image-%zu", s->root, i);
		autofree char *script = xasprintf(
			"mke2fs -q -F %s -d %s %s 200M", kinds[i], folder, image);
		autoptr(tree) want = scene_scan(s, "t");
		autoptr(tree) got = NULL;
		autoptr(source) src = NULL;
		struct err e = {0};

		RUN("sh", "-c", script);
		assert_ok(source_open_path(image, &src, &e), e);
		assert_ok(ext4_tree_open(src, &got, &e), e);
		assert_int_equal(want->count, got->count);
		for (size_t k = 0; k < want->count; k++) {
			const struct tree_entry *x = &want->entries[k], *y = &got->entries[k];

			assert_same_entry(x, y);
			if (S_ISREG(x->mode) && x->link_of == k)
				assert_same_content(want, x, got, y);
		}
		assert_int_equal(unlink(image), 0);
	}
}

static void damaged_images_are_refused(void **state)
{
	const struct scene *s = *state;
	autoptr(source) whole = NULL;
	autoptr(source) half = NULL;
	autoptr(source) none = source_memory("", 0);
	struct tree *t = NULL;
	struct err e = {0};

	scene_folder(s, "t");
	scene_build(s, "t", "image", NULL);
	whole = scene_open(s, "image");
	half = source_slice(whole, 0, whole->size_bytes / 2);
	assert_fails(ext4_tree_open(half, &t, &e), EUCLEAN, e,
		"the file system is larger than its image");
	assert_fails(ext4_tree_open(none, &t, &e), EINVAL, e, "not an ext4 file system");
	source_free(take_ptr(half));
	half = source_slice(whole, 4096, whole->size_bytes - 4096);
	assert_fails(ext4_tree_open(half, &t, &e), EINVAL, e, "not an ext4 file system");
}

static void progress_reaches_its_total(void **state)
{
	const struct scene *s = *state;
	autofree char *path = scene_path(s, "image");
	autofree char *text = NULL;
	autoptr(tree) t = NULL;
	struct ext4_params p = scene_params(NULL);
	struct ext4_result result;
	struct progress progress;
	struct err e = {0};
	size_t len;
	FILE *out = open_memstream(&text, &len);

	make_everything(s);
	t = scene_scan(s, "t");
	progress_init_json(&progress, out);
	autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_ok(ext4_write(t, &p, fd, &result, &progress, &e), e);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(progress.stage, "rootfs");
	assert_true(progress.total > 40000001);
	assert_int_equal(progress.done, progress.total);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(everything_comes_back),
		TEST(discard_is_a_default_of_mounts),
		TEST(times_are_clamped),
		TEST(zeros_become_holes),
		TEST(same_input_same_bytes),
		TEST(size_is_kept_or_too_small),
		TEST(bad_trees_are_refused),
		TEST(attributes_have_limits),
		TEST(foreign_images_are_read),
		TEST(damaged_images_are_refused),
		TEST(progress_reaches_its_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
