/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes, their attributes and their block lists. */
#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include <sqfs/inode.h>
#include <sqfs/xattr.h>

#include "base/endian.h"
#include "base/xalloc.h"
#include "fmt/squashfs-read.h"

#define BLOCKS_MAX       (8ULL << 20) /* of one file: 1 TiB in blocks of 128 KiB */
#define TARGET_MAX_BYTES 65535
#define XATTRS_MAX       4096 /* of one file */
#define XATTR_MAX_BYTES  65536

struct disk_base {
	le16 type, mode, uid, gid; /* 0 */
	le32 mtime, number;        /* 8 */
};
static_assert(sizeof(struct disk_base) == 16, "inode");

struct disk_folder {
	le32 start, links; /* 0 */
	le16 size, off;    /* 8 */
	le32 parent;       /* 12 */
};
static_assert(sizeof(struct disk_folder) == 16, "folder");

struct disk_long_folder {
	le32 links, size, start, parent; /* 0 */
	le16 index_count, off;           /* 16 */
	le32 xattr;                      /* 20 */
};
static_assert(sizeof(struct disk_long_folder) == 24, "long folder");

struct disk_file {
	le32 start, fragment, fragment_off, size; /* 0 */
};
static_assert(sizeof(struct disk_file) == 16, "file");

struct disk_long_file {
	le64 start, size, sparse;                  /* 0 */
	le32 links, fragment, fragment_off, xattr; /* 24 */
};
static_assert(sizeof(struct disk_long_file) == 40, "long file");

struct disk_fragment {
	le64 place;        /* 0 */
	le32 word, unused; /* 8 */
};
static_assert(sizeof(struct disk_fragment) == 16, "fragment");

struct disk_xattr_id {
	le64 ref;         /* 0 */
	le32 count, size; /* 8 */
};
static_assert(sizeof(struct disk_xattr_id) == 16, "attribute id");

struct disk_xattr_table {
	le64 table;       /* 0 */
	le32 ids, unused; /* 8 */
};
static_assert(sizeof(struct disk_xattr_table) == 16, "attribute table");

static const uint32_t modes[] = {
	[SQFS_INODE_DIR] = S_IFDIR,
	[SQFS_INODE_FILE] = S_IFREG,
	[SQFS_INODE_SLINK] = S_IFLNK,
	[SQFS_INODE_BDEV] = S_IFBLK,
	[SQFS_INODE_CDEV] = S_IFCHR,
	[SQFS_INODE_FIFO] = S_IFIFO,
	[SQFS_INODE_SOCKET] = S_IFSOCK,
};
#define LONG_TYPES (SQFS_INODE_EXT_DIR - SQFS_INODE_DIR)

static int read_folder(
	struct squashfs_image *img, bool is_long, struct squashfs_inode *in, struct err *e)
{
	struct disk_long_folder l;
	struct disk_folder f;
	uint32_t size;
	int r;

	if (is_long) {
		r = squashfs_meta_read(img, &in->rest, &l, sizeof(l), e);
		size = r < 0 ? 0 : le32_get(l.size);
		in->listing_block = r < 0 ? 0 : le32_get(l.start);
		in->listing_off = r < 0 ? 0 : le16_get(l.off);
		in->xattr = r < 0 ? 0 : le32_get(l.xattr);
	} else {
		r = squashfs_meta_read(img, &in->rest, &f, sizeof(f), e);
		size = r < 0 ? 0 : le16_get(f.size);
		in->listing_block = r < 0 ? 0 : le32_get(f.start);
		in->listing_off = r < 0 ? 0 : le16_get(f.off);
	}
	/* "." and ".." count 3 bytes and are not stored. */
	in->listing_bytes = size > 3 ? size - 3 : 0;
	return r;
}

static int read_file(
	struct squashfs_image *img, bool is_long, struct squashfs_inode *in, struct err *e)
{
	struct disk_long_file l;
	struct disk_file f;
	int r;

	if (is_long) {
		r = squashfs_meta_read(img, &in->rest, &l, sizeof(l), e);
		if (r < 0)
			return r;
		in->start = le64_get(l.start);
		in->size_bytes = le64_get(l.size);
		in->fragment = le32_get(l.fragment);
		in->fragment_off = le32_get(l.fragment_off);
		in->xattr = le32_get(l.xattr);
	} else {
		r = squashfs_meta_read(img, &in->rest, &f, sizeof(f), e);
		if (r < 0)
			return r;
		in->start = le32_get(f.start);
		in->size_bytes = le32_get(f.size);
		in->fragment = le32_get(f.fragment);
		in->fragment_off = le32_get(f.fragment_off);
	}
	if (in->size_bytes > INT64_MAX)
		return err_set(
			e, EBADMSG, "squashfs: file of %ju bytes", (uintmax_t)in->size_bytes);
	return 0;
}

static int read_link(
	struct squashfs_image *img, bool is_long, struct squashfs_inode *in, struct err *e)
{
	le32 fields[2], xattr;
	char skipped[256];
	int r = squashfs_meta_read(img, &in->rest, fields, sizeof(fields), e);

