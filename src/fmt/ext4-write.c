/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "fmt/ext4-layout.h"
#include "fmt/ext4-xattr.h"

#define CHUNK_BYTES     MIB
#define SECTORS_A_BLOCK (EXT4_BLOCK_BYTES / 512)
#define LINKS_MAX       65000 /* EXT4_LINK_MAX; a folder with more has a link count of 1 */
#define TIME_MIN        INT32_MIN
#define TIME_MAX        0x37fffffffLL /* two extra bits: the year 2446 */

struct writer {
	struct tree *tree;
	const struct dir_index *ix;
	const struct ext4_params *params;
	const struct ext4_layout *l;
	struct ext4_work work;
	struct ext4_io io;
	ext2_filsys fs;
	uint32_t *inodes;    /* of each entry */
	uint8_t *buf;        /* CHUNK_BYTES */
	uint8_t *used;       /* one bit a block */
	uint8_t *inode_used; /* one bit an inode, from inode 1 on */
	uint32_t *folders;   /* in each group */
	uint64_t used_blocks;
};

union disk_inode {
	struct ext2_inode_large f;
	uint8_t bytes[EXT4_INODE_BYTES];
};
static_assert(sizeof(struct ext2_inode_large) + XATTR_INODE_BYTES == EXT4_INODE_BYTES,
	"no room between inode and attributes");

static void set_bits(uint8_t *bits, uint32_t start, uint32_t count)
{
	for (uint32_t i = start; i < start + count; i++)
		bits[i / 8] |= (uint8_t)(1 << i % 8);
}

static uint32_t count_bits(const uint8_t *bits, uint32_t start, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t i = start; i < start + count; i++)
		n += (bits[i / 8] >> i % 8) & 1;
	return n;
}

/* ---- superblock, groups and bitmaps: what libext2fs keeps for us ---- */

static void fill_super(struct ext2_super_block *sb, const struct ext4_params *p)
{
	uint32_t now = (uint32_t)MAX(1, MIN(p->time, UINT32_MAX));

	memcpy(sb->s_uuid, p->uuid, sizeof(sb->s_uuid));
	memcpy(sb->s_hash_seed, p->hash_seed, sizeof(sb->s_hash_seed));
	if (p->label)
		memcpy(sb->s_volume_name, p->label, strlen(p->label));
	sb->s_mkfs_time = sb->s_lastcheck = sb->s_wtime = now;
	sb->s_mtime = 0;
	sb->s_mnt_count = 0;
	sb->s_max_mnt_count = -1;
	sb->s_checkinterval = 0;
	sb->s_creator_os = EXT2_OS_LINUX;
	sb->s_errors = EXT2_ERRORS_CONTINUE;
	sb->s_state = EXT2_VALID_FS;
	sb->s_def_hash_version = EXT2_HASH_HALF_MD4;
	sb->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL |
		(p->discard ? EXT4_DEFM_DISCARD : 0);
	sb->s_flags = EXT2_FLAGS_UNSIGNED_HASH;
	sb->s_min_extra_isize = sb->s_want_extra_isize = sizeof(struct ext2_inode_large) -
		EXT2_GOOD_OLD_INODE_SIZE;
}

static int create(struct writer *w, struct err *e)
{
	const struct ext4_geometry *g = &w->l->geo;
	char name[EXT4_IO_NAME_BYTES];
	struct ext2_super_block sb = {
		.s_log_block_size = 2,
		.s_log_cluster_size = 2,
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_first_ino = EXT4_FIRST_INODE,
		.s_inode_size = EXT4_INODE_BYTES,
		.s_blocks_count = g->block_count,
		.s_blocks_per_group = EXT4_GROUP_BLOCKS,
		.s_inodes_count = ext4_group_count(g) * g->inodes_per_group,
		.s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR,
		.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE |
			EXT3_FEATURE_INCOMPAT_EXTENTS,
		.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
			EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
			EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE,
	};
	errcode_t code;

	ext4_io_name(&w->io, name);
	code = ext2fs_initialize(name, EXT2_FLAG_64BITS, &sb, ext4_io_manager, &w->fs);
	if (code)
		return ext4_io_error(&w->io, code, "creating the file system", e);
	if (w->fs->super->s_blocks_count != g->block_count ||
		w->fs->super->s_inodes_per_group != g->inodes_per_group)
		return err_set(e, EPROTO, "libext2fs chose another geometry");
	fill_super(w->fs->super, w->params);
	w->fs->now = w->fs->super->s_wtime;
	return 0;
}

