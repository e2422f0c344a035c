/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a netroot tree.  Every path is relative to the tree, and no link on its way is followed: a
 * tree that somebody has put one into is refused with -ELOOP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "netroot/db.h"

/* One that is there keeps its mode, unless others could look into what is for its owner alone. */
int store_make_folder(int root_fd, const char *path, unsigned mode, struct err *e) MUST_CHECK;

/* A whole file the caller frees.  -ENOENT, -EFBIG past max_bytes. */
int store_read(int root_fd, const char *path, size_t max_bytes, char **out, size_t *len,
	struct err *e) MUST_CHECK;
int store_open(int root_fd, const char *path, struct source **out, struct err *e) MUST_CHECK;
/* 0 when the file holds what it should.  -ENOENT, -EBADMSG. */
int store_verify(int root_fd, const char *path, const struct netroot_file *want, struct err *e)
	MUST_CHECK;

/* The old or the new content, never neither; the same content is not written again. */
int store_write(int root_fd, const char *path, const void *data, size_t len, unsigned mode,
	struct err *e) MUST_CHECK;

/*
 * The same without its name, which store_adopt() gives it and store_abandon() takes back.  0: it is
 * there already, with this content.
 */
int store_stage(int root_fd, const char *path, const void *data, size_t len, unsigned mode,
	struct err *e) MUST_CHECK;
int store_adopt(int root_fd, const char *path, struct err *e) MUST_CHECK;

/* A new file, which gets its name with store_finish() and is taken back with store_abandon(). */
int store_begin(int root_fd, const char *path, unsigned mode, struct err *e) MUST_CHECK;
/* out may be NULL. */
int store_finish(int root_fd, const char *path, int fd, struct netroot_file *out, struct err *e)
	MUST_CHECK;
void store_abandon(int root_fd, const char *path);

/* A file or an empty folder.  None, or one that somebody has put something into, is fine. */
int store_remove(int root_fd, const char *path, struct err *e) MUST_CHECK;
/* Names in a folder, sorted; none when there is no folder. */
int store_list(int root_fd, const char *path, struct strv *out, struct err *e) MUST_CHECK;