	if (r < 0)
		return r;
	in->target_bytes = le32_get(fields[1]);
	if (in->target_bytes == 0 || in->target_bytes > TARGET_MAX_BYTES)
		return err_set(e, EBADMSG, "squashfs: link target of %u bytes", in->target_bytes);
	if (!is_long)
		return 0;

	struct squashfs_cursor c = in->rest;
	for (uint32_t left = in->target_bytes; r == 0 && left > 0;) {
		uint32_t n = MIN(left, (uint32_t)sizeof(skipped));

		r = squashfs_meta_read(img, &c, skipped, n, e);
		left -= n;
	}
	if (r == 0)
		r = squashfs_meta_read(img, &c, &xattr, sizeof(xattr), e);
	if (r == 0)
		in->xattr = le32_get(xattr);
	return r;
}

/* Devices, pipes and sockets: links, device number of devices, attributes when long. */
static int read_special(
	struct squashfs_image *img, bool is_long, struct squashfs_inode *in, struct err *e)
{
	bool device = S_ISBLK(in->mode) || S_ISCHR(in->mode);
	size_t count = 1 + device + is_long;
	le32 fields[3];
	int r = squashfs_meta_read(img, &in->rest, fields, count * sizeof(fields[0]), e);

	if (r < 0)
		return r;
	if (device)
		in->device = le32_get(fields[1]);
	if (is_long)
		in->xattr = le32_get(fields[count - 1]);
	return 0;
}

static int read_rest(
	struct squashfs_image *img, bool is_long, struct squashfs_inode *in, struct err *e)
{
	switch (in->mode & S_IFMT) {
	case S_IFDIR:
		return read_folder(img, is_long, in, e);
	case S_IFREG:
		return read_file(img, is_long, in, e);
	case S_IFLNK:
		return read_link(img, is_long, in, e);
	default:
		return read_special(img, is_long, in, e);
	}
}

static int read_id(struct squashfs_image *img, uint16_t i, uint32_t *out, struct err *e)
{
	const struct squashfs_super *super = squashfs_image_super(img);
	le32 id;

	if (i >= super->ids)
		return err_set(e, EBADMSG, "squashfs: owner %u of %u", i, super->ids);
	int r = squashfs_table_read(img, super->id_table, i, sizeof(id), &id, e);
	if (r == 0)
		*out = le32_get(id);
	return r;
}

int squashfs_inode_read(
	struct squashfs_image *img, uint64_t ref, struct squashfs_inode *out, struct err *e)
{
	const struct squashfs_super *super = squashfs_image_super(img);
	struct squashfs_inode in = {
		.rest = squashfs_cursor_at(super->inode_table, ref),
		.xattr = SQUASHFS_NO_XATTR,
	};
	struct disk_base base;
	int r = squashfs_meta_read(img, &in.rest, &base, sizeof(base), e);

	if (r < 0)
		return r;
	uint16_t type = le16_get(base.type);
	bool is_long = type >= SQFS_INODE_EXT_DIR;
	if (type < SQFS_INODE_DIR || type > SQFS_INODE_EXT_SOCKET)
		return err_set(e, EBADMSG, "squashfs: inode of type %u", type);
	in.mode = modes[is_long ? type - LONG_TYPES : type] | (le16_get(base.mode) & 07777);
	in.mtime = le32_get(base.mtime);
	in.number = le32_get(base.number);
	r = read_id(img, le16_get(base.uid), &in.uid, e);
	if (r == 0)
		r = read_id(img, le16_get(base.gid), &in.gid, e);
	if (r == 0)
		r = read_rest(img, is_long, &in, e);
	if (r == 0)
		*out = in;
	return r;
}

int squashfs_fragment_find(
	struct squashfs_image *img, uint32_t i, uint64_t *place, uint32_t *word, struct err *e)
{
	const struct squashfs_super *super = squashfs_image_super(img);
	struct disk_fragment f;

	if (i >= super->fragments)
		return err_set(e, EBADMSG, "squashfs: fragment %u of %u", i, super->fragments);
	int r = squashfs_table_read(img, super->fragment_table, i, sizeof(f), &f, e);
	if (r < 0)
		return r;
	*place = le64_get(f.place);
	*word = le32_get(f.word);
	return 0;
}