static void place_groups(struct writer *w)
{
	const struct ext4_geometry *g = &w->l->geo;
	uint32_t table = g->inodes_per_group / INODES_IN_BLOCK;

	for (uint32_t group = 0; group < ext4_group_count(g); group++) {
		uint32_t bitmap = ext4_group_bitmap(g, group);

		ext2fs_block_bitmap_loc_set(w->fs, group, bitmap);
		ext2fs_inode_bitmap_loc_set(w->fs, group, bitmap + 1);
		ext2fs_inode_table_loc_set(w->fs, group, bitmap + 2);
		set_bits(w->used, bitmap, 2 + table);
		if (ext4_group_has_super(group))
			set_bits(w->used, group * EXT4_GROUP_BLOCKS,
				1 + (uint32_t)w->fs->desc_blocks);
	}
	set_bits(w->inode_used, 0, EXT4_FIRST_INODE - 1);
}

static void mark_place(struct writer *w, const struct ext4_place *p)
{
	for (size_t i = 0; i < p->runs.count; i++)
		set_bits(w->used, p->runs.items[i].start, p->runs.items[i].count);
	for (size_t i = 0; i < p->node_count; i++)
		set_bits(w->used, p->nodes[i], 1);
	if (p->xattr_block)
		set_bits(w->used, p->xattr_block, 1);
	set_bits(w->inode_used, p->inode - 1, 1);
}

static void count_group(struct writer *w, uint32_t group)
{
	struct ext2_super_block *sb = w->fs->super;
	uint32_t start = group * EXT4_GROUP_BLOCKS;
	uint32_t blocks = MIN(EXT4_GROUP_BLOCKS, sb->s_blocks_count - start);
	uint32_t used = count_bits(w->used, start, blocks);
	uint32_t inodes = sb->s_inodes_per_group;
	uint32_t inodes_used = count_bits(w->inode_used, group * inodes, inodes);

	w->used_blocks += used;
	ext2fs_bg_free_blocks_count_set(w->fs, group, blocks - used);
	ext2fs_bg_free_inodes_count_set(w->fs, group, inodes - inodes_used);
	ext2fs_bg_used_dirs_count_set(w->fs, group, w->folders[group]);
	sb->s_free_inodes_count += inodes - inodes_used;
}

static int finish(struct writer *w, struct err *e)
{
	struct ext2_super_block *sb = w->fs->super;
	errcode_t code;

	for (size_t i = 0; i < w->l->place_count; i++)
		mark_place(w, &w->l->places[i]);
	sb->s_free_inodes_count = 0;
	for (uint32_t group = 0; group < ext4_group_count(&w->l->geo); group++)
		count_group(w, group);
	ext2fs_free_blocks_count_set(sb, sb->s_blocks_count - w->used_blocks);

	code = ext2fs_set_block_bitmap_range2(w->fs->block_map, 0, sb->s_blocks_count, w->used);
	if (!code)
		code = ext2fs_set_inode_bitmap_range2(
			w->fs->inode_map, 1, sb->s_inodes_count, w->inode_used);
	ext2fs_mark_super_dirty(w->fs);
	ext2fs_mark_bb_dirty(w->fs);
	ext2fs_mark_ib_dirty(w->fs);
	if (!code)
		code = ext2fs_flush(w->fs);
	return code ? ext4_io_error(&w->io, code, "writing the file system", e) : 0;
}

/* ---- content ---- */

static int write_block(struct writer *w, const void *data, uint32_t block, struct err *e)
{
	return io_pwrite(w->io.fd, data, EXT4_BLOCK_BYTES, (uint64_t)block * EXT4_BLOCK_BYTES, e);
}

static int copy_run(struct writer *w, struct source *s, const struct block_run *run, struct err *e)
{
	uint64_t off = (uint64_t)run->logical * EXT4_BLOCK_BYTES;
	uint64_t to = (uint64_t)run->start * EXT4_BLOCK_BYTES;
	uint64_t end = MIN(off + (uint64_t)run->count * EXT4_BLOCK_BYTES, s->size_bytes);

	while (off < end) {
		size_t len = (size_t)MIN(CHUNK_BYTES, end - off);
		int r = source_read_at(s, w->buf, len, off, e);

		if (r == 0)
			r = io_pwrite(w->io.fd, w->buf, len, to, e);
		if (r == 0)
			r = ext4_work_add(&w->work, len, e);
		if (r < 0)
			return r;
		off += len;
		to += len;
	}
	return 0;
}

static int write_file(
	struct writer *w, const struct tree_entry *en, const struct ext4_place *p, struct err *e)
{
	uint64_t before = w->work.done;
	autoptr(source) s = NULL;
	int r;

