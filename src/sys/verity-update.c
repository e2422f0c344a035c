/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/verity-update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "base/xalloc.h"
#include "sys/verity-fec.h"

#define BLOCK_BYTES      4096
#define DIGESTS_IN_BLOCK (BLOCK_BYTES / SHA256_BYTES)
#define LEVELS_MAX       10
#define SUPER_BYTES      512
/* In the superblock of the hash area: cryptsetup's wiki, "DMVerity". */
#define SUPER_UUID      16
#define SUPER_SALT_SIZE 80
#define SUPER_SALT      88

struct level {
	uint8_t *data; /* in the tree */
	uint8_t *changed;
	uint64_t blocks;
};

struct update {
	const struct verity_params *p;
	const struct verity_before *before;
	struct source *now; /* the new data */
	int fd;             /* of the same file */
	uint64_t data_blocks, tree_blocks;
	struct level levels[LEVELS_MAX]; /* the lowest first */
	unsigned level_count;
	uint8_t *tree, *old_tree;
	struct fec_update *fec;
	struct sha256 *hash;
	uint8_t old_block[BLOCK_BYTES], new_block[BLOCK_BYTES];
};

static void update_fini(struct update *u)
{
	for (unsigned i = 0; i < u->level_count; i++)
		free(u->levels[i].changed);
	free(u->tree);
	free(u->old_tree);
	fec_update_free(u->fec);
	sha256_free(u->hash);
	source_free(u->now);
	if (u->fd >= 0)
		close(u->fd);
}

static void measure(struct update *u)
{
	u->data_blocks = u->p->data_bytes / BLOCK_BYTES;
	for (uint64_t n = u->data_blocks; n > 1 && u->level_count < LEVELS_MAX;) {
		n = (n + DIGESTS_IN_BLOCK - 1) / DIGESTS_IN_BLOCK;
		u->levels[u->level_count++].blocks = n;
		u->tree_blocks += n;
	}
}

/* What verity_append() writes in front of the tree; the UUID is the image's own. */
static int make_super(struct update *u, uint8_t super[BLOCK_BYTES], struct err *e)
{
	uint8_t *salt_size = super + SUPER_SALT_SIZE;
	uint64_t want = u->p->data_bytes + (1 + u->tree_blocks) * BLOCK_BYTES, blocks = 0;
	int r;

	if (u->p->fec_roots != 0)
		want += fec_bytes(u->data_blocks + u->tree_blocks, u->p->fec_roots);
	if (u->before->image->size_bytes != want || u->level_count == 0)
		return err_set(e, ENOTSUP, "an earlier image of another size");
	r = source_read_at(u->before->image, super, BLOCK_BYTES, u->p->data_bytes, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < 8; i++)
		blocks |= (uint64_t)super[72 + i] << 8 * i;
	if (memcmp(super, "verity\0\0\1\0\0\0\1\0\0\0", 16) != 0 ||
		memcmp(super + 32, "sha256\0", 7) != 0 ||
		memcmp(super + 64, "\0\x10\0\0\0\x10\0\0", 8) != 0 || blocks != u->data_blocks ||
		salt_size[0] != sizeof(u->p->salt) || salt_size[1] != 0 ||
		memcmp(super + SUPER_SALT, u->p->salt, sizeof(u->p->salt)) != 0)
		return err_set(e, ENOTSUP, "an earlier image with another hash tree");
	memcpy(super + SUPER_UUID, u->p->uuid, sizeof(u->p->uuid));
	memset(super + SUPER_BYTES, 0, BLOCK_BYTES - SUPER_BYTES);
	return 0;
}

static int load_tree(struct update *u, struct err *e)
{
	size_t len = (size_t)u->tree_blocks * BLOCK_BYTES;
	uint8_t *at;
	int r;

	u->old_tree = xcalloc(1, len);
	r = source_read_at(u->before->image, u->old_tree, len, u->p->data_bytes + BLOCK_BYTES, e);
	if (r < 0)
		return r;
	u->tree = xmemdup(u->old_tree, len);
	/* The top of the tree comes first. */
	at = u->tree;
	for (unsigned i = u->level_count; i > 0; i--) {
		u->levels[i - 1].data = at;
		u->levels[i - 1].changed = xcalloc(1, (size_t)u->levels[i - 1].blocks);
		at += u->levels[i - 1].blocks * BLOCK_BYTES;
	}
	return 0;
}