int squashfs_file_places(struct squashfs_image *img, const struct squashfs_inode *in,
	uint64_t **places, uint64_t *count, struct err *e)
{
	const struct squashfs_super *super = squashfs_image_super(img);
	uint64_t block_bytes = super->block_bytes, n = in->size_bytes / block_bytes;
	struct squashfs_cursor c = in->rest;
	uint64_t at = in->start;
	le32 words[256];

	if (in->fragment == SQUASHFS_NO_FRAGMENT && in->size_bytes % block_bytes != 0)
		n++;
	if (n > BLOCKS_MAX)
		return err_set(e, EFBIG, "squashfs: file of %ju blocks", (uintmax_t)n);
	/* Grown as the list is read: a claim of many blocks costs the image their list. */
	autofree uint64_t *list = xcalloc(1, sizeof(*list));
	for (uint64_t i = 0; i < n; i++) {
		if (i % ARRAY_LEN(words) == 0) {
			size_t some = (size_t)MIN(ARRAY_LEN(words), n - i);
			int r = squashfs_meta_read(img, &c, words, some * sizeof(words[0]), e);
			if (r < 0)
				return r;
			if ((i & (i - 1)) == 0 || i == 0)
				list = xrealloc(list, (2 * MAX(i, 256) + 1) * sizeof(*list));
		}
		uint32_t word = le32_get(words[i % ARRAY_LEN(words)]);
		if (SQUASHFS_LEN(word) > block_bytes || at > super->used_bytes)
			return err_set(e, EBADMSG, "squashfs: block %ju of a file is out of range",
				(uintmax_t)i);
		list[i] = at | (word & SQUASHFS_WORD_RAW ? SQUASHFS_PLACE_RAW : 0);
		at += SQUASHFS_LEN(word);
	}
	list[n] = at;
	*places = take_ptr(list);
	*count = n;
	return 0;
}

static int read_value(struct squashfs_image *img, struct squashfs_cursor *c, uint16_t type,
	uint64_t table, struct xattr *x, struct err *e)
{
	struct squashfs_cursor away;
	le32 size;
	le64 ref;
	int r = squashfs_meta_read(img, c, &size, sizeof(size), e);

	if (r == 0 && type & SQFS_XATTR_FLAG_OOL) {
		/* The value is stored elsewhere; here is only where. */
		if (le32_get(size) != sizeof(ref))
			return err_set(e, EBADMSG, "squashfs: damaged attribute");
		r = squashfs_meta_read(img, c, &ref, sizeof(ref), e);
		if (r < 0)
			return r;
		away = squashfs_cursor_at(table, le64_get(ref));
		c = &away;
		r = squashfs_meta_read(img, c, &size, sizeof(size), e);
	}
	if (r < 0)
		return r;
	if (le32_get(size) > XATTR_MAX_BYTES)
		return err_set(e, EBADMSG, "squashfs: attribute of %u bytes", le32_get(size));
	x->len = le32_get(size);
	x->value = xcalloc(1, x->len + 1);
	return squashfs_meta_read(img, c, x->value, x->len, e);
}

static int read_xattr(struct squashfs_image *img, struct squashfs_cursor *c, uint64_t table,
	struct xattr *x, struct err *e)
{
	le16 fields[2];
	int r = squashfs_meta_read(img, c, fields, sizeof(fields), e);

	if (r < 0)
		return r;
	uint16_t type = le16_get(fields[0]), len = le16_get(fields[1]);
	const char *prefix = sqfs_get_xattr_prefix((SQFS_XATTR_TYPE)(type & 0xff));
	if (!prefix || len == 0 || len > 255)
		return err_set(e, EBADMSG, "squashfs: damaged attribute");
	char name[256] = "";
	r = squashfs_meta_read(img, c, name, len, e);
	if (r < 0)
		return r;
	if (strlen(name) != len)
		return err_set(e, EBADMSG, "squashfs: damaged attribute name");
	x->name = xasprintf("%s%s", prefix, name);
	return read_value(img, c, type, table, x, e);
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

int squashfs_xattrs_read(struct squashfs_image *img, uint32_t id, struct tree_entry *out,
	uint64_t *budget, struct err *e)
{
	uint64_t at = squashfs_image_super(img)->xattr_table;
	struct disk_xattr_table d;
	struct disk_xattr_id x_id;
	int r = squashfs_plain_read(img, at, &d, sizeof(d), e);

	if (r < 0)
		return r;
	if (id >= le32_get(d.ids))
		return err_set(e, EBADMSG, "squashfs: attributes %u of %u", id, le32_get(d.ids));
	r = squashfs_table_read(img, at + sizeof(d), id, sizeof(x_id), &x_id, e);
	if (r < 0)
		return r;
	uint32_t count = le32_get(x_id.count);
	if (count > XATTRS_MAX)
		return err_set(e, EBADMSG, "squashfs: %u attributes", count);

	struct squashfs_cursor c = squashfs_cursor_at(le64_get(d.table), le64_get(x_id.ref));
	for (uint32_t i = 0; i < count; i++) {
		out->xattrs = xrealloc(out->xattrs, (out->xattr_count + 1) * sizeof(*out->xattrs));
		struct xattr *x = &out->xattrs[out->xattr_count++];

		*x = (struct xattr){0};
		r = read_xattr(img, &c, le64_get(d.table), x, e);
		if (r < 0)
			return r;
		uint64_t cost = sizeof(*x) + strlen(x->name) + x->len + 64;
		if (cost > *budget)
			return err_set(e, EFBIG, "squashfs: too many attributes");
		*budget -= cost;
	}
	if (out->xattr_count > 1)
		qsort(out->xattrs, out->xattr_count, sizeof(*out->xattrs), compare_xattrs);
	return 0;
}
