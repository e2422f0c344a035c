/* SPDX-License-Identifier: Apache-2.0 */
/* Superblock, metadata streams and data blocks, each with a cache of unpacked blocks. */
#include <assert.h>
#include <string.h>

#include "base/endian.h"
#include "base/xalloc.h"
#include "fmt/squashfs-read.h"

#define META_SLOTS       128 /* a power of two */
#define META_RAW         0x8000
#define DATA_CACHE_BYTES (32 * MIB)
#define DATA_SLOTS_MAX   128

/* fs/squashfs/squashfs_fs.h, struct squashfs_super_block */
struct disk_super {
	le32 magic;          /* 0 */
	le32 inodes;         /* 4 */
	le32 time;           /* 8 */
	le32 block_bytes;    /* 12 */
	le32 fragments;      /* 16 */
	le16 compressor;     /* 20 */
	le16 block_log;      /* 22 */
	le16 flags;          /* 24 */
	le16 ids;            /* 26 */
	le16 major, minor;   /* 28 */
	le64 root;           /* 32 */
	le64 used_bytes;     /* 40 */
	le64 id_table;       /* 48 */
	le64 xattr_table;    /* 56 */
	le64 inode_table;    /* 64 */
	le64 folder_table;   /* 72 */
	le64 fragment_table; /* 80 */
	le64 export_table;   /* 88 */
};
static_assert(sizeof(struct disk_super) == 96, "superblock");

struct meta_slot {
	uint64_t place; /* 0: empty, as no metadata lies at the superblock */
	uint64_t next;  /* the block behind it */
	uint32_t len;
	uint8_t data[SQUASHFS_META_BYTES];
};

struct data_slot {
	uint64_t place; /* 0: empty */
	uint64_t used;  /* clock of its last use */
	uint32_t word, len;
	uint8_t *data;
};

struct squashfs_image {
	struct source *source;
	struct squashfs_super super;
	sqfs_compressor_t *uncmp;
	struct meta_slot *meta;
	struct data_slot *data;
	size_t data_slots;
	uint64_t clock;
	uint8_t *packed; /* one block as it is stored */
};

