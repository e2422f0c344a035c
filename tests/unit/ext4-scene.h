/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of ext4 images share: a folder to work in, images, judges of images. */
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "fmt/ext4.h"
#include "test.h"

#define SCENE_TIME 1700000000

struct scene {
	char root[64]; /* removed in the end */
};

static inline int scene_setup(void **state)
{
	struct scene *s = xcalloc(1, sizeof(*s));

	snprintf(s->root, sizeof(s->root), "/tmp/bedplate-ext4.XXXXXX");
	*state = s;
	return mkdtemp(s->root) ? 0 : -1;
}

static inline int scene_teardown(void **state)
{
	struct scene *s = *state;
	int r = file_remove_tree(s->root, NULL);

	free(s);
	return r;
}

static inline char *scene_path(const struct scene *s, const char *name)
{
	return xasprintf("%s/%s", s->root, name);
}

static inline void scene_folder(const struct scene *s, const char *name)
{
	autofree char *path = scene_path(s, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

/* A file of len bytes, none of them zero and each block another. */
static inline void scene_file(const struct scene *s, const char *name, size_t len, unsigned seed)
{
	autofree char *path = scene_path(s, name);
	autofree uint8_t *data = xcalloc(1, len + 1);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)((i * 31 + i / 4096 * 7 + seed) % 255 + 1);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline struct ext4_params scene_params(const struct ext4_layout *previous)
{
	return (struct ext4_params){
		.uuid = {0xbe, 0xd0, 1},
		.hash_seed = {2, 3, 4},
		.label = "scene",
		.time = SCENE_TIME,
		.previous = previous,
	};
}

static inline int scene_write(const struct scene *s, struct tree *t, const struct ext4_params *p,
	const char *image, struct err *e)
{
	autofree char *path = scene_path(s, image);
	struct ext4_result result;
	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct stat st;
	int r;

	assert_true(fd >= 0);
	r = ext4_write(t, p, fd, &result, NULL, e);
	if (r == 0) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, result.size_bytes);
	}
	return r;
}

static inline struct tree *scene_scan(const struct scene *s, const char *folder)
{
	autofree char *path = scene_path(s, folder);
	struct tree *t = NULL;
	struct err e = {0};

	assert_ok(tree_scan(path, &t, &e), e);
	return t;
}

/* Write a folder as an image. */
static inline void scene_build(const struct scene *s, const char *folder, const char *image,
	const struct ext4_layout *previous)
{
	autoptr(tree) t = scene_scan(s, folder);
	struct ext4_params p = scene_params(previous);
	struct err e = {0};

	assert_ok(scene_write(s, t, &p, image, &e), e);
}

static inline struct source *scene_open(const struct scene *s, const char *image)
{
	autofree char *path = scene_path(s, image);
	struct source *src = NULL;
	struct err e = {0};

	assert_ok(source_open_path(path, &src, &e), e);
	return src;
}

static inline struct ext4_layout *scene_layout(const struct scene *s, const char *image)
{
	autoptr(source) src = scene_open(s, image);
	struct ext4_layout *l = NULL;
	struct err e = {0};

	assert_ok(ext4_layout_load(src, &l, &e), e);
	return l;
}

static inline void scene_fsck(const struct scene *s, const char *image)
{
	autofree char *path = scene_path(s, image);
	autofree char *text = NULL;
	struct err e = {0};
	autocmd c = {0};

	cmd_add(&c, "sh", "-c", "e2fsck -fn \"$1\" 2>&1", "sh", path, NULL);
	int r = cmd_output(&c, &text, &e);
	if (r < 0) {
		autocmd again = {0};

		cmd_add(&again, "e2fsck", "-fn", path, NULL);
		again.log_fd = 2;
		r = cmd_run(&again, &e);
		fail_msg("%s: %s", image, e.msg);
	}
}

static inline void assert_same_file(const char *a, const char *b)
{
	uint8_t x[SHA256_BYTES], y[SHA256_BYTES];
	struct err e = {0};

	assert_ok(sha256_file(a, x, &e), e);
	assert_ok(sha256_file(b, y, &e), e);
	assert_memory_equal(x, y, sizeof(x));
}

static inline void scene_same_image(const struct scene *s, const char *a, const char *b)
{
	autofree char *x = scene_path(s, a);
	autofree char *y = scene_path(s, b);

	assert_same_file(x, y);
}

static inline void assert_same_content(
	struct tree *a, const struct tree_entry *x, struct tree *b, const struct tree_entry *y)
{
	uint8_t digest[2][SHA256_BYTES];
	autoptr(source) s = NULL;
	autoptr(source) t = NULL;
	struct err e = {0};

	/* Only sources that know their holes may be larger than what a test can read. */
	assert_ok(tree_open(a, x, &s, &e), e);
	assert_ok(tree_open(b, y, &t, &e), e);
	assert_int_equal(s->size_bytes, t->size_bytes);
	if (s->size_bytes > 64 * MIB)
		return;
	assert_ok(sha256_source(s, digest[0], &e), e);
	assert_ok(sha256_source(t, digest[1], &e), e);
	assert_memory_equal(digest[0], digest[1], SHA256_BYTES);
}

static inline void assert_same_entry(const struct tree_entry *x, const struct tree_entry *y)
{
	assert_string_equal(x->path, y->path);
	assert_int_equal(x->mode, y->mode);
	assert_int_equal(x->uid, y->uid);
	assert_int_equal(x->gid, y->gid);
	assert_int_equal(x->size_bytes, y->size_bytes);
	assert_int_equal(x->dev_major, y->dev_major);
	assert_int_equal(x->dev_minor, y->dev_minor);
	assert_int_equal(x->link_of, y->link_of);
	if (x->target)
		assert_string_equal(x->target, y->target);
	assert_int_equal(x->xattr_count, y->xattr_count);
	for (size_t i = 0; i < x->xattr_count; i++) {
		assert_string_equal(x->xattrs[i].name, y->xattrs[i].name);
		assert_int_equal(x->xattrs[i].len, y->xattrs[i].len);
		assert_memory_equal(x->xattrs[i].value, y->xattrs[i].value, x->xattrs[i].len);
	}
}

/* All of want is in got, and nothing else.  Times of got are want's, at most latest. */
static inline void assert_same_tree(struct tree *want, struct tree *got, int64_t latest)
{
	assert_int_equal(want->count, got->count);
	for (size_t i = 0; i < want->count; i++) {
		const struct tree_entry *x = &want->entries[i], *y = &got->entries[i];

		assert_same_entry(x, y);
		assert_int_equal(MIN(x->mtime, latest), y->mtime);
		if (S_ISREG(x->mode) && x->link_of == i)
			assert_same_content(want, x, got, y);
	}
}

static inline void scene_compare(
	const struct scene *s, const char *folder, const char *image, int64_t latest)
{
	autoptr(tree) want = scene_scan(s, folder);
	autoptr(source) src = scene_open(s, image);
	autoptr(tree) got = NULL;
	struct err e = {0};

	assert_ok(ext4_tree_open(src, &got, &e), e);
	assert_same_tree(want, got, latest);
}
