/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/verity.h"

#include <inttypes.h>
#include <string.h>

#include "base/endian.h"
#include "base/str.h"
#include "base/xalloc.h"

#define DIGESTS_IN_BLOCK (VERITY_BLOCK_BYTES / SHA256_BYTES)
#define LEVELS_MAX       8 /* 128^8 blocks are more than any file has */
#define CHUNK_BYTES      MIB
#define DATA_MAX_BYTES   (1ULL << 44)

struct disk_verity_super {
	uint8_t signature[8]; /* "verity", two NULs */
	le32 version;
	le32 hash_type; /* 1: salt before data; 0 is Chromium OS's */
	uint8_t uuid[16];
	char algorithm[32];
	le32 data_block_bytes;
	le32 hash_block_bytes;
	le64 data_blocks;
	le16 salt_len;
	uint8_t unused1[6];
	uint8_t salt[VERITY_SALT_MAX_BYTES];
	uint8_t unused2[168];
};
static_assert(sizeof(struct disk_verity_super) == 512, "verity superblock");

/* A level of the tree: as the image has it, digests one after another. */
struct level {
	uint64_t blocks;
	uint8_t *data; /* read and found good so far */
};

struct verity_check {
	struct verity_super sb;
	uint8_t root[SHA256_BYTES];
	uint64_t data_blocks;
	uint8_t *digests;                /* of the data blocks, computed */
	struct level levels[LEVELS_MAX]; /* 0 is above the data */
	unsigned level_count;
	struct sha256 *hash;

	uint64_t pos; /* bytes fed */
	uint8_t block[VERITY_BLOCK_BYTES];
	unsigned level; /* being read, plus 1; 0: the tree is complete */
	uint64_t at;    /* block in it */
};

static uint64_t blocks_above(uint64_t blocks)
{
	return (blocks + DIGESTS_IN_BLOCK - 1) / DIGESTS_IN_BLOCK;
}

static uint64_t tree_blocks(uint64_t data_blocks)
{
	uint64_t sum = 0;

	for (uint64_t n = data_blocks; n > 1; sum += n)
		n = blocks_above(n);
	return sum;
}

int verity_super_read(
	struct source *image, uint64_t hash_offset, struct verity_super *out, struct err *e)
{
	struct disk_verity_super d;
	uint64_t blocks;
	int r;

	if (hash_offset > image->size_bytes || image->size_bytes - hash_offset < sizeof(d))
		return err_set(e, EINVAL, "no dm-verity superblock at %" PRIu64, hash_offset);
	r = source_read_at(image, &d, sizeof(d), hash_offset, e);
	if (r < 0)
		return r;
	if (memcmp(d.signature, "verity\0", sizeof(d.signature)) != 0)
		return err_set(e, EINVAL, "no dm-verity superblock at %" PRIu64, hash_offset);
	if (le32_get(d.version) != 1 || le32_get(d.hash_type) != 1 ||
		memcmp(d.algorithm, "sha256", sizeof("sha256")) != 0 ||
		le32_get(d.data_block_bytes) != VERITY_BLOCK_BYTES ||
		le32_get(d.hash_block_bytes) != VERITY_BLOCK_BYTES)
		return err_set(e, ENOTSUP, "dm-verity of another kind than SHA-256 of %d bytes",
			VERITY_BLOCK_BYTES);
	blocks = le64_get(d.data_blocks);
	if (blocks == 0 || blocks > DATA_MAX_BYTES / VERITY_BLOCK_BYTES ||
		blocks > hash_offset / VERITY_BLOCK_BYTES ||
		hash_offset % VERITY_BLOCK_BYTES != 0 ||
		le16_get(d.salt_len) > VERITY_SALT_MAX_BYTES)
		return err_set(e, EUCLEAN, "damaged dm-verity superblock");

	*out = (struct verity_super){
		.salt_len = le16_get(d.salt_len),
		.data_bytes = blocks * VERITY_BLOCK_BYTES,
		.hash_offset = hash_offset,
		.tree_offset = hash_offset + VERITY_BLOCK_BYTES,
		.tree_bytes = tree_blocks(blocks) * VERITY_BLOCK_BYTES,
	};
	memcpy(out->uuid, d.uuid, sizeof(out->uuid));
	memcpy(out->salt, d.salt, sizeof(out->salt));
	return 0;
}