static bool power_of_two(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static int check_super(const struct disk_super *d, const struct source *s, struct err *e)
{
	uint32_t block = le32_get(d->block_bytes);
	uint64_t used = le64_get(d->used_bytes);

	if (le32_get(d->magic) != SQFS_MAGIC)
		return err_set(e, EBADMSG, "not a squashfs image");
	if (le16_get(d->major) != 4 || le16_get(d->minor) != 0)
		return err_set(e, EBADMSG, "squashfs version %u.%u is not supported",
			le16_get(d->major), le16_get(d->minor));
	if (!power_of_two(block) || block < SQFS_MIN_BLOCK_SIZE || block > SQFS_MAX_BLOCK_SIZE ||
		le16_get(d->block_log) > 20 || 1U << le16_get(d->block_log) != block)
		return err_set(e, EBADMSG, "squashfs block size %u is not valid", block);
	if (used < sizeof(*d) || used > INT64_MAX)
		return err_set(e, EBADMSG, "damaged squashfs superblock");
	if (used > s->size_bytes)
		return err_set(e, EBADMSG, "squashfs image is cut: %ju bytes of %ju are there",
			(uintmax_t)s->size_bytes, (uintmax_t)used);
	if (le64_get(d->inode_table) >= used || le64_get(d->folder_table) >= used ||
		le64_get(d->id_table) >= used || le16_get(d->ids) == 0)
		return err_set(e, EBADMSG, "damaged squashfs superblock");
	return 0;
}

static int read_super(struct source *s, struct squashfs_super *out, struct err *e)
{
	struct disk_super d;
	int r;

	if (s->size_bytes < sizeof(d))
		return err_set(e, EBADMSG, "not a squashfs image");
	r = source_read_at(s, &d, sizeof(d), 0, e);
	if (r == 0)
		r = check_super(&d, s, e);
	if (r < 0)
		return r;
	*out = (struct squashfs_super){
		.inodes = le32_get(d.inodes),
		.time = le32_get(d.time),
		.block_bytes = le32_get(d.block_bytes),
		.fragments = le32_get(d.fragments),
		.compressor = le16_get(d.compressor),
		.ids = le16_get(d.ids),
		.root = le64_get(d.root),
		.used_bytes = le64_get(d.used_bytes),
		.id_table = le64_get(d.id_table),
		.xattr_table = le64_get(d.xattr_table),
		.inode_table = le64_get(d.inode_table),
		.folder_table = le64_get(d.folder_table),
		.fragment_table = le64_get(d.fragment_table),
	};
	return 0;
}

int squashfs_probe(struct source *image, struct squashfs_info *out, struct err *e)
{
	struct squashfs_super super;
	int r = read_super(image, &super, e);

	if (r < 0)
		return r;
	if (super.compressor < SQFS_COMP_MIN || super.compressor > SQFS_COMP_MAX)
		return err_set(e, EBADMSG, "unknown squashfs compressor %u", super.compressor);
	*out = (struct squashfs_info){
		.compressor = sqfs_compressor_name_from_id((SQFS_COMPRESSOR)super.compressor),
		.block_bytes = super.block_bytes,
		.used_bytes = super.used_bytes,
		.time = super.time,
		.inodes = super.inodes,
	};
	return 0;
}

int squashfs_image_open(struct source *s, struct squashfs_image **out, struct err *e)
{
	autoptr(squashfs_image) img = xcalloc(1, sizeof(*img));
	uint32_t block_bytes;
	int r = read_super(s, &img->super, e);

	if (r < 0)
		return r;
	block_bytes = img->super.block_bytes;
	r = squashfs_decompressor_new(img->super.compressor, block_bytes, &img->uncmp, e);
	if (r < 0)
		return r;
	img->source = s;
	img->meta = xcalloc(META_SLOTS, sizeof(*img->meta));
	img->data_slots = MIN(DATA_SLOTS_MAX, DATA_CACHE_BYTES / block_bytes);
	img->data = xcalloc(img->data_slots, sizeof(*img->data));
	img->packed = xcalloc(1, MAX(block_bytes, SQUASHFS_META_BYTES));
	*out = take_ptr(img);
	return 0;
}

void squashfs_image_free(struct squashfs_image *img)
{
	if (!img)
		return;
	for (size_t i = 0; i < img->data_slots; i++)
		free(img->data[i].data);
	free(img->data);
	free(img->meta);
	free(img->packed);
	sqfs_destroy(img->uncmp);
	free(img);
}

const struct squashfs_super *squashfs_image_super(const struct squashfs_image *img)
{
	return &img->super;
}

static int read_used(struct squashfs_image *img, void *buf, size_t len, uint64_t off, struct err *e)
{
	if (off > img->super.used_bytes || len > img->super.used_bytes - off)
		return err_set(
			e, EBADMSG, "squashfs: place %ju is out of the image", (uintmax_t)off);
	return source_read_at(img->source, buf, len, off, e);
}

int squashfs_plain_read(
	struct squashfs_image *img, uint64_t place, void *out, size_t len, struct err *e)
{
	return read_used(img, out, len, place, e);
}

static int unpack(struct squashfs_image *img, uint32_t packed_len, uint8_t *out, uint32_t room,
	uint32_t *len, struct err *e)
{
	sqfs_s32 n = img->uncmp->do_block(img->uncmp, img->packed, packed_len, out, room);

	if (n < 0)
		return squashfs_error(e, n, "squashfs block");
	if (n == 0 || (uint32_t)n > room)
		return err_set(e, EBADMSG, "squashfs block: compressed data is damaged");
	*len = (uint32_t)n;
	return 0;
}

static int meta_fill(struct squashfs_image *img, struct meta_slot *m, uint64_t place, struct err *e)
{
	uint32_t len;
	le16 header;
	int r = read_used(img, &header, sizeof(header), place, e);

	if (r < 0)
		return r;
	len = le16_get(header) & (META_RAW - 1);
	if (len == 0 || len > SQUASHFS_META_BYTES)
		return err_set(e, EBADMSG, "squashfs metadata block of %u bytes", len);
	m->place = 0;
	if (le16_get(header) & META_RAW) {
		r = read_used(img, m->data, len, place + sizeof(header), e);
		m->len = len;
	} else {
		r = read_used(img, img->packed, len, place + sizeof(header), e);
		if (r == 0)
			r = unpack(img, len, m->data, SQUASHFS_META_BYTES, &m->len, e);
	}
	if (r < 0)
		return r;
	m->next = place + sizeof(header) + len;
	m->place = place;
	return 0;
}

static int meta_get(
	struct squashfs_image *img, uint64_t place, struct meta_slot **out, struct err *e)
{
	/* Blocks lie some kilobytes apart: mix all bits into the slot. */
	struct meta_slot *m = &img->meta[(place * 0x9e3779b97f4a7c15ULL >> 32) & (META_SLOTS - 1)];

	if (place < sizeof(struct disk_super))
		return err_set(e, EBADMSG, "squashfs: metadata at %ju", (uintmax_t)place);
	*out = m;
	return m->place == place ? 0 : meta_fill(img, m, place, e);
}

struct squashfs_cursor squashfs_cursor_at(uint64_t table, uint64_t ref)
{
	/* A sum past the end of the image is refused when it is read. */
	uint64_t block = ref >> 16;

	return (struct squashfs_cursor){.block = table + block, .off = (uint32_t)(ref & 0xffff)};
}

int squashfs_meta_read(
	struct squashfs_image *img, struct squashfs_cursor *c, void *buf, size_t len, struct err *e)
{
	for (uint8_t *to = buf; len > 0;) {
		struct meta_slot *m = NULL;
		int r = meta_get(img, c->block, &m, e);

		if (r < 0)
			return r;
		if (c->off > m->len)
			return err_set(e, EBADMSG, "squashfs: place %u in a metadata block of %u",
				c->off, m->len);
		if (c->off == m->len) {
			*c = (struct squashfs_cursor){.block = m->next};
			continue;
		}
		size_t n = MIN(len, m->len - c->off);
		memcpy(to, m->data + c->off, n);
		c->off += (uint32_t)n;
		to += n;
		len -= n;
	}
	return 0;
}

int squashfs_table_read(struct squashfs_image *img, uint64_t list, uint64_t i, size_t entry_bytes,
	void *out, struct err *e)
{
	uint64_t per_block = SQUASHFS_META_BYTES / entry_bytes;
	struct squashfs_cursor c = {.off = (uint32_t)(i % per_block * entry_bytes)};
	le64 block;

	if (list >= img->super.used_bytes)
		return err_set(e, EBADMSG, "squashfs: a table is missing");
	int r = read_used(img, &block, sizeof(block), list + i / per_block * sizeof(block), e);
	if (r < 0)
		return r;
	c.block = le64_get(block);
	return squashfs_meta_read(img, &c, out, entry_bytes, e);
}

static struct data_slot *data_find(struct squashfs_image *img, uint64_t place, uint32_t word)
{
	struct data_slot *oldest = &img->data[0];

	img->clock++;
	for (size_t i = 0; i < img->data_slots; i++) {
		struct data_slot *d = &img->data[i];

		if (d->place == place && d->word == word) {
			oldest = d;
			break;
		}
		if (d->used < oldest->used)
			oldest = d;
	}
	oldest->used = img->clock;
	return oldest;
}

static int data_fill(struct squashfs_image *img, struct data_slot *d, uint64_t place, uint32_t word,
	struct err *e)
{
	uint32_t len = SQUASHFS_LEN(word), block_bytes = img->super.block_bytes;
	int r;

	if (len == 0 || len > block_bytes)
		return err_set(e, EBADMSG, "squashfs data block of %u bytes", len);
	if (!d->data)
		d->data = xcalloc(1, block_bytes);
	d->place = 0;
	if (word & SQUASHFS_WORD_RAW) {
		d->len = len;
		r = read_used(img, d->data, len, place, e);
	} else {
		r = read_used(img, img->packed, len, place, e);
		if (r == 0)
			r = unpack(img, len, d->data, block_bytes, &d->len, e);
	}
	if (r < 0)
		return err_wrap(e, r, "block at %ju of the image", (uintmax_t)place);
	d->place = place;
	d->word = word;
	return 0;
}

int squashfs_data_read(struct squashfs_image *img, uint64_t place, uint32_t word,
	const uint8_t **data, uint32_t *len, struct err *e)
{
	struct data_slot *d = data_find(img, place, word);

	if (place < sizeof(struct disk_super))
		return err_set(e, EBADMSG, "squashfs: data at %ju", (uintmax_t)place);
	if (d->place != place || d->word != word) {
		int r = data_fill(img, d, place, word, e);
		if (r < 0)
			return r;
	}
	*data = d->data;
	*len = d->len;
	return 0;
}
