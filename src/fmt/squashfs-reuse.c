/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index file, all little-endian:
 *
 *   0  magic "BPSQIDX1"   8  fingerprint[32]   40  count   48  entries   end-32  SHA-256 of the rest
 *
 * and an entry: SHA-256 of the block, first half of SHA-256 of it as stored, place, size word.
 */
#include <assert.h>
#include <string.h>

#include "base/endian.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/squashfs-internal.h"

#define INDEX_MAGIC     "BPSQIDX1"
#define INDEX_MAX_BYTES (1 * GIB)
#define PROBES          16 /* blocks packed again to see whether the image was packed as we would */

struct index_header {
	char magic[8];           /* 0 */
	uint8_t fingerprint[32]; /* 8 */
	le64 count;              /* 40 */
};
static_assert(sizeof(struct index_header) == 48, "index header");

struct index_record {
	uint8_t plain[32];  /* 0 */
	uint8_t stored[16]; /* 32 */
	le64 off;           /* 48 */
	le32 word;          /* 56 */
};
static_assert(sizeof(struct index_record) == 60, "index record");

struct squashfs_reuse {
	struct source *image;
	const struct squashfs_index *index;
	struct squashfs_index *own; /* built here, without a fingerprint */
	struct squashfs_info info;  /* of the image, when own */
	size_t *table;              /* open addressing: index of the entry plus one */
	size_t room;                /* of table, a power of two */
};

void squashfs_index_add(struct squashfs_index *x, const struct squashfs_index_entry *en)
{
	if (x->count == x->room) {
		x->room = MAX(256, 2 * x->room);
		x->entries = xrealloc(x->entries, x->room * sizeof(*x->entries));
	}
	x->entries[x->count++] = *en;
}

void squashfs_index_free(struct squashfs_index *x)
{
	if (!x)
		return;
	free(x->entries);
	free(x);
}

int squashfs_index_save(const struct squashfs_index *x, const char *path, struct err *e)
{
	struct index_header h = {.count = le64_put(x->count)};
	uint8_t sum[SHA256_BYTES];
	autostrbuf b = {0};

	memcpy(h.magic, INDEX_MAGIC, sizeof(h.magic));
	memcpy(h.fingerprint, x->fingerprint, sizeof(h.fingerprint));
	strbuf_add(&b, &h, sizeof(h));
	for (size_t i = 0; i < x->count; i++) {
		const struct squashfs_index_entry *en = &x->entries[i];
		struct index_record rec = {.off = le64_put(en->off), .word = le32_put(en->word)};

		memcpy(rec.plain, en->plain, sizeof(rec.plain));
		memcpy(rec.stored, en->stored, sizeof(rec.stored));
		strbuf_add(&b, &rec, sizeof(rec));
	}
	sha256_buffer(b.data, b.len, sum);
	strbuf_add(&b, sum, sizeof(sum));
	return file_replace(path, b.data, b.len, 0644, e);
}

static int index_parse(const char *data, size_t len, struct squashfs_index **out, struct err *e)
{
	autoptr(squashfs_index) x = xcalloc(1, sizeof(*x));
	uint8_t sum[SHA256_BYTES];
	struct index_header h;

	if (len < sizeof(h) + sizeof(sum))
		return err_set(e, EBADMSG, "too short for a block index");
	memcpy(&h, data, sizeof(h));
	len -= sizeof(sum);
	sha256_buffer(data, len, sum);
	if (memcmp(h.magic, INDEX_MAGIC, sizeof(h.magic)) != 0)
		return err_set(e, EBADMSG, "not a block index of this version");
	if (memcmp(data + len, sum, sizeof(sum)) != 0 ||
		(len - sizeof(h)) % sizeof(struct index_record) != 0 ||
		(len - sizeof(h)) / sizeof(struct index_record) != le64_get(h.count))
		return err_set(e, EBADMSG, "damaged block index");

	memcpy(x->fingerprint, h.fingerprint, sizeof(x->fingerprint));
	for (size_t at = sizeof(h); at < len; at += sizeof(struct index_record)) {
		struct index_record rec;
		struct squashfs_index_entry en = {0};

		memcpy(&rec, data + at, sizeof(rec));
		memcpy(en.plain, rec.plain, sizeof(en.plain));
		memcpy(en.stored, rec.stored, sizeof(en.stored));
		en.off = le64_get(rec.off);
		en.word = le32_get(rec.word);
		squashfs_index_add(x, &en);
	}
	*out = take_ptr(x);
	return 0;
}

