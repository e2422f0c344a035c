/* SPDX-License-Identifier: Apache-2.0 */
/* FAT file systems in files and on parts of disks, through mkfs.vfat and mtools: no mounts. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct fat {
	const char *path;      /* a file or device */
	uint64_t offset_bytes; /* of the file system in it */
	int64_t date;          /* of all that is made */
};

/*
 * A new file with all that is in folder, as large as that needs.  The same input gives the same
 * bytes.
 */
int fat_make_image(const struct fat *f, const char *label, const char *folder, struct err *e)
	MUST_CHECK;
/* All that is in folder, in a fixed order.  Files are replaced. */
int fat_put_tree(const struct fat *f, const char *folder, struct err *e) MUST_CHECK;

/* An empty FAT32 of size_bytes in the place of what is there. */
int fat_format(const struct fat *f, const char *label, uint64_t size_bytes, struct err *e)
	MUST_CHECK;
/* The label, without the blanks at its end; the caller frees it.  -EINVAL: not a FAT32. */
int fat_label(const struct fat *f, char **out, struct err *e) MUST_CHECK;
int fat_free_bytes(const struct fat *f, uint64_t *out, struct err *e) MUST_CHECK;
/* Of the files in a folder and below, named as below; on the disk they take a little more. */
int fat_folder_bytes(const struct fat *f, const char *path, uint64_t *out, struct err *e)
	MUST_CHECK;
/* Paths in these are from the root, without a leading '/'. */
bool fat_exists(const struct fat *f, const char *path);
/* At most 16 MiB of text the caller frees. */
int fat_read(const struct fat *f, const char *path, char **out, struct err *e) MUST_CHECK;
/* The file there is replaced. */
int fat_put_file(const struct fat *f, const char *from, const char *path, struct err *e) MUST_CHECK;
/* Nothing may stand at the new path. */
int fat_rename(const struct fat *f, const char *from, const char *to, struct err *e) MUST_CHECK;
/* A file or a folder with all in it. */
int fat_remove(const struct fat *f, const char *path, struct err *e) MUST_CHECK;
/*
 * Names of all that is in a folder, those of folders with a '/' behind them.  As everywhere here, mtools takes
 * "[...]" in a path for a pattern.
 */
int fat_list(const struct fat *f, const char *path, struct strv *out, struct err *e) MUST_CHECK;
