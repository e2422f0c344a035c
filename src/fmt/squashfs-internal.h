/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the squashfs writer and reader share.  Included by fmt/squashfs*.c only. */
#pragma once

#include <sqfs/block.h>
#include <sqfs/compressor.h>
#include <sqfs/error.h>
#include <sqfs/io.h>
#include <sqfs/predef.h>
#include <sqfs/super.h>

#include "fmt/squashfs.h"

#define SQUASHFS_WORD_RAW    (1U << 24) /* in a size word: stored as it is */
#define SQUASHFS_LEN(word)   ((word) & (SQUASHFS_WORD_RAW - 1))
#define SQUASHFS_NO_FRAGMENT UINT32_MAX
#define SQUASHFS_STORED_HASH 16 /* bytes kept of the digest of a stored block */

static inline void sqfs_auto(void *p)
{
	sqfs_destroy(*(void **)p);
}
#define autosqfs auto_with(sqfs_auto)

/* A libsquashfs error as ours: "what: text". */
int squashfs_error(struct err *e, int code, const char *what) MUST_CHECK;

bool squashfs_is_zero(const uint8_t *data, size_t len);

/* Fill in defaults and refuse what is out of range. */
int squashfs_params_check(
	const struct squashfs_params *in, struct squashfs_params *out, struct err *e) MUST_CHECK;
SQFS_COMPRESSOR squashfs_compressor_id(enum squashfs_compressor c);
/* p is checked. */
int squashfs_compressor_new(const struct squashfs_params *p, sqfs_compressor_t **out, struct err *e)
	MUST_CHECK;
int squashfs_decompressor_new(int id, uint32_t block_bytes, sqfs_compressor_t **out, struct err *e)
	MUST_CHECK;

/*
 * Compress one block into out, which has room for SQUASHFS_OUT_BYTES(len).  Gives its size word: when it
 * does not get smaller, out holds a copy.
 */
int squashfs_compress(sqfs_compressor_t *cmp, const uint8_t *in, uint32_t len, uint8_t *out,
	uint32_t *word, struct err *e) MUST_CHECK;
#define SQUASHFS_OUT_BYTES(len) ((size_t)(len) + (len) / 4 + 64 * KIB)

/* What the compressor makes of fixed samples: two that agree give the same images. */
int squashfs_fingerprint(const struct squashfs_params *p, uint8_t out[SHA256_BYTES], struct err *e)
	MUST_CHECK;

/* Index: blocks of one image by content. */
struct squashfs_index_entry {
	uint8_t plain[SHA256_BYTES];
	uint8_t stored[SQUASHFS_STORED_HASH];
	uint64_t off;
	uint32_t word;
};

struct squashfs_index {
	uint8_t fingerprint[SHA256_BYTES];
	struct squashfs_index_entry *entries;
	size_t count, room;
};

void squashfs_index_add(struct squashfs_index *x, const struct squashfs_index_entry *en);

/* From the image alone: unpacks every block once.  The fingerprint stays zero. */
int squashfs_index_build(struct source *image, struct squashfs_index **out, struct progress *p,
	struct err *e) MUST_CHECK;

/* Whether copying from x gives what compressing with p would. */
bool squashfs_reuse_fits(const struct squashfs_reuse *x, const struct squashfs_params *p,
	const uint8_t fingerprint[SHA256_BYTES]);
/* Any thread.  out as for squashfs_compress().  False: not there, or not what the index says. */
bool squashfs_reuse_find(const struct squashfs_reuse *x, const uint8_t plain[SHA256_BYTES],
	uint8_t *out, uint32_t *word);

/* Pipe: blocks in, compressed on many threads, out in the order they came in. */
struct squashfs_block {
	uint8_t *in, *out;
	uint32_t len;
	uint64_t tag;    /* the submitter's */
	bool may_sparse; /* all zero is no block at all */
	bool hole;       /* all zero without a look at in */
	bool kept;       /* out and word are there already */
	uint32_t word;   /* 0: sparse */
	bool reused;
	uint8_t plain[SHA256_BYTES], stored[SQUASHFS_STORED_HASH];
};

struct squashfs_pipe;

struct squashfs_pipe_spec {
	const struct squashfs_params *params; /* checked; must outlive the pipe */
	const struct squashfs_reuse *reuse;   /* one that fits, or NULL */
	int (*done)(void *ctx, const struct squashfs_block *b, struct err *e);
	void *ctx;
};

int squashfs_pipe_new(const struct squashfs_pipe_spec *spec, struct squashfs_pipe **out,
	struct err *e) MUST_CHECK;
void squashfs_pipe_free(struct squashfs_pipe *p);
DEFINE_AUTOPTR(squashfs_pipe, squashfs_pipe_free)
/* The next block to fill and submit; waits for room and calls done() meanwhile. */
int squashfs_pipe_next(struct squashfs_pipe *p, struct squashfs_block **out, struct err *e)
	MUST_CHECK;
void squashfs_pipe_submit(struct squashfs_pipe *p);
/* Wait for all blocks. */
int squashfs_pipe_drain(struct squashfs_pipe *p, struct err *e) MUST_CHECK;
