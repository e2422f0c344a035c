/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files and folders: read, replace atomically, create, remove. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/*
 * The whole file as text the caller frees; *len may be NULL.  -EFBIG past max_bytes, -ENOENT when
 * there is none, -EISDIR for a folder.
 */
int file_read(const char *path, size_t max_bytes, char **out, size_t *len, struct err *e)
	MUST_CHECK;
int file_read_fd(int fd, size_t max_bytes, char **out, size_t *len, struct err *e) MUST_CHECK;

/* Write through a temporary file in the same folder: the old or the new content, never neither. */
int file_replace(const char *path, const void *data, size_t len, unsigned mode, struct err *e)
	MUST_CHECK;

/*
 * Open inside a tree that is not ours: path is resolved as if root_fd were "/", so no link and no
 * ".." leads out (openat2(2), RESOLVE_IN_ROOT).  Returns the descriptor, close-on-exec.
 */
int file_open_in_root(int root_fd, const char *path, int flags, unsigned mode, struct err *e)
	MUST_CHECK;
/* Same, but a path that would leave root_fd or meet a link on its way is -ELOOP or -EXDEV. */
int file_open_beneath(int root_fd, const char *path, int flags, struct err *e) MUST_CHECK;

/* file_read() and file_replace() inside such a tree; missing folders are made with mode 0755. */
int file_read_in_root(int root_fd, const char *path, size_t max_bytes, char **out, struct err *e)
	MUST_CHECK;
int file_write_in_root(
	int root_fd, const char *path, const char *text, unsigned mode, struct err *e) MUST_CHECK;
int file_make_folder_in_root(int root_fd, const char *path, struct err *e) MUST_CHECK;

/* The folder that path is in, "." without a slash; by its text only.  The caller frees it. */
char *file_parent(const char *path) MUST_CHECK;

/* mkdir -p. */
int file_make_folder(const char *path, unsigned mode, struct err *e) MUST_CHECK;

/*
 * A new folder PARENT/NAME.XXXXXX that only we may enter; parent NULL: TMPDIR, or /var/tmp, as what goes
 * there is large.  The caller frees *out and removes the folder.
 */
int file_make_temporary(const char *parent, const char *name, char **out, struct err *e) MUST_CHECK;

/* rm -rf without what is mounted: a mount point at it or below is an error.  A missing path is fine. */
int file_remove_tree(const char *path, struct err *e) MUST_CHECK;

/* Names in a folder, sorted, without "." and "..".  -ENOENT when there is none. */
int file_list(const char *path, struct strv *out, struct err *e) MUST_CHECK;

bool file_exists(const char *path);
