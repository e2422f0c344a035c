/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small changes to a tree that is not trusted: every path counts from root_fd and no link leads
 * out (base/file.h).  A path that is not there is fine for all that remove.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

bool intree_has(int root_fd, const char *path); /* links are followed */
bool intree_is_link(int root_fd, const char *path);

/* A file or a folder with all that is in it. */
int intree_remove(int root_fd, const char *path, struct err *e) MUST_CHECK;
/* What is in a folder and matches the glob; "*" empties it, files with a leading '.' too. */
int intree_remove_matching(int root_fd, const char *folder, const char *glob, struct err *e)
	MUST_CHECK;
/* Every regular file under a folder. */
int intree_remove_files(int root_fd, const char *folder, struct err *e) MUST_CHECK;

/* Put a symbolic link in the place of whatever is there; folders on the way are made. */
int intree_link(int root_fd, const char *target, const char *path, struct err *e) MUST_CHECK;
/* A new file in the place of whatever is there. */
int intree_write(int root_fd, const char *path, const char *text, unsigned mode, struct err *e)
	MUST_CHECK;
/* Names in a folder, sorted.  No folder: no names. */
int intree_list(int root_fd, const char *folder, struct strv *out, struct err *e) MUST_CHECK;
/* Move a folder to a place that does not exist, and leave a relative link behind. */
int intree_move_folder(
	int root_fd, const char *from, const char *to, const char *link, struct err *e) MUST_CHECK;
