/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as a tree.  Folders are taken from a queue, which is the list of entries itself, so a
 * deep image costs no stack.  A folder seen twice, names that lead elsewhere and anything past the
 * caps below is refused.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/endian.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/squashfs-read.h"

#define ENTRIES_MAX    (4ULL << 20)
#define TEXT_MAX_BYTES (512 * MIB) /* of names, link targets and attributes */
#define INODES_MAX     (64ULL << 20)

struct disk_header {
	le32 count, start, number; /* 0 */
};
static_assert(sizeof(struct disk_header) == 12, "folder header");

struct disk_entry {
	le16 off, number_diff, type, name_len; /* 0 */
};
static_assert(sizeof(struct disk_entry) == 8, "folder entry");

struct builder {
	struct squashfs_image *img;
	struct tree *tree;
	uint8_t *seen; /* a bit for each inode number: folders met */
	uint64_t budget;
};

/* One block of a file or the tail in its fragment, all of it.  NULL in *data for a hole. */
static int file_block(struct squashfs_file *f, uint64_t i, const uint8_t **data, struct err *e)
{
	uint32_t block_bytes = squashfs_image_super(f->img)->block_bytes;
	uint32_t want = (uint32_t)MIN(block_bytes, f->s.size_bytes - i * block_bytes);
	uint32_t word, len, skip = 0;
	uint64_t place;
	int r;

	if (i < f->block_count) {
		place = f->places[i] & ~SQUASHFS_PLACE_RAW;
		word = (uint32_t)((f->places[i + 1] & ~SQUASHFS_PLACE_RAW) - place);
		if (word == 0) {
			*data = NULL;
			return 0;
		}
		word |= f->places[i] & SQUASHFS_PLACE_RAW ? SQUASHFS_WORD_RAW : 0;
	} else {
		skip = f->fragment_off;
		r = squashfs_fragment_find(f->img, f->fragment, &place, &word, e);
		if (r < 0)
			return r;
	}
	r = squashfs_data_read(f->img, place, word, data, &len, e);
	if (r < 0)
		return r;
	if (skip > len || want > len - skip)
		return err_set(e, EBADMSG, "block at %" PRIu64 " of the image is too short", place);
	*data += skip;
	return 0;
}

