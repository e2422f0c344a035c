/* SPDX-License-Identifier: Apache-2.0 */
/* Hash trees that libcryptsetup makes: checked by ours and by veritysetup(8). */
#include "ext4-scene.h"
#include "fmt/verity.h"
#include "sys/verity.h"

static const struct verity_params params = {
	.salt = {1, 2, 3}, .uuid = {0x11, 0x22, 0x33, 0x44, 0x55}};

static struct verity_result append(
	const struct scene *s, const char *name, size_t blocks, unsigned roots)
{
	autofree char *path = scene_path(s, name);
	struct verity_params p = params;
	struct verity_result result;
	struct err e = {0};

	scene_file(s, name, blocks * 4096, 1);
	p.data_bytes = blocks * 4096;
	p.fec_roots = roots;
	assert_ok(verity_append(path, &p, &result, &e), e);
	return result;
}

static int check(
	const struct scene *s, const char *name, const struct verity_result *v, struct err *e)
{
	autoptr(source) src = scene_open(s, name);

	*e = (struct err){0};
	return verity_check_source(src, v->hash_offset, v->root_hash, NULL, e);
}

static int veritysetup(const struct scene *s, const char *name, const struct verity_result *v)
{
	char root[SHA256_HEX_BYTES];
	autofree char *path = scene_path(s, name);
	autocmd c = {0};

	hex_format(v->root_hash, sizeof(v->root_hash), root);
	cmd_add(&c, "veritysetup", "verify", path, path, root, NULL);
	cmd_addf(&c, "--hash-offset=%ju", (uintmax_t)v->hash_offset);
	return cmd_run(&c, NULL);
}

static void flip(const struct scene *s, const char *name, uint64_t off)
{
	autofree char *path = scene_path(s, name);
	autofd int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_int_equal(pread(fd, &b, 1, (off_t)off), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)off), 1);
}

/* No level, one block, one level full, two, and more than two. */
static void every_depth_is_checked(void **state)
{
	static const size_t blocks[] = {1, 2, 127, 128, 129, 128 * 128, 128 * 128 + 1};
	const struct scene *s = *state;
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		struct verity_result v = append(s, "image", blocks[i], 0);

		assert_int_equal(v.hash_offset, blocks[i] * 4096);
		assert_int_equal(v.fec_offset, 0);
		assert_ok(check(s, "image", &v, &e), e);
		assert_int_equal(veritysetup(s, "image", &v), 0);
		v.root_hash[31] ^= 1;
		assert_int_equal(check(s, "image", &v, &e), -EBADMSG);
	}
}

static void damage_is_found(void **state)
{
	const struct scene *s = *state;
	struct verity_result v = append(s, "image", 1000, 0);
	struct err e = {0};

	flip(s, "image", 700 * 4096 + 5);
	flip(s, "image", 567 * 4096);
	assert_fails(
		check(s, "image", &v, &e), EBADMSG, e, "data block 567 is not what was signed");
	assert_true(veritysetup(s, "image", &v) < 0);
	flip(s, "image", 700 * 4096 + 5);
	flip(s, "image", 567 * 4096);
	assert_ok(check(s, "image", &v, &e), e);

	/* The tree: one block on top, then eight. */
	flip(s, "image", v.hash_offset + 4096 + 100);
	assert_fails(check(s, "image", &v, &e), EBADMSG, e, "hash block 0 is not what was signed");
	flip(s, "image", v.hash_offset + 4096 + 100);
	flip(s, "image", v.hash_offset + 3 * 4096);
	assert_fails(check(s, "image", &v, &e), EBADMSG, e, "hash block 2 is not what was signed");
}

static void salt_and_uuid_are_ours(void **state)
{
	const struct scene *s = *state;
	struct verity_result v = append(s, "image", 10, 0);
	autoptr(source) src = scene_open(s, "image");
	struct verity_super sb;
	struct err e = {0};

	assert_ok(verity_super_read(src, v.hash_offset, &sb, &e), e);
	assert_memory_equal(sb.uuid, params.uuid, 16);
	assert_int_equal(sb.salt_len, 32);
	assert_memory_equal(sb.salt, params.salt, 32);
	assert_int_equal(sb.data_bytes, 40960);
	assert_int_equal(sb.tree_offset + sb.tree_bytes, v.total_bytes);
	assert_fails(verity_super_read(src, 0, &sb, &e), EINVAL, e, "no dm-verity superblock at 0");
}