	if (p->runs.count > 0) {
		r = tree_open(w->tree, en, &s, e);
		if (r == 0 && s->size_bytes != en->size_bytes)
			r = err_set(e, EIO, "its size has changed");
		for (size_t i = 0; r == 0 && i < p->runs.count; i++)
			r = copy_run(w, s, &p->runs.items[i], e);
		if (r < 0)
			return err_wrap(e, r, "'/%s'", en->path);
	}
	return ext4_work_add(&w->work, en->size_bytes - (w->work.done - before), e);
}

static int write_runs(
	struct writer *w, const struct ext4_place *p, const uint8_t *data, struct err *e)
{
	for (size_t i = 0; i < p->runs.count; i++) {
		const struct block_run *run = &p->runs.items[i];
		int r = io_pwrite(w->io.fd, data + (size_t)run->logical * EXT4_BLOCK_BYTES,
			(size_t)run->count * EXT4_BLOCK_BYTES,
			(uint64_t)run->start * EXT4_BLOCK_BYTES, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int write_folder(struct writer *w, size_t i, const struct ext4_place *p, struct err *e)
{
	autofree uint8_t *data = xcalloc(block_runs_total(&p->runs), EXT4_BLOCK_BYTES);

	dir_fill(w->ix, i, w->inodes, data);
	return write_runs(w, p, data, e);
}

static int write_link(
	struct writer *w, const struct tree_entry *en, const struct ext4_place *p, struct err *e)
{
	uint8_t data[EXT4_BLOCK_BYTES] = {0};

	memcpy(data, en->target, strlen(en->target));
	return write_runs(w, p, data, e);
}

/* ---- extents ---- */

/* One level of an extent tree on its way from the leaves to the inode. */
struct level {
	struct disk_extent *items; /* index entries have the same size */
	size_t count;
	uint16_t depth;
};

static size_t extent_count_max(const struct block_runs *runs)
{
	size_t n = 1;

	for (size_t i = 0; i < runs->count; i++)
		n += runs->items[i].count / EXTENT_MAX_BLOCKS + 1;
	return n;
}

/* The lowest level: the content's own extents.  Returns the number of their blocks. */
static uint64_t put_extents(const struct block_runs *runs, struct level *level)
{
	for (size_t i = 0; i < runs->count; i++) {
		const struct block_run *run = &runs->items[i];

		for (uint32_t at = 0; at < run->count; at += EXTENT_MAX_BLOCKS)
			level->items[level->count++] = (struct disk_extent){
				.logical = le32_put(run->logical + at),
				.count = le16_put(
					(uint16_t)MIN(EXTENT_MAX_BLOCKS, run->count - at)),
				.start_lo = le32_put(run->start + at),
			};
	}
	return block_runs_total(runs);
}

static void put_node(const struct level *level, size_t first, size_t room, uint8_t *out)
{
	size_t count = MIN(room, level->count - first);
	struct disk_extent_header h = {
		.magic = le16_put(EXTENT_MAGIC),
		.entries = le16_put((uint16_t)count),
		.max = le16_put((uint16_t)room),
		.depth = le16_put(level->depth),
	};

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), level->items + first, count * sizeof(*level->items));
}

/* Write the nodes of one level and make the list of them the next level. */
static int raise_level(struct writer *w, struct level *level, const uint32_t *nodes, struct err *e)
{
	size_t above = 0;

	for (size_t first = 0; first < level->count; first += EXTENTS_IN_NODE) {
		uint8_t block[EXT4_BLOCK_BYTES] = {0};
		struct disk_extent_index x = {
			.logical = level->items[first].logical, .node_lo = le32_put(nodes[above])};
		int r;

		put_node(level, first, EXTENTS_IN_NODE, block);
		r = write_block(w, block, nodes[above], e);
		if (r < 0)
			return r;
		/* Nothing before this entry is needed any more. */
		memcpy(&level->items[above++], &x, sizeof(x));
	}
	level->count = above;
	level->depth++;
	return 0;
}

static int write_extents(
	struct writer *w, const struct ext4_place *p, struct ext2_inode_large *inode, struct err *e)
{
	autofree struct disk_extent *items = xcalloc(extent_count_max(&p->runs), sizeof(*items));
	struct level level = {.items = items};
	size_t node = 0;
	uint64_t sectors = put_extents(&p->runs, &level);

	while (level.count > EXTENTS_IN_INODE) {
		size_t nodes = (level.count + EXTENTS_IN_NODE - 1) / EXTENTS_IN_NODE;
		int r = raise_level(w, &level, p->nodes + node, e);

		if (r < 0)
			return r;
		node += nodes;
	}
	put_node(&level, 0, EXTENTS_IN_INODE, (uint8_t *)inode->i_block);
	inode->i_flags |= EXT4_EXTENTS_FL;

