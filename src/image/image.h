/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open any image: ours, a foreign live image, a flat squashfs, a bare ext4 file system.
 *
 * Everything behind it reads through struct source and struct tree, so nothing is mounted.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "base/tree.h"
#include "fmt/squashfs.h"

/* What the recipe's bootloader command says, in the tree: see docs/image-tree.md. */
#define BOOT_CONF_PATH "/usr/lib/bedplate/boot.conf"

enum image_kind {
	IMAGE_LIVE, /* squashfs around LiveOS/rootfs.img or LiveOS/ext3fs.img */
	IMAGE_FLAT, /* the tree directly in a squashfs */
	IMAGE_EXT4, /* a bare ext4 file system */
};

struct image;

/*
 * path is an image, or the folder of a build with exactly one *.squashfs.img in it.  -EBADMSG when
 * it is no image or a damaged one.
 */
int image_open(const char *path, struct image **out, struct err *e) MUST_CHECK;
/* The same out of anything that can be read; name is its path for messages.  Takes over file, also on
 * failure. */
int image_open_source(struct source *file, const char *name, struct image **out, struct err *e)
	MUST_CHECK;
void image_free(struct image *img);
DEFINE_AUTOPTR(image, image_free)

/* All of these belong to the image. */
const char *image_path(const struct image *img); /* of the image file itself */
enum image_kind image_kind(const struct image *img);
const char *image_kind_name(enum image_kind kind);
struct source *image_file(const struct image *img); /* the bytes of the image file */
struct tree *image_tree(const struct image *img);   /* the root file system */
/* The bytes of rootfs.img, for IMAGE_EXT4 those of the file.  NULL for IMAGE_FLAT. */
struct source *image_rootfs(const struct image *img);
/* What the squashfs holds.  NULL for IMAGE_EXT4; the same as image_tree() for IMAGE_FLAT. */
struct tree *image_outer(const struct image *img);
const struct squashfs_info *image_squashfs(const struct image *img); /* NULL for IMAGE_EXT4 */

/* The caller frees these: NAME-VERSION.manifest.json and so on, beside the image, there or not. */
char *image_sibling(const struct image *img, const char *suffix) MUST_CHECK;

/*
 * Find path in a tree as its own kernel would: links are followed inside the tree, also in the
 * middle and at the end.  NULL when there is none or links go round.
 */
const struct tree_entry *image_resolve(const struct tree *t, const char *path);

/* A whole file of the tree as text the caller frees.  -ENOENT, -EFBIG past max_bytes. */
int image_read(struct tree *t, const char *path, size_t max_bytes, char **out, size_t *len,
	struct err *e) MUST_CHECK;

/* Kernel releases, newest first: those with modules in /usr/lib/modules or a /boot/vmlinuz-*. */
void image_kernels(const struct tree *t, struct strv *out);

/*
 * The newest kernel and its initramfs.  NULL for an initramfs that is not there.  release is the
 * caller's to free.  -ENOENT when there is no kernel.
 */
int image_boot_entries(const struct tree *t, const struct tree_entry **kernel,
	const struct tree_entry **initramfs, char **release, struct err *e) MUST_CHECK;
/* Write them to two empty regular files.  -ENOENT when either is missing. */
int image_boot_files(struct image *img, int kernel_fd, int initramfs_fd, struct err *e) MUST_CHECK;

/*
 * The kernel parameters that the recipe's bootloader command left in BOOT_CONF_PATH; "" when there are
 * none.  The caller frees the text.
 */
int image_kernel_params(struct image *img, char **out, struct err *e) MUST_CHECK;