static int file_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct squashfs_file *f = (struct squashfs_file *)s;
	uint32_t block_bytes = squashfs_image_super(f->img)->block_bytes;

	for (uint8_t *to = buf; len > 0;) {
		uint32_t skip = (uint32_t)(off % block_bytes);
		size_t n = MIN(len, block_bytes - skip);
		const uint8_t *data;
		int r = file_block(f, off / block_bytes, &data, e);

		if (r < 0)
			return r;
		if (data)
			memcpy(to, data + skip, n);
		else
			memset(to, 0, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

static bool is_hole(const struct squashfs_file *f, uint64_t i)
{
	return i < f->block_count &&
		(f->places[i] & ~SQUASHFS_PLACE_RAW) == (f->places[i + 1] & ~SQUASHFS_PLACE_RAW);
}

static int file_next_data(
	struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e UNUSED)
{
	struct squashfs_file *f = (struct squashfs_file *)s;
	uint64_t block_bytes = squashfs_image_super(f->img)->block_bytes;
	uint64_t blocks = (s->size_bytes + block_bytes - 1) / block_bytes, i = off / block_bytes;

	while (i < blocks && is_hole(f, i))
		i++;
	*start = MIN(MAX(off, i * block_bytes), s->size_bytes);
	while (i < blocks && !is_hole(f, i))
		i++;
	*end = MIN(i * block_bytes, s->size_bytes);
	return 0;
}

static void file_free(struct source *s)
{
	free(((struct squashfs_file *)s)->places);
	free(s);
}

static const struct source_ops file_ops = {
	.read_at = file_read_at,
	.next_data = file_next_data,
	.free = file_free,
};

int squashfs_file_open(struct squashfs_image *img, const struct squashfs_inode *in,
	struct source **out, struct err *e)
{
	uint64_t count, *places = NULL;
	int r = squashfs_file_places(img, in, &places, &count, e);

	if (r < 0)
		return r;
	struct squashfs_file *f = xcalloc(1, sizeof(*f));
	*f = (struct squashfs_file){
		.s = {.ops = &file_ops, .size_bytes = in->size_bytes},
		.img = img,
		.places = places,
		.block_count = count,
		.fragment = in->fragment,
		.fragment_off = in->fragment_off,
	};
	*out = &f->s;
	return 0;
}

struct squashfs_file *squashfs_file_of(struct source *s)
{
	return s->ops == &file_ops ? (struct squashfs_file *)s : NULL;
}

bool squashfs_block_at(struct source *file, uint64_t i, uint64_t *off, uint32_t *len, bool *packed)
{
	const struct squashfs_file *f = squashfs_file_of(file);

	if (!f || i >= f->block_count)
		return false;
	*off = f->places[i] & ~SQUASHFS_PLACE_RAW;
	*len = (uint32_t)((f->places[i + 1] & ~SQUASHFS_PLACE_RAW) - *off);
	*packed = !(f->places[i] & SQUASHFS_PLACE_RAW);
	return true;
}

static int open_entry(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	struct squashfs_inode in;
	int r = squashfs_inode_read(t->ctx, en->inode - 1, &in, e);

	return r < 0 ? r : squashfs_file_open(t->ctx, &in, out, e);
}

static void free_image(void *ctx)
{
	squashfs_image_free(ctx);
}

static const struct tree_ops tree_ops = {.open = open_entry, .free = free_image};

static int take_budget(struct builder *b, uint64_t bytes, struct err *e)
{
	if (b->tree->count >= ENTRIES_MAX || bytes > b->budget)
		return err_set(e, EFBIG, "squashfs: too many files");
	b->budget -= bytes;
	return 0;
}

static int check_folder_once(struct builder *b, const struct squashfs_inode *in, struct err *e)
{
	uint32_t n = in->number;

	if (n == 0 || n > squashfs_image_super(b->img)->inodes)
		return err_set(e, EBADMSG, "squashfs: inode number %u of %u", n,
			squashfs_image_super(b->img)->inodes);
	if (b->seen[n / 8] & 1 << n % 8)
		return err_set(e, EBADMSG, "squashfs: folder %u is in two places", n);
	b->seen[n / 8] |= (uint8_t)(1 << n % 8);
	return 0;
}

/* What the entry needs besides its inode: target and attributes. */
static int fill_entry(
	struct builder *b, const struct squashfs_inode *in, struct tree_entry *en, struct err *e)
{
	struct squashfs_cursor c = in->rest;
	int r = 0;

	if (S_ISLNK(en->mode)) {
		r = take_budget(b, in->target_bytes, e);
		if (r < 0)
			return r;
		en->target = xcalloc(1, in->target_bytes + 1);
		r = squashfs_meta_read(b->img, &c, en->target, in->target_bytes, e);
		if (r == 0 && strlen(en->target) != in->target_bytes)
			r = err_set(e, EBADMSG, "squashfs: damaged link target");
	}
	if (r == 0 && in->xattr != SQUASHFS_NO_XATTR)
		r = squashfs_xattrs_read(b->img, in->xattr, en, &b->budget, e);
	return r;
}

/* Takes over path. */
static int add_entry(struct builder *b, char *path, uint64_t ref, struct err *e)
{
	struct tree_entry *en = tree_add(b->tree, &(struct tree_entry){.path = path});
	struct squashfs_inode in;
	int r = squashfs_inode_read(b->img, ref, &in, e);

	if (r == 0 && S_ISDIR(in.mode))
		r = check_folder_once(b, &in, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", path);
	en->mode = in.mode;
	en->uid = in.uid;
	en->gid = in.gid;
	en->mtime = in.mtime;
	en->size_bytes = S_ISREG(in.mode) ? in.size_bytes : 0;
	en->inode = ref + 1;
	if (S_ISBLK(in.mode) || S_ISCHR(in.mode)) {
		/* The kernel's new_decode_dev(). */
		en->dev_major = in.device >> 8 & 0xfff;
		en->dev_minor = (in.device & 0xff) | (in.device >> 12 & 0xfff00);
	}
	r = fill_entry(b, &in, en, e);
	return r < 0 ? err_wrap(e, r, "'/%s'", path) : 0;
}

static bool name_ok(const char *name, size_t len)
{
	return strlen(name) == len && !strchr(name, '/') && !str_eq(name, ".") &&
		!str_eq(name, "..");
}

/* One header and the names that follow it.  *left is what is left of the listing. */
static int read_run(
	struct builder *b, size_t folder, struct squashfs_cursor *c, uint32_t *left, struct err *e)
{
	struct disk_header h;
	struct disk_entry d;
	int r = squashfs_meta_read(b->img, c, &h, sizeof(h), e);

	if (r < 0)
		return r;
	if (le32_get(h.count) >= 256)
		return err_set(e, EBADMSG, "damaged squashfs folder");
	*left -= (uint32_t)sizeof(h);
	for (uint32_t i = 0; i <= le32_get(h.count); i++) {
		const char *parent = b->tree->entries[folder].path;
		char name[256 + 1];

		r = *left < sizeof(d) ? err_set(e, EBADMSG, "damaged squashfs folder")
				      : squashfs_meta_read(b->img, c, &d, sizeof(d), e);
		if (r < 0)
			return r;
		uint32_t len = le16_get(d.name_len) + 1U;
		if (len > 256 || *left < sizeof(d) + len)
			return err_set(e, EBADMSG, "damaged squashfs folder");
		*left -= (uint32_t)sizeof(d) + len;
		r = squashfs_meta_read(b->img, c, name, len, e);
		if (r < 0)
			return r;
		name[len] = '\0';
		if (!name_ok(name, len))
			return err_set(e, EBADMSG, "squashfs: a file name that cannot be");
		r = take_budget(b, strlen(parent) + len + 2, e);
		if (r == 0)
			r = add_entry(b, xasprintf("%s%s%s", parent, *parent ? "/" : "", name),
				(uint64_t)le32_get(h.start) << 16 | le16_get(d.off), e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_folder(struct builder *b, size_t folder, struct err *e)
{
	uint64_t table = squashfs_image_super(b->img)->folder_table;
	struct squashfs_inode in;
	int r = squashfs_inode_read(b->img, b->tree->entries[folder].inode - 1, &in, e);

	if (r < 0)
		return r;
	struct squashfs_cursor c = squashfs_cursor_at(
		table, in.listing_block << 16 | in.listing_off);
	uint32_t left = in.listing_bytes;
	while (r == 0 && left > sizeof(struct disk_header))
		r = read_run(b, folder, &c, &left, e);
	return r < 0 ? err_wrap(e, r, "'/%s'", b->tree->entries[folder].path) : 0;
}

static int check_names(const struct tree *t, struct err *e)
{
	for (size_t i = 1; i < t->count; i++)
		if (str_eq(t->entries[i - 1].path, t->entries[i].path))
			return err_set(
				e, EBADMSG, "squashfs: '/%s' is there twice", t->entries[i].path);
	return 0;
}

int squashfs_tree_open(struct source *image, struct tree **out, struct err *e)
{
	struct squashfs_image *img = NULL;
	autoptr(tree) t = NULL;
	int r = squashfs_image_open(image, &img, e);

	if (r < 0)
		return r;
	t = tree_new(&tree_ops, img); /* owns img from here on */
	const struct squashfs_super *super = squashfs_image_super(img);
	if (super->inodes > INODES_MAX)
		return err_set(e, EFBIG, "squashfs: %u inodes", super->inodes);
	autofree uint8_t *seen = xcalloc(1, super->inodes / 8 + 1);
	struct builder b = {.img = img, .tree = t, .seen = seen, .budget = TEXT_MAX_BYTES};

	r = add_entry(&b, xstrdup(""), super->root, e);
	if (r == 0 && !S_ISDIR(t->entries[0].mode))
		r = err_set(e, EBADMSG, "squashfs: the root is no folder");
	for (size_t i = 0; r == 0 && i < t->count; i++)
		if (S_ISDIR(t->entries[i].mode))
			r = read_folder(&b, i, e);
	if (r < 0)
		return r;
	tree_sort(t);
	r = check_names(t, e);
	if (r == 0)
		*out = take_ptr(t);
	return r;
}

static int index_block(struct squashfs_image *img, struct squashfs_index *x, uint64_t place,
	uint32_t word, struct err *e)
{
	struct squashfs_index_entry en = {.off = place, .word = word};
	uint8_t stored[SHA256_BYTES];
	const uint8_t *data;
	uint32_t len;
	int r = squashfs_data_read(img, place, word, &data, &len, e);

	if (r < 0)
		return r;
	sha256_buffer(data, len, en.plain);
	/* The same bytes as they are stored. */
	autofree uint8_t *packed = xcalloc(1, SQUASHFS_LEN(word));
	r = squashfs_plain_read(img, place, packed, SQUASHFS_LEN(word), e);
	if (r < 0)
		return r;
	sha256_buffer(packed, SQUASHFS_LEN(word), stored);
	memcpy(en.stored, stored, sizeof(en.stored));
	squashfs_index_add(x, &en);
	return 0;
}

static int index_file(struct squashfs_image *img, const struct tree_entry *en,
	struct squashfs_index *x, struct err *e)
{
	autofree uint64_t *places = NULL;
	struct squashfs_inode in;
	uint64_t count;
	int r = squashfs_inode_read(img, en->inode - 1, &in, e);

	if (r == 0)
		r = squashfs_file_places(img, &in, &places, &count, e);
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		uint64_t place = places[i] & ~SQUASHFS_PLACE_RAW;
		uint32_t word = (uint32_t)((places[i + 1] & ~SQUASHFS_PLACE_RAW) - place);

		if (word == 0)
			continue;
		word |= places[i] & SQUASHFS_PLACE_RAW ? SQUASHFS_WORD_RAW : 0;
		r = index_block(img, x, place, word, e);
	}
	return r;
}

int squashfs_index_build(
	struct source *image, struct squashfs_index **out, struct progress *p, struct err *e)
{
	autoptr(squashfs_index) x = xcalloc(1, sizeof(*x));
	autoptr(tree) t = NULL;
	int r = squashfs_tree_open(image, &t, e);

	if (r < 0)
		return r;
	progress_begin(p, "previous image", image->size_bytes, "bytes");
	for (size_t i = 0; r == 0 && i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];

		if (S_ISREG(en->mode) && en->link_of == i)
			r = index_file(t->ctx, en, x, e);
		if (r == 0)
			r = progress_advance(p, x->count > 0 ? x->entries[x->count - 1].off : 0, e);
	}
	uint32_t fragments = squashfs_image_super(t->ctx)->fragments;
	for (uint32_t i = 0; r == 0 && i < fragments; i++) {
		uint64_t place;
		uint32_t word;

		r = squashfs_fragment_find(t->ctx, i, &place, &word, e);
		if (r == 0)
			r = index_block(t->ctx, x, place, word, e);
		if (r == 0)
			r = progress_advance(p, image->size_bytes, e);
	}
	progress_end(p);
	if (r == 0)
		*out = take_ptr(x);
	return r;
}
