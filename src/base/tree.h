/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file-system tree as a sorted list: what image writers take and image readers give.
 *
 * Entries are in tree order: a folder, then all that is in it, names compared by bytes.  A list
 * holds names and attributes only; content comes through tree_open().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"

struct xattr {
	char *name;
	void *value; /* in the form of getxattr(2), also for ACLs */
	size_t len;
};

/* In the same order, as tree_scan() and the others that fill them have them. */
bool xattrs_equal(const struct xattr *a, size_t a_count, const struct xattr *b, size_t b_count);

struct tree_entry {
	char *path;    /* without a leading '/'; "" is the root */
	char *target;  /* of a symbolic link */
	uint32_t mode; /* type and permissions, as in st_mode */
	uint32_t uid, gid;
	uint32_t dev_major, dev_minor; /* of a device node */
	uint64_t size_bytes;           /* of a regular file */
	int64_t mtime;                 /* seconds since 1970 */
	struct xattr *xattrs;          /* sorted by name */
	size_t xattr_count;
	size_t link_of; /* index of the first entry of the same inode; its own when first */
	uint64_t inode; /* in the file system it was read from */
	/* When tree_scan() read it: its st_ctim in nanoseconds; otherwise 0. */
	int64_t changed_ns;
};

struct tree;

struct tree_ops {
	int (*open)(
		struct tree *t, const struct tree_entry *en, struct source **out, struct err *e);
	void (*free)(void *ctx);
};

struct tree {
	struct tree_entry *entries;
	size_t count, room;
	const struct tree_ops *ops;
	void *ctx;
};

void tree_free(struct tree *t);
DEFINE_AUTOPTR(tree, tree_free)

struct tree *tree_new(const struct tree_ops *ops, void *ctx) MUST_CHECK;

/* Append; the tree owns all that en points to.  link_of is set by the caller or in tree_sort(). */
struct tree_entry *tree_add(struct tree *t, const struct tree_entry *en);

/*
 * Put the entries in tree order and set link_of from equal, non-zero inode numbers of files that
 * are not folders.
 */
void tree_sort(struct tree *t);

/* Take out a path, without a leading '/', and all below it.  Fine when there is none. */
void tree_drop(struct tree *t, const char *path);

/* Take out what is not wanted, one by one: whoever keeps something keeps the folders on its way. */
void tree_keep(struct tree *t, bool (*want)(const struct tree_entry *en, const void *ctx),
	const void *ctx);

/* No entry is younger than latest (seconds since 1970): what a build writes has no time of its own. */
void tree_clamp_times(struct tree *t, int64_t latest);

/* NULL when there is none.  The path is without a leading '/'. */
const struct tree_entry *tree_find(const struct tree *t, const char *path);

/* Order of two paths in tree order, as for strcmp(). */
int tree_path_compare(const char *a, const char *b);

/* The last component. */
const char *tree_entry_name(const struct tree_entry *en);

/* Content of a regular file.  The caller frees the source before the tree. */
int tree_open(struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
	MUST_CHECK;

/*
 * Read the folder at path, staying on its file system and never following a link.  The tree must
 * not change meanwhile.  Entries under a mount point are left out, the mount point itself is not.
 */
int tree_scan(const char *path, struct tree **out, struct err *e) MUST_CHECK;
/* Append one file, as tree_scan() would, as path: name in dir_fd.  0: there is none, 1: it is in. */
int tree_look(struct tree *t, int dir_fd, const char *name, const char *path, struct err *e)
	MUST_CHECK;
