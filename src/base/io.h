/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to read and bytes to write, whatever they lie in.
 *
 * A source is random-access and read-only: a file, a file inside an image, memory.  Readers of a
 * format take a source, so that they work on an image inside an image without a mount.  Writers
 * take a descriptor of a regular file and use io_pwrite().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct source;

struct source_ops {
	/* Fill buf with exactly len bytes from off; reading past the end is -EIO. */
	int (*read_at)(struct source *s, void *buf, size_t len, uint64_t off, struct err *e);
	/*
	 * The first run of data at or after off: *start and *end in bytes, both size_bytes when
	 * only a hole is left.  NULL when the source does not know its holes.
	 */
	int (*next_data)(
		struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e);
	void (*free)(struct source *s);
};

/* Embed as the first member of the implementation's own struct. */
struct source {
	const struct source_ops *ops;
	uint64_t size_bytes;
};

void source_free(struct source *s);
DEFINE_AUTOPTR(source, source_free)

int source_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e) MUST_CHECK;
/* A source without holes of its own answers that all of it is data. */
int source_next_data(struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e)
	MUST_CHECK;

/* A regular file or block device.  Takes over fd, also on failure. */
int source_open_fd(int fd, struct source **out, struct err *e) MUST_CHECK;
int source_open_path(const char *path, struct source **out, struct err *e) MUST_CHECK;
/* len bytes from off of parent, which must outlive it. */
struct source *source_slice(struct source *parent, uint64_t off, uint64_t len) MUST_CHECK;
/* Memory, which must outlive it. */
struct source *source_memory(const void *data, size_t len) MUST_CHECK;

/* Everything or an error. */
int io_pwrite(int fd, const void *buf, size_t len, uint64_t off, struct err *e) MUST_CHECK;
int io_write(int fd, const void *buf, size_t len, struct err *e) MUST_CHECK;