struct verity_check *verity_check_new(
	const struct verity_super *sb, const uint8_t root_hash[SHA256_BYTES])
{
	struct verity_check *c = xcalloc(1, sizeof(*c));

	c->sb = *sb;
	memcpy(c->root, root_hash, sizeof(c->root));
	c->hash = sha256_new();
	c->data_blocks = sb->data_bytes / VERITY_BLOCK_BYTES;
	c->digests = xcalloc(c->data_blocks, SHA256_BYTES);
	for (uint64_t n = c->data_blocks; n > 1;) {
		struct level *level = &c->levels[c->level_count++];

		assert(c->level_count <= LEVELS_MAX);
		level->blocks = n = blocks_above(n);
		level->data = xcalloc(n, VERITY_BLOCK_BYTES);
	}
	c->level = c->level_count;
	return c;
}

void verity_check_free(struct verity_check *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->level_count; i++)
		free(c->levels[i].data);
	sha256_free(c->hash);
	free(c->digests);
	free(c);
}

static void digest(struct verity_check *c, const uint8_t *block, uint8_t out[SHA256_BYTES])
{
	sha256_add(c->hash, c->sb.salt, c->sb.salt_len);
	sha256_add(c->hash, block, VERITY_BLOCK_BYTES);
	sha256_end(c->hash, out);
}

/* The lowest level is good: now every data block can be judged. */
static int judge_data(struct verity_check *c, struct err *e)
{
	const uint8_t *want = c->level_count > 0 ? c->levels[0].data : c->root;

	for (uint64_t i = 0; i < c->data_blocks; i++)
		if (memcmp(c->digests + i * SHA256_BYTES, want + i * SHA256_BYTES, SHA256_BYTES) !=
			0)
			return err_set(
				e, EBADMSG, "data block %" PRIu64 " is not what was signed", i);
	return 0;
}

/* The tree comes top first, so what a block of it has to be is known by then. */
static int take_hash_block(struct verity_check *c, struct err *e)
{
	struct level *level = &c->levels[c->level - 1];
	const uint8_t *want = c->root;
	uint8_t got[SHA256_BYTES];

	if (c->level < c->level_count)
		want = c->levels[c->level].data + c->at * SHA256_BYTES;
	digest(c, c->block, got);
	if (memcmp(got, want, sizeof(got)) != 0)
		return err_set(e, EBADMSG, "hash block %" PRIu64 " is not what was signed",
			(c->pos - c->sb.tree_offset) / VERITY_BLOCK_BYTES - 1);

	memcpy(level->data + c->at * VERITY_BLOCK_BYTES, c->block, VERITY_BLOCK_BYTES);
	if (++c->at < level->blocks)
		return 0;
	c->at = 0;
	c->level--;
	return c->level == 0 ? judge_data(c, e) : 0;
}

/* A whole block is there, and c->pos behind it. */
static int take_block(struct verity_check *c, struct err *e)
{
	uint64_t start = c->pos - VERITY_BLOCK_BYTES;

	if (start < c->sb.data_bytes)
		digest(c, c->block, c->digests + start / VERITY_BLOCK_BYTES * SHA256_BYTES);
	else if (start >= c->sb.tree_offset && c->level > 0)
		return take_hash_block(c, e);
	return 0;
}

int verity_check_feed(struct verity_check *c, const void *data, size_t len, struct err *e)
{
	const uint8_t *in = data;

	while (len > 0) {
		size_t have = c->pos % VERITY_BLOCK_BYTES;
		size_t n = MIN(len, VERITY_BLOCK_BYTES - have);

		memcpy(c->block + have, in, n);
		in += n;
		len -= n;
		c->pos += n;
		int r = have + n == VERITY_BLOCK_BYTES ? take_block(c, e) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int verity_check_end(struct verity_check *c, struct err *e)
{
	if (c->pos < c->sb.tree_offset + c->sb.tree_bytes)
		return err_set(e, EIO, "the image ends before its hash tree does");
	/* A single data block has no tree above it. */
	return c->level_count == 0 ? judge_data(c, e) : 0;
}

int verity_check_source(struct source *image, uint64_t hash_offset,
	const uint8_t root_hash[SHA256_BYTES], struct progress *progress, struct err *e)
{
	autoptr(verity_check) c = NULL;
	autofree uint8_t *buf = xcalloc(1, CHUNK_BYTES);
	struct verity_super sb = {0};
	uint64_t end;
	int r = verity_super_read(image, hash_offset, &sb, e);

	if (r < 0)
		return r;
	end = MIN(sb.tree_offset + sb.tree_bytes, image->size_bytes);
	c = verity_check_new(&sb, root_hash);
	for (uint64_t off = 0; off < end; off += CHUNK_BYTES) {
		size_t len = (size_t)MIN(CHUNK_BYTES, end - off);

		r = source_read_at(image, buf, len, off, e);
		if (r == 0)
			r = verity_check_feed(c, buf, len, e);
		if (r == 0)
			r = progress_advance(progress, off + len, e);
		if (r < 0)
			return r;
	}
	return verity_check_end(c, e);
}