int squashfs_index_load(const char *path, struct squashfs_index **out, struct err *e)
{
	autofree char *data = NULL;
	size_t len;
	int r = file_read(path, INDEX_MAX_BYTES, &data, &len, e);

	if (r < 0)
		return r;
	r = index_parse(data, len, out, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static size_t slot_of(const struct squashfs_reuse *x, const uint8_t plain[SHA256_BYTES])
{
	uint64_t hash;

	memcpy(&hash, plain, sizeof(hash));
	for (size_t i = (size_t)hash & (x->room - 1);; i = (i + 1) & (x->room - 1))
		if (x->table[i] == 0 ||
			memcmp(x->index->entries[x->table[i] - 1].plain, plain, SHA256_BYTES) == 0)
			return i;
}

static void fill_table(struct squashfs_reuse *x)
{
	for (x->room = 1024; x->room < 2 * x->index->count; x->room *= 2)
		;
	x->table = xcalloc(x->room, sizeof(*x->table));
	for (size_t i = 0; i < x->index->count; i++)
		x->table[slot_of(x, x->index->entries[i].plain)] = i + 1;
}

bool squashfs_reuse_find(const struct squashfs_reuse *x, const uint8_t plain[SHA256_BYTES],
	uint8_t *out, uint32_t *word)
{
	size_t found = x->table[slot_of(x, plain)];
	uint8_t stored[SHA256_BYTES];

	if (found == 0)
		return false;
	const struct squashfs_index_entry *en = &x->index->entries[found - 1];
	size_t len = SQUASHFS_LEN(en->word);

	/* The image may have been changed or cut since its index was written. */
	if (len == 0 || len > SQFS_MAX_BLOCK_SIZE ||
		source_read_at(x->image, out, len, en->off, NULL) < 0)
		return false;
	sha256_buffer(out, len, stored);
	if (memcmp(stored, en->stored, sizeof(en->stored)) != 0)
		return false;
	*word = en->word;
	return true;
}

/* An image without an index: whether packing some of its blocks again gives the same bytes. */
static bool packed_alike(const struct squashfs_reuse *x, const struct squashfs_params *p)
{
	const struct squashfs_index *index = x->index;
	size_t step = index->count / PROBES + 1;
	autofree uint8_t *stored = xcalloc(1, p->block_bytes);
	autofree uint8_t *plain = xcalloc(1, p->block_bytes);
	autofree uint8_t *packed = xcalloc(1, SQUASHFS_OUT_BYTES(p->block_bytes));
	autosqfs sqfs_compressor_t *cmp = NULL, *uncmp = NULL;

	if (!str_eq(x->info.compressor, squashfs_compressor_name(p->compressor)) ||
		x->info.block_bytes != p->block_bytes ||
		squashfs_compressor_new(p, &cmp, NULL) < 0 ||
		squashfs_decompressor_new(
			squashfs_compressor_id(p->compressor), p->block_bytes, &uncmp, NULL) < 0)
		return false;
	for (size_t i = 0; i < index->count; i += step) {
		const struct squashfs_index_entry *en = &index->entries[i];
		uint32_t len = SQUASHFS_LEN(en->word), word;

		if (en->word & SQUASHFS_WORD_RAW)
			continue;
		if (source_read_at(x->image, stored, len, en->off, NULL) < 0)
			return false;
		sqfs_s32 n = uncmp->do_block(uncmp, stored, len, plain, p->block_bytes);
		if (n <= 0 || squashfs_compress(cmp, plain, (uint32_t)n, packed, &word, NULL) < 0 ||
			word != en->word || memcmp(packed, stored, len) != 0)
			return false;
	}
	return true;
}

bool squashfs_reuse_fits(const struct squashfs_reuse *x, const struct squashfs_params *p,
	const uint8_t fingerprint[SHA256_BYTES])
{
	bool fits = x->own ? packed_alike(x, p)
			   : memcmp(x->index->fingerprint, fingerprint, SHA256_BYTES) == 0;

	if (!fits)
		log_info("the earlier image was compressed differently, its blocks are not used");
	return fits;
}

int squashfs_reuse_load(struct source *old_image, const struct squashfs_index *index,
	struct squashfs_reuse **out, struct progress *p, struct err *e)
{
	autoptr(squashfs_reuse) x = xcalloc(1, sizeof(*x));

	x->image = old_image;
	x->index = index;
	if (!index) {
		int r = squashfs_probe(old_image, &x->info, e);
		if (r == 0)
			r = squashfs_index_build(old_image, &x->own, p, e);
		if (r < 0)
			return r;
		x->index = x->own;
	}
	fill_table(x);
	*out = take_ptr(x);
	return 0;
}

void squashfs_reuse_free(struct squashfs_reuse *x)
{
	if (!x)
		return;
	squashfs_index_free(x->own);
	free(x->table);
	free(x);
}
