/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a finished tree to rootfs.img: the file list, the ext4 file system, its dm-verity tree.
 *
 * Makes three files in a folder: rootfs.img, rootfs.files (the .files list) and rootfs.json (what
 * the manifest needs to know of the image).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "image/files.h"
#include "image/image.h"
#include "image/manifest.h"

#define ROOTFS_IMAGE "rootfs.img"
#define ROOTFS_FILES "rootfs.files"

/* Blocks of the file system, of 4096 bytes, that are not those of the previous image. */
struct rootfs_changed {
	uint8_t *bits;   /* the lowest first; the caller's to free */
	uint64_t blocks; /* 0: not compared */
};

struct rootfs_spec {
	const char *tree; /* folder */
	struct tree
		*scanned; /* what tree_scan() has seen of it, if that was done; its times are cut */
	const char *layout_tree; /* folder whose layout is kept when there is no previous image */
	struct image *previous;  /* image whose layout is kept, or NULL */
	const char *image_name;
	uint64_t size_bytes; /* of the file system; 0: as large as the content needs */
	bool discard;        /* mounted with it by default; an update has what previous has */
	int64_t source_date;
	const char *folder; /* where the files go */
	/*
	 * previous is at hand unpacked, and the tree is its own with few changes: the hash tree is made
	 * out of that one's.
	 */
	bool is_update;
	struct rootfs_changed *changed; /* filled then, or NULL */
	const struct files *known;      /* of previous; NULL: every file is read */
	/* Whether a file is certainly the one of known. */
	bool (*is_known)(void *ctx, const struct tree_entry *en);
	void *ctx;
};

/* *kept and *fresh: blocks of files where the layout has them, and others. */
int rootfs_make(const struct rootfs_spec *spec, uint64_t *kept, uint64_t *fresh, struct progress *p,
	struct err *e) MUST_CHECK;

/* Put what rootfs_make() left in a folder into m: rootfs and verity. */
int rootfs_describe(const char *folder, struct manifest *m, struct err *e) MUST_CHECK;
