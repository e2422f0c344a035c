/* SPDX-License-Identifier: Apache-2.0 */
/* One file from one folder to another, with everything that it has. */
#pragma once

#include "base/err.h"

struct copy_place {
	int fd; /* of the folder */
	const char *name;
};

/*
 * The folder that a path of a tree is in; the caller closes out->fd.  No link is followed.  -ENOENT,
 * -ENOTDIR, -ELOOP: there is no such folder.
 */
int copy_place_open(int root_fd, const char *path, struct copy_place *out, struct err *e)
	MUST_CHECK;
/* 1, or 0 when there is no such folder. */
int copy_place_find(int root_fd, const char *path, struct copy_place *out, struct err *e)
	MUST_CHECK;
/* 1: something is mounted on it, be it another folder of the same file system. */
int copy_place_mounted(const struct copy_place *at, struct err *e) MUST_CHECK;

/* A file, a link, a node, or a folder without what is in it.  "to" is not there yet. */
int copy_object(const struct copy_place *from, const struct copy_place *to, struct err *e)
	MUST_CHECK;
/* Owner, mode, extended attributes and times of one that is there, of the same type. */
int copy_attributes(const struct copy_place *from, const struct copy_place *to, struct err *e)
	MUST_CHECK;
/*
 * A word that says whether it is still the same: type, owner, mode, and content.  "": there is nothing.
 * The caller frees it.
 */
int copy_mark(const struct copy_place *at, char **out, struct err *e) MUST_CHECK;
/* The folder's name for what takes a path.  The caller frees it. */
char *copy_place_path(const struct copy_place *at) MUST_CHECK;