	sectors = (sectors + node + (p->xattr_block ? 1 : 0)) * SECTORS_A_BLOCK;
	inode->i_blocks = (uint32_t)sectors;
	inode->osd2.linux2.l_i_blocks_hi = (uint16_t)(sectors >> 32);
	return 0;
}

/* ---- inodes ---- */

static uint32_t time_low(int64_t t)
{
	return (uint32_t)t;
}

/* The low two bits count the rounds of 2^32 seconds that the signed low half does not tell. */
static uint32_t time_extra(int64_t t)
{
	return (uint32_t)(((t - (int32_t)(uint32_t)t) >> 32) & 3);
}

static void set_times(struct ext2_inode_large *inode, int64_t mtime, int64_t latest)
{
	int64_t t = MAX(TIME_MIN, MIN(MIN(mtime, latest), TIME_MAX));

	inode->i_atime = inode->i_ctime = inode->i_mtime = inode->i_crtime = time_low(t);
	inode->i_atime_extra = inode->i_ctime_extra = inode->i_mtime_extra = inode->i_crtime_extra =
		time_extra(t);
}

/* As in the kernel's new_encode_dev() and old_encode_dev(). */
static int set_device(struct ext2_inode_large *inode, const struct tree_entry *en, struct err *e)
{
	uint32_t major = en->dev_major, minor = en->dev_minor;

	if (major >= 1U << 12 || minor >= 1U << 20)
		return err_set(e, EINVAL, "'/%s': device number too large", en->path);
	if (major < 256 && minor < 256)
		inode->i_block[0] = major << 8 | minor;
	else
		inode->i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
	return 0;
}

static int set_links(struct writer *w, size_t i, struct ext2_inode_large *inode, struct err *e)
{
	const struct tree_entry *en = &w->tree->entries[i];
	size_t links = w->ix->names[i];

	if (S_ISDIR(en->mode)) {
		links = 2 + w->ix->folders[i];
		links = links >= LINKS_MAX ? 1 : links;
	}
	if (links > LINKS_MAX)
		return err_set(e, EMLINK, "'/%s': more than %d hard links", en->path, LINKS_MAX);
	inode->i_links_count = (uint16_t)links;
	return 0;
}

static void set_owner_and_size(struct writer *w, const struct tree_entry *en,
	const struct ext4_place *p, struct ext2_inode_large *inode)
{
	uint64_t size = 0;

	if (S_ISREG(en->mode))
		size = en->size_bytes;
	else if (S_ISDIR(en->mode))
		size = block_runs_total(&p->runs) * EXT4_BLOCK_BYTES;
	else if (S_ISLNK(en->mode))
		size = strlen(en->target);
	inode->i_size = (uint32_t)size;
	inode->i_size_high = (uint32_t)(size >> 32);
	inode->i_mode = (uint16_t)en->mode;
	inode->i_uid = (uint16_t)en->uid;
	inode->osd2.linux2.l_i_uid_high = (uint16_t)(en->uid >> 16);
	inode->i_gid = (uint16_t)en->gid;
	inode->osd2.linux2.l_i_gid_high = (uint16_t)(en->gid >> 16);
	inode->i_file_acl = p->xattr_block;
	inode->i_extra_isize = sizeof(*inode) - EXT2_GOOD_OLD_INODE_SIZE;
	set_times(inode, en->mtime, w->params->time);
}

/* What an inode of this type has in it beside the common fields. */
static int set_content(struct writer *w, const struct tree_entry *en, const struct ext4_place *p,
	struct ext2_inode_large *inode, struct err *e)
{
	if (S_ISREG(en->mode) || S_ISDIR(en->mode) || p->runs.count > 0)
		return write_extents(w, p, inode, e);
	inode->i_blocks = p->xattr_block ? SECTORS_A_BLOCK : 0;
	if (S_ISLNK(en->mode))
		memcpy(inode->i_block, en->target, strlen(en->target));
	if (S_ISCHR(en->mode) || S_ISBLK(en->mode))
		return set_device(inode, en, e);
	return 0;
}

static int write_inode(struct writer *w, size_t i, const struct ext4_place *p, struct err *e)
{
	const struct tree_entry *en = &w->tree->entries[i];
	union disk_inode inode = {0};
	struct xattr_image attributes;
	errcode_t code;
	int r;

	r = xattr_encode(en, &attributes, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", en->path);
	set_owner_and_size(w, en, p, &inode.f);
	r = set_links(w, i, &inode.f, e);
	if (r == 0)
		r = set_content(w, en, p, &inode.f, e);
	if (r == 0 && p->xattr_block)
		r = write_block(w, attributes.block, p->xattr_block, e);
	if (r < 0)
		return r;

	memcpy(inode.bytes + sizeof(inode.f), attributes.inode, XATTR_INODE_BYTES);
	code = ext2fs_write_inode_full(
		w->fs, p->inode, (struct ext2_inode *)&inode.f, sizeof(inode));
	return code ? ext4_io_error(&w->io, code, "writing an inode", e) : 0;
}

static int write_entry(struct writer *w, size_t i, struct err *e)
{
	const struct tree_entry *en = &w->tree->entries[i];
	const struct ext4_place *p = &w->l->places[w->l->place_of[i]];
	int r = 0;

	if (S_ISREG(en->mode))
		r = write_file(w, en, p, e);
	else if (S_ISDIR(en->mode))
		r = write_folder(w, i, p, e);
	else if (S_ISLNK(en->mode) && p->runs.count > 0)
		r = write_link(w, en, p, e);
	if (S_ISDIR(en->mode))
		w->folders[(p->inode - 1) / w->l->geo.inodes_per_group]++;
	return r < 0 ? r : write_inode(w, i, p, e);
}

static int write_all(struct writer *w, struct err *e)
{
	const struct ext4_layout *l = w->l;
	uint64_t size = (uint64_t)l->geo.block_count * EXT4_BLOCK_BYTES;
	int r;

	if (ftruncate(w->io.fd, 0) < 0 || ftruncate(w->io.fd, (off_t)size) < 0)
		return err_errno(e, "making a file of %ju bytes", (uintmax_t)size);
	r = create(w, e);
	if (r < 0)
		return r;
	place_groups(w);
	for (size_t i = 0; i < l->path_count; i++)
		w->inodes[i] = l->places[l->place_of[i]].inode;
	for (size_t i = 0; r == 0 && i < l->path_count; i++)
		if (w->tree->entries[i].link_of == i)
			r = write_entry(w, i, e);
	return r < 0 ? r : finish(w, e);
}

static int write_layout(struct writer *w, struct ext4_result *out, struct err *e)
{
	const struct ext4_geometry *g = &w->l->geo;
	uint32_t groups = ext4_group_count(g);
	autofree uint8_t *used = xcalloc(g->block_count / 8 + 1, 1);
	autofree uint8_t *inode_used = xcalloc((size_t)groups * g->inodes_per_group / 8 + 1, 1);
	autofree uint32_t *folders = xcalloc(groups, sizeof(*folders));
	autofree uint32_t *inodes = xcalloc(w->l->path_count, sizeof(*inodes));
	autofree uint8_t *buf = xcalloc(1, CHUNK_BYTES);
	int r;

	w->used = used;
	w->inode_used = inode_used;
	w->folders = folders;
	w->inodes = inodes;
	w->buf = buf;
	r = write_all(w, e);
	if (w->fs)
		ext2fs_free(w->fs);
	if (r < 0)
		return r;
	*out = (struct ext4_result){
		.size_bytes = (uint64_t)g->block_count * EXT4_BLOCK_BYTES,
		.used_bytes = w->used_blocks * EXT4_BLOCK_BYTES,
		.kept_blocks = w->l->kept_blocks,
		.new_blocks = w->l->new_blocks,
		.inodes = w->l->place_count,
	};
	return 0;
}

static uint64_t content_bytes(const struct tree *t)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->count; i++)
		if (S_ISREG(t->entries[i].mode) && t->entries[i].link_of == i)
			n += t->entries[i].size_bytes;
	return n;
}

int ext4_write(struct tree *t, const struct ext4_params *p, int fd, struct ext4_result *out,
	struct progress *progress, struct err *e)
{
	autoptr(dir_index) ix = NULL;
	autoptr(ext4_layout) l = NULL;
	struct writer w = {.tree = t, .params = p, .work.progress = progress, .io.fd = fd};
	int r;

	if (p->label && strlen(p->label) > EXT4_LABEL_MAX_BYTES)
		return err_set(e, EINVAL, "label '%s' is longer than %d bytes", p->label,
			EXT4_LABEL_MAX_BYTES);
	r = dir_index_new(t, &ix, e);
	if (r < 0)
		return r;

	progress_begin(progress, "rootfs", 2 * content_bytes(t), "bytes");
	r = ext4_layout_make(t, ix, p, &w.work, &l, e);
	if (r < 0)
		return r;
	w.ix = ix;
	w.l = l;
	r = write_layout(&w, out, e);
	if (r < 0)
		return r;
	progress_end(progress);
	return 0;
}
