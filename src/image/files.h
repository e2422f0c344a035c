/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The .files list: one line for each file of an image, with its digest.
 *
 * Format: docs/formats/files.md.  Two trees are the same if and only if their lists are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/tree.h"

#define FILES_SUFFIX    ".files"
#define FILES_MAX_BYTES (1 * GIB)

struct files_entry {
	char *path; /* without a leading '/'; "" is the root */
	uint32_t mode;
	uint32_t uid, gid;
	uint64_t size_bytes; /* of a regular file */
	int64_t mtime;
	/* Of a regular file; zero otherwise. */
	uint8_t sha256[SHA256_BYTES];
	char *target; /* of a symbolic link */
	uint32_t dev_major, dev_minor;
	size_t link_of; /* index of the first path of the same file */
	struct xattr *xattrs;
	size_t xattr_count;
};

struct files {
	struct files_entry *entries; /* in tree order */
	size_t count, room;
};

void files_free(struct files *f);
DEFINE_AUTOPTR(files, files_free)

/* Read and hash every regular file once, hard links too. */
int files_compute(struct tree *t, struct files **out, struct progress *p, struct err *e) MUST_CHECK;

/* The same, but what is_known() says is taken from known, when it is there with this size.  known: or NULL. */
int files_compute_known(struct tree *t, const struct files *known,
	bool (*is_known)(void *ctx, const struct tree_entry *en), void *ctx, struct files **out,
	struct progress *p, struct err *e) MUST_CHECK;

/* The caller frees the text. */
char *files_format(const struct files *f, size_t *len) MUST_CHECK;
/* text is cut into pieces.  -EBADMSG with the number of the line that is wrong. */
int files_parse(char *text, size_t len, struct files **out, struct err *e) MUST_CHECK;
int files_load(const char *path, struct files **out, struct err *e) MUST_CHECK;

/* Of all that a list says but the times: what the UUIDs of an image are derived from. */
void files_digest(const struct files *f, uint8_t out[SHA256_BYTES]);

/* NULL when there is none. */
const struct files_entry *files_find(const struct files *f, const char *path);
