/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-read.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/interrupt.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/ext4-map.h"
#include "fmt/ext4-xattr.h"

#define GROUP_MIN_BLOCKS 256 /* mke2fs makes none smaller */
#define LIST_MIN_BYTES   (256 * MIB)
#define LIST_FACTOR      4 /* times the size of an image may its list take in memory */

struct reader {
	struct ext4_io io;
	ext2_filsys fs;
	struct ext4_place *places; /* sorted by inode once all is read */
	size_t place_count, place_room;
	size_t *place_of_inode; /* while reading; plus 1, 0: none */
	struct ext4_map_budget budget;
	uint64_t memory_left;
	uint8_t *inode; /* the one being read */
	size_t inode_bytes;
	uint8_t *block;
};

/* A file, read through its runs. */
struct file_source {
	struct source s;
	struct source *image;
	const struct block_runs *runs;
	uint64_t block_bytes;
};

/* ---- content ---- */

/* The first run that ends behind block. */
static size_t find_run(const struct block_runs *runs, uint64_t block)
{
	size_t low = 0, high = runs->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct block_run *run = &runs->items[mid];

		if ((uint64_t)run->logical + run->count <= block)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int file_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct file_source *f = (struct file_source *)s;
	size_t i = find_run(f->runs, off / f->block_bytes);
	uint8_t *out = buf;

	while (len > 0) {
		const struct block_run *run = i < f->runs->count ? &f->runs->items[i] : NULL;
		uint64_t start = run ? run->logical * f->block_bytes : UINT64_MAX;
		size_t n;

		if (!run || off < start) {
			n = (size_t)MIN(len, start - off);
			memset(out, 0, n);
		} else {
			n = (size_t)MIN(len, start + run->count * f->block_bytes - off);
			int r = source_read_at(
				f->image, out, n, run->start * f->block_bytes + (off - start), e);
			if (r < 0)
				return r;
			i++;
		}
		out += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int file_next_data(
	struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e UNUSED)
{
	struct file_source *f = (struct file_source *)s;
	size_t i = find_run(f->runs, off / f->block_bytes);
	const struct block_run *run;
	uint64_t next;

	if (i == f->runs->count) {
		*start = *end = s->size_bytes;
		return 0;
	}
	run = &f->runs->items[i];
	*start = MIN(MAX(off, run->logical * f->block_bytes), s->size_bytes);
	next = (uint64_t)run->logical + run->count;
	for (i++; i < f->runs->count && f->runs->items[i].logical == next; i++)
		next += f->runs->items[i].count;
	*end = MIN(next * f->block_bytes, s->size_bytes);
	return 0;
}

static void file_free(struct source *s)
{
	free(s);
}

static const struct source_ops file_ops = {
	.read_at = file_read_at,
	.next_data = file_next_data,
	.free = file_free,
};

static struct source *open_place(struct reader *rd, const struct ext4_place *p, uint64_t size)
{
	struct file_source *f = xcalloc(1, sizeof(*f));

	f->s = (struct source){.ops = &file_ops, .size_bytes = size};
	f->image = rd->io.source;
	f->runs = &p->runs;
	f->block_bytes = rd->fs->blocksize;
	return &f->s;
}

static int compare_places(const void *a, const void *b)
{
	uint32_t x = ((const struct ext4_place *)a)->inode;
	uint32_t y = ((const struct ext4_place *)b)->inode;

	return (x > y) - (x < y);
}

ext2_filsys ext4_tree_fs(struct tree *t)
{
	return ((struct reader *)t->ctx)->fs;
}

struct ext4_place *ext4_tree_places(struct tree *t, size_t *count)
{
	struct reader *rd = t->ctx;

	*count = rd->place_count;
	return rd->places;
}

size_t ext4_tree_place_of(struct tree *t, const struct tree_entry *en)
{
	struct reader *rd = t->ctx;
	struct ext4_place key = {.inode = (uint32_t)en->inode};
	struct ext4_place *p = bsearch(
		&key, rd->places, rd->place_count, sizeof(*p), compare_places);

	assert(p);
	return (size_t)(p - rd->places);
}

static int tree_open_file(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e UNUSED)
{
	struct reader *rd = t->ctx;

	*out = open_place(rd, &rd->places[ext4_tree_place_of(t, en)], en->size_bytes);
	return 0;
}

static void reader_free(void *ctx)
{
	struct reader *rd = ctx;

	if (rd->fs)
		ext2fs_free(rd->fs);
	ext4_places_free(rd->places, rd->place_count);
	free(rd->place_of_inode);
	free(rd->inode);
	free(rd->block);
	free(rd);
}

static const struct tree_ops read_ops = {.open = tree_open_file, .free = reader_free};

/* ---- superblock ---- */

/*
 * Read what the superblock says about sizes, and refuse what can not be: libext2fs allocates by
 * these numbers.
 */
static int check_super(struct source *image, uint64_t *size_bytes, struct err *e)
{
	struct ext2_super_block sb;
	uint64_t blocks, bytes, inode_bytes = EXT2_GOOD_OLD_INODE_SIZE;
	int r;

	if (image->size_bytes < SUPERBLOCK_OFFSET + sizeof(sb))
		return err_set(e, EINVAL, "not an ext4 file system");
	r = source_read_at(image, &sb, sizeof(sb), SUPERBLOCK_OFFSET, e);
	if (r < 0)
		return r;
	if (ext2fs_le16_to_cpu(sb.s_magic) != EXT2_SUPER_MAGIC)
		return err_set(e, EINVAL, "not an ext4 file system");
	if (ext2fs_le32_to_cpu(sb.s_log_block_size) >
		EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE)
		return err_set(e, EUCLEAN, "bad block size");

	bytes = KIB << ext2fs_le32_to_cpu(sb.s_log_block_size);
	blocks = ext2fs_le32_to_cpu(sb.s_blocks_count);
	if (ext2fs_le32_to_cpu(sb.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)ext2fs_le32_to_cpu(sb.s_blocks_count_hi) << 32;
	if (ext2fs_le32_to_cpu(sb.s_rev_level) >= EXT2_DYNAMIC_REV)
		inode_bytes = ext2fs_le16_to_cpu(sb.s_inode_size);
	if (blocks == 0 || blocks > UINT32_MAX || blocks > image->size_bytes / bytes)
		return err_set(e, EUCLEAN, "the file system is larger than its image");
	if (ext2fs_le32_to_cpu(sb.s_blocks_per_group) < GROUP_MIN_BLOCKS ||
		inode_bytes < EXT2_GOOD_OLD_INODE_SIZE || inode_bytes > bytes ||
		ext2fs_le32_to_cpu(sb.s_inodes_count) > image->size_bytes / inode_bytes)
		return err_set(e, EUCLEAN, "bad superblock");
	if (ext2fs_le32_to_cpu(sb.s_feature_incompat) & EXT3_FEATURE_INCOMPAT_RECOVER)
		return err_set(e, ENOTSUP, "its journal has not been replayed");
	*size_bytes = blocks * bytes;
	return 0;
}

int ext4_size(struct source *image, uint64_t *size_bytes, struct err *e)
{
	return check_super(image, size_bytes, e);
}

/* ---- inodes ---- */

static int64_t time_of(const struct reader *rd, const struct ext2_inode_large *inode)
{
	int64_t t = (int32_t)inode->i_mtime;
	size_t end = offsetof(struct ext2_inode_large, i_mtime_extra) + sizeof(uint32_t);

	if (rd->inode_bytes >= sizeof(*inode) &&
		(size_t)inode->i_extra_isize + EXT2_GOOD_OLD_INODE_SIZE >= end)
		t += (int64_t)(inode->i_mtime_extra & 3) << 32;
	return t;
}

static int check_inode(const struct ext2_inode_large *inode, uint32_t number, struct err *e)
{
	if (inode->i_links_count == 0)
		return err_set(e, EUCLEAN, "inode %u is not in use", number);
	if (inode->i_flags & EXT4_INLINE_DATA_FL)
		return err_set(e, ENOTSUP, "inode %u has its content inline", number);
	if (inode->i_flags & EXT4_ENCRYPT_FL)
		return err_set(e, ENOTSUP, "inode %u is encrypted", number);
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return err_set(e, EUCLEAN, "inode %u has no known type", number);
	}
}

static void set_common(
	const struct reader *rd, const struct ext2_inode_large *inode, struct tree_entry *en)
{
	uint32_t small = inode->i_block[0], large = inode->i_block[1];

	en->mode = inode->i_mode;
	en->uid = inode->i_uid | (uint32_t)inode->osd2.linux2.l_i_uid_high << 16;
	en->gid = inode->i_gid | (uint32_t)inode->osd2.linux2.l_i_gid_high << 16;
	en->mtime = time_of(rd, inode);
	if (S_ISREG(en->mode))
		en->size_bytes = inode->i_size | (uint64_t)inode->i_size_high << 32;
	if (!S_ISCHR(en->mode) && !S_ISBLK(en->mode))
		return;
	en->dev_major = small ? small >> 8 & 0xff : large >> 8 & 0xfff;
	en->dev_minor = small ? small & 0xff : (large & 0xff) | (large >> 12 & 0xfff00);
}

static int read_xattrs(struct reader *rd, const struct ext2_inode_large *inode,
	struct ext4_place *p, struct tree_entry *en, struct err *e)
{
	size_t first = EXT2_GOOD_OLD_INODE_SIZE + inode->i_extra_isize;
	uint64_t block = ext2fs_file_acl_block(rd->fs, (const struct ext2_inode *)inode);
	errcode_t code;
	int r = 0;

	if (rd->inode_bytes > EXT2_GOOD_OLD_INODE_SIZE && first < rd->inode_bytes)
		r = xattr_decode(rd->inode + first, rd->inode_bytes - first, false, en, e);
	if (r < 0 || block == 0)
		return r;
	if (block <= rd->fs->super->s_first_data_block ||
		block >= ext2fs_blocks_count(rd->fs->super))
		return err_set(e, EUCLEAN, "its attributes lie outside the file system");
	code = io_channel_read_blk64(rd->fs->io, block, 1, rd->block);
	if (code)
		return ext4_io_error(&rd->io, code, "reading attributes", e);
	p->xattr_block = (uint32_t)block;
	return xattr_decode(rd->block, rd->fs->blocksize, true, en, e);
}

static int read_target(struct reader *rd, const struct ext2_inode_large *inode,
	const struct ext4_place *p, struct tree_entry *en, struct err *e)
{
	uint64_t size = inode->i_size | (uint64_t)inode->i_size_high << 32;

	if (size == 0 || size >= PATH_MAX)
		return err_set(e, EUCLEAN, "bad length of a link");
	if (p->runs.count > 0) {
		autoptr(source) s = open_place(rd, p, size);
		autofree char *text = xcalloc(1, PATH_MAX);
		int r = source_read_at(s, text, (size_t)size, 0, e);

		if (r < 0)
			return r;
		en->target = take_ptr(text);
	} else if (size < sizeof(inode->i_block)) {
		en->target = xstrndup((const char *)inode->i_block, (size_t)size);
	}
	if (!en->target || strlen(en->target) != size)
		return err_set(e, EUCLEAN, "bad target of a link");
	return 0;
}

/* Fast links and devices use the block map for something else. */
static bool has_map(const struct ext2_inode_large *inode)
{
	if (S_ISLNK(inode->i_mode))
		return inode->i_flags & EXT4_EXTENTS_FL || inode->i_size >= EXT4_FAST_LINK_MAX;
	return S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode);
}

static struct ext4_place *add_place(struct reader *rd, uint32_t number)
{
	if (rd->place_count == rd->place_room) {
		rd->place_room = MAX(256, 2 * rd->place_room);
		rd->places = xrealloc(rd->places, rd->place_room * sizeof(*rd->places));
	}
	rd->place_of_inode[number] = rd->place_count + 1;
	rd->places[rd->place_count] = (struct ext4_place){.inode = number};
	return &rd->places[rd->place_count++];
}

/* Fill en, which has its path, from an inode. */
static int read_inode(struct reader *rd, uint32_t number, struct tree_entry *en, struct err *e)
{
	const struct ext2_inode_large *inode = (const void *)rd->inode;
	size_t known = rd->place_of_inode[number];
	struct ext4_place *p;
	errcode_t code;
	int r;

	code = ext2fs_read_inode_full(
		rd->fs, number, (struct ext2_inode *)(void *)rd->inode, (int)rd->inode_bytes);
	if (code)
		return ext4_io_error(&rd->io, code, "reading an inode", e);
	r = check_inode(inode, number, e);
	if (r < 0)
		return r;
	if (known && S_ISDIR(inode->i_mode))
		return err_set(e, EUCLEAN, "inode %u is a folder in two places", number);

	en->inode = number;
	set_common(rd, inode, en);
	p = known ? &rd->places[known - 1] : add_place(rd, number);
	if (!known && has_map(inode)) {
		r = ext4_map_read(rd->fs, (const struct ext2_inode *)inode, &rd->budget, p, e);
		if (r < 0)
			return r;
	}
	if (S_ISLNK(en->mode))
		r = read_target(rd, inode, p, en, e);
	return r < 0 ? r : read_xattrs(rd, inode, p, en, e);
}

/* ---- folders ---- */

/* What an entry takes in memory comes out of a budget, or a small image could make a huge list. */
static int charge(struct reader *rd, const struct tree_entry *en, struct err *e)
{
	uint64_t n = sizeof(*en) + strlen(en->path) + (en->target ? strlen(en->target) : 0);

	for (size_t i = 0; i < en->xattr_count; i++)
		n += sizeof(en->xattrs[i]) + strlen(en->xattrs[i].name) + en->xattrs[i].len;
	if (n > rd->memory_left)
		return err_set(e, E2BIG, "more names than an image of this size can have");
	rd->memory_left -= n;
	return 0;
}

/* Takes over path. */
static int add_entry(struct reader *rd, struct tree *t, char *path, uint32_t number, struct err *e)
{
	struct tree_entry *en = tree_add(t, &(struct tree_entry){.path = path});
	int r;

	if (strlen(path) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "a path of more than %d bytes", PATH_MAX);
	r = read_inode(rd, number, en, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", path);
	xattr_sort(en);
	return charge(rd, en, e);
}

static int add_child(struct reader *rd, struct tree *t, const char *folder,
	const struct disk_dirent *d, const char *name, struct err *e)
{
	uint32_t number = le32_get(d->inode);
	size_t len = d->name_len;

	if (number == 0 || (len == 1 && name[0] == '.') || (len == 2 && memcmp(name, "..", 2) == 0))
		return 0;
	if (len == 0 || memchr(name, '/', len) || memchr(name, '\0', len))
		return err_set(e, EUCLEAN, "'/%s': a bad name in it", folder);
	if (number < EXT4_FIRST_INODE || number > rd->fs->super->s_inodes_count)
		return err_set(e, EUCLEAN, "'/%s': a bad inode number in it", folder);
	return add_entry(rd, t, xasprintf("%s%s%.*s", folder, *folder ? "/" : "", (int)len, name),
		number, e);
}

static int read_folder_block(
	struct reader *rd, struct tree *t, const char *folder, const uint8_t *data, struct err *e)
{
	uint32_t block_bytes = rd->fs->blocksize;

	for (uint32_t off = 0; off < block_bytes;) {
		struct disk_dirent d;
		uint32_t n;
		int r;

		memcpy(&d, data + off, sizeof(d));
		n = le16_get(d.entry_bytes);
		if (block_bytes > UINT16_MAX && (n == 0 || n == UINT16_MAX))
			n = block_bytes;
		if (n < sizeof(d) || n % 4 != 0 || n > block_bytes - off ||
			(le32_get(d.inode) != 0 && d.name_len > n - sizeof(d)))
			return err_set(e, EUCLEAN, "'/%s': damaged folder", folder);
		r = add_child(rd, t, folder, &d, (const char *)data + off + sizeof(d), e);
		if (r < 0)
			return r;
		off += n;
	}
	return 0;
}

static int read_folder(struct reader *rd, struct tree *t, size_t i, struct err *e)
{
	/* Entries and places move in memory as more are added, so both are copied. */
	const char *folder = t->entries[i].path;
	struct block_runs runs = rd->places[rd->place_of_inode[t->entries[i].inode] - 1].runs;
	autofree uint8_t *data = xcalloc(1, rd->fs->blocksize);
	int r = interrupt_check(e);

	for (size_t k = 0; r == 0 && k < runs.count; k++) {
		for (uint32_t b = 0; r == 0 && b < runs.items[k].count; b++) {
			errcode_t code = io_channel_read_blk64(
				rd->fs->io, runs.items[k].start + b, 1, data);

			r = code ? ext4_io_error(&rd->io, code, "reading a folder", e)
				 : read_folder_block(rd, t, folder, data, e);
		}
	}
	return r;
}

static int read_tree(struct reader *rd, struct tree *t, struct err *e)
{
	int r = add_entry(rd, t, xstrdup(""), EXT2_ROOT_INO, e);

	if (r == 0 && !S_ISDIR(t->entries[0].mode))
		r = err_set(e, EUCLEAN, "the root is not a folder");
	for (size_t i = 0; r == 0 && i < t->count; i++)
		if (S_ISDIR(t->entries[i].mode))
			r = read_folder(rd, t, i, e);
	if (r < 0)
		return r;

	tree_sort(t);
	for (size_t i = 1; i < t->count; i++)
		if (str_eq(t->entries[i - 1].path, t->entries[i].path))
			return err_set(e, EUCLEAN, "'/%s' is there twice", t->entries[i].path);
	qsort(rd->places, rd->place_count, sizeof(*rd->places), compare_places);
	return 0;
}

static int open_fs(struct reader *rd, struct err *e)
{
	char name[EXT4_IO_NAME_BYTES];
	errcode_t code;

	ext4_io_name(&rd->io, name);
	code = ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, ext4_io_manager, &rd->fs);
	if (code)
		return ext4_io_error(&rd->io, code, "opening the file system", e);
	rd->inode_bytes = EXT2_INODE_SIZE(rd->fs->super);
	/* At least a whole struct, so that no field has to be asked for. */
	rd->inode = xcalloc(1, MAX(rd->inode_bytes, sizeof(struct ext2_inode_large)));
	rd->block = xcalloc(1, rd->fs->blocksize);
	rd->place_of_inode = xcalloc(
		(size_t)rd->fs->super->s_inodes_count + 1, sizeof(*rd->place_of_inode));
	rd->budget.blocks = rd->budget.nodes = ext2fs_blocks_count(rd->fs->super);
	return 0;
}

int ext4_tree_open(struct source *image, struct tree **out, struct err *e)
{
	autoptr(tree) t = NULL;
	struct reader *rd;
	uint64_t size = 0;
	int r = check_super(image, &size, e);

	if (r < 0)
		return r;
	rd = xcalloc(1, sizeof(*rd));
	rd->io = (struct ext4_io){.source = image, .fd = -1};
	rd->memory_left = LIST_MIN_BYTES + LIST_FACTOR * size;
	t = tree_new(&read_ops, rd);
	r = open_fs(rd, e);
	if (r == 0)
		r = read_tree(rd, t, e);
	if (r < 0)
		return r;

	free(take_ptr(rd->place_of_inode));
	*out = take_ptr(t);
	return 0;
}