static void same_input_same_bytes(void **state)
{
	const struct scene *s = *state;

	append(s, "one", 500, 2);
	append(s, "two", 500, 2);
	scene_same_image(s, "one", "two");
}

static void correction_data_corrects(void **state)
{
	const struct scene *s = *state;
	struct verity_result v = append(s, "image", 500, 2);
	autofree char *path = scene_path(s, "image");
	char root[SHA256_HEX_BYTES];
	struct err e = {0};
	autocmd c = {0};

	assert_true(v.fec_offset > v.hash_offset && v.fec_offset < v.total_bytes);
	assert_ok(check(s, "image", &v, &e), e);
	flip(s, "image", 123 * 4096 + 7);
	assert_int_equal(check(s, "image", &v, &e), -EBADMSG);

	hex_format(v.root_hash, sizeof(v.root_hash), root);
	cmd_add(&c, "veritysetup", "verify", path, path, root, "--fec-roots=2", NULL);
	cmd_addf(&c, "--hash-offset=%ju", (uintmax_t)v.hash_offset);
	cmd_addf(&c, "--fec-device=%s", path);
	cmd_addf(&c, "--fec-offset=%ju", (uintmax_t)v.fec_offset);
	assert_ok(cmd_run(&c, &e), e);
}

/* libcryptsetup makes the same parity. */
static void correction_data_is_the_usual(void **state)
{
	static const struct {
		size_t blocks;
		unsigned roots;
	} cases[] = {{1, 2}, {300, 2}, {3000, 2}, {1000, 3}, {700, 24}};
	const struct scene *s = *state;
	autofree char *path = scene_path(s, "image");
	autofree char *other = scene_path(s, "other");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct verity_result v = append(s, "image", cases[i].blocks, cases[i].roots);
		char salt[SHA256_HEX_BYTES];
		struct err e = {0};
		autocmd c = {0};

		hex_format(params.salt, sizeof(params.salt), salt);
		scene_file(s, "other", cases[i].blocks * 4096, 1);
		cmd_add(&c, "veritysetup", "format", other, other, NULL);
		cmd_addf(&c, "--hash-offset=%ju", (uintmax_t)v.hash_offset);
		cmd_addf(&c, "--data-blocks=%zu", cases[i].blocks);
		cmd_addf(&c, "--salt=%s", salt);
		cmd_add(&c, "--uuid=11223344-5500-0000-0000-000000000000", NULL);
		cmd_addf(&c, "--fec-device=%s", other);
		cmd_addf(&c, "--fec-offset=%ju", (uintmax_t)v.fec_offset);
		cmd_addf(&c, "--fec-roots=%u", cases[i].roots);
		assert_ok(cmd_run(&c, &e), e);
		assert_same_file(path, other);
	}
}

static void pieces_of_any_size(void **state)
{
	const struct scene *s = *state;
	struct verity_result v = append(s, "image", 300, 0);
	autoptr(source) src = scene_open(s, "image");
	autofree uint8_t *all = xcalloc(1, v.total_bytes);
	struct verity_super sb;
	struct err e = {0};

	assert_ok(source_read_at(src, all, v.total_bytes, 0, &e), e);
	assert_ok(verity_super_read(src, v.hash_offset, &sb, &e), e);
	for (size_t piece = 1; piece < 20000; piece = piece * 3 + 1) {
		autoptr(verity_check) c = verity_check_new(&sb, v.root_hash);

		for (size_t off = 0; off < v.total_bytes; off += piece) {
			if (off > v.total_bytes / 2)
				assert_int_equal(verity_check_end(c, NULL), -EIO);
			assert_ok(verity_check_feed(
					  c, all + off, MIN(piece, v.total_bytes - off), &e),
				e);
		}
		assert_ok(verity_check_end(c, &e), e);
	}
}