static void hash_block(struct update *u, const uint8_t *block, uint8_t out[SHA256_BYTES])
{
	sha256_add(u->hash, u->p->salt, sizeof(u->p->salt));
	sha256_add(u->hash, block, BLOCK_BYTES);
	sha256_end(u->hash, out);
}

static void set_digest(struct update *u, unsigned level, uint64_t index, const uint8_t *block)
{
	struct level *l = &u->levels[level];

	hash_block(u, block, l->data + index * SHA256_BYTES);
	l->changed[index / DIGESTS_IN_BLOCK] = 1;
}

static int add_data(struct update *u, struct err *e)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < u->data_blocks; i++) {
		if (!(u->before->changed[i / 8] >> i % 8 & 1))
			continue;
		r = source_read_at(u->before->image, u->old_block, BLOCK_BYTES, i * BLOCK_BYTES, e);
		if (r == 0)
			r = source_read_at(u->now, u->new_block, BLOCK_BYTES, i * BLOCK_BYTES, e);
		if (r == 0)
			r = interrupt_check(e);
		if (r < 0)
			return r;
		set_digest(u, 0, i, u->new_block);
		if (u->fec)
			fec_update_add(u->fec, i, u->old_block, u->new_block);
	}
	return r;
}

static void add_tree(struct update *u)
{
	for (unsigned k = 0; k + 1 < u->level_count; k++)
		for (uint64_t i = 0; i < u->levels[k].blocks; i++)
			if (u->levels[k].changed[i])
				set_digest(u, k + 1, i, u->levels[k].data + i * BLOCK_BYTES);
	for (uint64_t i = 0; u->fec && i < u->tree_blocks; i++)
		fec_update_add(u->fec, u->data_blocks + i, u->old_tree + i * BLOCK_BYTES,
			u->tree + i * BLOCK_BYTES);
}

static int write_all(struct update *u, const uint8_t super[BLOCK_BYTES], struct verity_result *out,
	struct err *e)
{
	uint64_t at = u->p->data_bytes;
	int r = io_pwrite(u->fd, super, BLOCK_BYTES, at, e);

	if (r == 0)
		r = io_pwrite(
			u->fd, u->tree, (size_t)u->tree_blocks * BLOCK_BYTES, at + BLOCK_BYTES, e);
	*out = (struct verity_result){
		.hash_offset = at, .total_bytes = at + (1 + u->tree_blocks) * BLOCK_BYTES};
	hash_block(u, u->levels[u->level_count - 1].data, out->root_hash);
	if (r < 0 || !u->fec)
		return r;
	out->fec_offset = out->total_bytes;
	r = fec_update_write(u->fec, u->fd, out->fec_offset, e);
	out->total_bytes += fec_bytes(u->data_blocks + u->tree_blocks, u->p->fec_roots);
	return r;
}

static int run(struct update *u, struct verity_result *out, struct err *e)
{
	uint8_t super[BLOCK_BYTES];
	int r;

	measure(u);
	r = make_super(u, super, e);
	if (r == 0)
		r = load_tree(u, e);
	if (r == 0 && u->p->fec_roots != 0)
		r = fec_update_new(u->before->image,
			u->p->data_bytes + (1 + u->tree_blocks) * BLOCK_BYTES,
			u->data_blocks + u->tree_blocks, u->p->fec_roots, &u->fec, e);
	if (r == 0)
		r = add_data(u, e);
	if (r < 0)
		return r;
	add_tree(u);
	return write_all(u, super, out, e);
}

int verity_update(
	const char *path, const struct verity_params *p, struct verity_result *out, struct err *e)
{
	auto_with(update_fini) struct update u = {.p = p, .before = p->before, .fd = -1};
	int r = source_open_path(path, &u.now, e);

	if (r < 0)
		return r;
	u.hash = sha256_new();
	u.fd = open(path, O_WRONLY | O_CLOEXEC);
	if (u.fd < 0)
		return err_errno(e, "'%s'", path);
	return run(&u, out, e);
}