static void bad_parameters_are_refused(void **state)
{
	const struct scene *s = *state;
	autofree char *path = scene_path(s, "image");
	autofree char *want = NULL;
	struct verity_params p = params;
	struct verity_result v;
	struct err e = {0};

	scene_file(s, "image", 8192, 1);
	p.data_bytes = 4096;
	want = xasprintf(
		"'%s': 4096 bytes of data, the file has 8192: not the same whole blocks", path);
	assert_fails(verity_append(path, &p, &v, &e), EINVAL, e, want);
	p.data_bytes = 8192;
	p.fec_roots = 25;
	assert_int_equal(verity_append(path, &p, &v, &e), -EINVAL);
	assert_int_equal(verity_append(s->root, &p, &v, &e), -EINVAL);
}

/* name with data of so many blocks, in which those of the list are different. */
static void make_changed(const struct scene *s, const char *name, size_t blocks,
	const size_t *changed, size_t count, uint8_t *bits)
{
	scene_file(s, name, blocks * 4096, 1);
	for (size_t i = 0; i < count; i++) {
		size_t block = changed[i] % blocks;

		flip(s, name, block * 4096 + i * 37);
		flip(s, name, block * 4096 + 4095);
		bits[block / 8] |= (uint8_t)(1 << block % 8);
	}
}

/* Out of an earlier image come the bytes that come without one, whatever changed. */
static void what_changed_is_enough(void **state)
{
	static const size_t sizes[] = {1, 2, 129, 255, 1000, 128 * 128 + 300};
	static const size_t changed[] = {0, 5, 126, 128, 254, 777, 128 * 128 + 299};
	const struct scene *s = *state;
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (unsigned roots = 0; roots <= 24; roots += roots < 2 ? 2 : 22) {
			struct verity_params p = params;
			autofree uint8_t *bits = xcalloc(1, sizes[i] / 8 + 1);
			autofree char *full = scene_path(s, "full"), *part = scene_path(s, "part");
			struct verity_result want, got;

			append(s, "before", sizes[i], roots);
			autoptr(source) before = scene_open(s, "before");
			make_changed(s, "full", sizes[i], changed, ARRAY_LEN(changed), bits);
			make_changed(s, "part", sizes[i], changed, ARRAY_LEN(changed), bits);
			const struct verity_before was = {.image = before, .changed = bits};
			p.data_bytes = sizes[i] * 4096;
			p.fec_roots = roots;
			p.uuid[0] = 0x99;
			assert_ok(verity_append(full, &p, &want, &e), e);
			p.before = &was;
			assert_ok(verity_append(part, &p, &got, &e), e);
			assert_same_file(full, part);
			assert_memory_equal(&want, &got, sizeof(got));
			assert_ok(check(s, "part", &got, &e), e);
		}
	}
}

/* One that does not fit is as good as none. */
static void another_tree_is_not_used(void **state)
{
	const struct scene *s = *state;
	struct verity_params p = params;
	uint8_t bits[200] = {0};
	struct verity_result want, got;
	struct err e = {0};

	append(s, "before", 1000, 2);
	autoptr(source) before = scene_open(s, "before");
	const struct verity_before was = {.image = before, .changed = bits};
	autofree char *full = scene_path(s, "full"), *part = scene_path(s, "part");
	scene_file(s, "full", 1000 * 4096, 1);
	scene_file(s, "part", 1000 * 4096, 1);
	p.data_bytes = 1000 * 4096;
	p.fec_roots = 2;
	p.salt[5] = 1;
	assert_ok(verity_append(full, &p, &want, &e), e);
	p.before = &was;
	assert_ok(verity_append(part, &p, &got, &e), e);
	assert_same_file(full, part);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_depth_is_checked),
		TEST(damage_is_found),
		TEST(salt_and_uuid_are_ours),
		TEST(same_input_same_bytes),
		TEST(correction_data_corrects),
		TEST(correction_data_is_the_usual),
		TEST(pieces_of_any_size),
		TEST(bad_parameters_are_refused),
		TEST(what_changed_is_enough),
		TEST(another_tree_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
