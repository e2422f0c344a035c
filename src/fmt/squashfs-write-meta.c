/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An inode lies before the folder that names it, so entries are written from last to first: in
 * tree order a folder comes before what is in it.  Numbers are given first, in tree order.
 */
#include <string.h>
#include <sys/stat.h>

#include <sqfs/dir_writer.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/meta_writer.h>
#include <sqfs/xattr.h>
#include <sqfs/xattr_writer.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/squashfs-write.h"

#define NO_XATTR UINT32_MAX

struct node {
	uint64_t ref;    /* of the inode, once written */
	uint32_t number; /* 0: a further name of an earlier inode */
	uint32_t links;
	size_t parent, end; /* index past the last entry below */
};

struct state {
	const struct squashfs_meta *m;
	struct node *nodes;
	uint32_t inode_count;
	sqfs_meta_writer_t *inodes, *folders;
	sqfs_dir_writer_t *dir;
	sqfs_id_table_t *ids;
	sqfs_xattr_writer_t *xattrs;
};

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 || (strncmp(path, folder, len) == 0 && path[len] == '/');
}

static void number_nodes(struct state *s)
{
	const struct tree *t = s->m->tree;
	size_t parent = 0;

	s->nodes[0] = (struct node){.number = ++s->inode_count, .links = 2};
	for (size_t i = 1; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];
		struct node *n = &s->nodes[i];

		while (!is_below(en->path, t->entries[parent].path)) {
			s->nodes[parent].end = i;
			parent = s->nodes[parent].parent;
		}
		n->parent = parent;
		n->end = i + 1;
		s->nodes[en->link_of].links++;
		if (en->link_of == i)
			n->number = ++s->inode_count;
		if (S_ISDIR(en->mode)) {
			n->links = 2;
			s->nodes[parent].links++;
			parent = i;
		}
	}
	for (;; parent = s->nodes[parent].parent) {
		s->nodes[parent].end = t->count;
		if (parent == 0)
			break;
	}
}

static int add_xattrs(struct state *s, const struct tree_entry *en, uint32_t *out, struct err *e)
{
	struct squashfs_result *result = s->m->result;
	uint64_t lost = result->lost_xattrs;
	int r = sqfs_xattr_writer_begin(s->xattrs, 0);

	for (size_t i = 0; r == 0 && i < en->xattr_count; i++) {
		const struct xattr *x = &en->xattrs[i];

		if (sqfs_get_xattr_prefix_id(x->name) < 0)
			result->lost_xattrs++;
		else
			r = sqfs_xattr_writer_add(s->xattrs, x->name, x->value, x->len);
	}
	if (r == 0)
		r = sqfs_xattr_writer_end(s->xattrs, out);
	result->lossy_files += result->lost_xattrs > lost;
	return r == 0 ? 0 : squashfs_error(e, r, "attributes");
}

static sqfs_inode_generic_t *new_inode(SQFS_INODE_TYPE type, size_t payload)
{
	sqfs_inode_generic_t *in = xcalloc(1, sizeof(*in) + payload);

	in->base.type = (sqfs_u16)type;
	in->payload_bytes_available = in->payload_bytes_used = (sqfs_u32)payload;
	return in;
}

static int make_file(struct state *s, size_t i, sqfs_inode_generic_t **out, struct err *e)
{
	const struct squashfs_content *c = &s->m->content[i];
	size_t payload = c->block_count * sizeof(*c->words);
	autofree sqfs_inode_generic_t *in = new_inode(SQFS_INODE_FILE, payload);
	int r;

	if (payload > 0)
		memcpy(in->extra, c->words, payload);
	r = sqfs_inode_set_file_size(in, s->m->tree->entries[i].size_bytes);
	if (r == 0)
		r = sqfs_inode_set_file_block_start(in, c->start);
	if (r == 0)
		r = sqfs_inode_set_frag_location(in, c->fragment, c->fragment_off);
	if (r == 0 && (s->nodes[i].links > 1 || c->sparse_bytes > 0))
		r = sqfs_inode_make_extended(in);
	if (r != 0)
		return squashfs_error(e, r, "inode");
	if (in->base.type == SQFS_INODE_EXT_FILE) {
		in->data.file_ext.nlink = s->nodes[i].links;
		in->data.file_ext.sparse = c->sparse_bytes;
	}
	*out = take_ptr(in);
	return 0;
}

static sqfs_inode_generic_t *make_link(const struct tree_entry *en, uint32_t links)
{
	size_t len = strlen(en->target);
	sqfs_inode_generic_t *in = new_inode(SQFS_INODE_SLINK, len);

	memcpy(in->extra, en->target, len);
	in->data.slink.nlink = links;
	in->data.slink.target_size = (sqfs_u32)len;
	return in;
}

static int make_special(
	const struct tree_entry *en, uint32_t links, sqfs_inode_generic_t **out, struct err *e)
{
	SQFS_INODE_TYPE type = 0;

	switch (en->mode & S_IFMT) {
	case S_IFBLK:
		type = SQFS_INODE_BDEV;
		break;
	case S_IFCHR:
		type = SQFS_INODE_CDEV;
		break;
	case S_IFIFO:
		type = SQFS_INODE_FIFO;
		break;
	case S_IFSOCK:
		type = SQFS_INODE_SOCKET;
		break;
	default:
		return err_set(e, EINVAL, "unknown type %o", en->mode & S_IFMT);
	}
	*out = new_inode(type, 0);
	if (type == SQFS_INODE_BDEV || type == SQFS_INODE_CDEV) {
		/* The kernel's new_encode_dev(). */
		(*out)->data.dev.devno = (en->dev_minor & 0xff) | (en->dev_major & 0xfff) << 8 |
			(en->dev_minor & ~0xffU) << 12;
		(*out)->data.dev.nlink = links;
	} else {
		(*out)->data.ipc.nlink = links;
	}
	return 0;
}

static int make_folder(
	struct state *s, size_t i, uint32_t xattr, sqfs_inode_generic_t **out, struct err *e)
{
	const struct node *n = &s->nodes[i];
	const struct tree *t = s->m->tree;
	int r = sqfs_dir_writer_begin(s->dir, 0);

	for (size_t c = i + 1; r == 0 && c < n->end; c = s->nodes[c].end) {
		const struct tree_entry *en = &t->entries[c];
		const struct node *inode = &s->nodes[en->link_of];

		r = sqfs_dir_writer_add_entry(
			s->dir, tree_entry_name(en), inode->number, inode->ref, (sqfs_u16)en->mode);
	}
	if (r == 0)
		r = sqfs_dir_writer_end(s->dir);
	if (r != 0)
		return squashfs_out_error(s->m->out, e, r, "folder");

	/* The parent of the root is numbered past all others, as mksquashfs has it. */
	uint32_t parent = i == 0 ? s->inode_count + 1 : s->nodes[n->parent].number;
	*out = sqfs_dir_writer_create_inode(s->dir, 0, xattr, parent);
	if (!*out)
		return err_set(e, ENOMEM, "folder: out of memory");
	if ((*out)->base.type == SQFS_INODE_DIR)
		(*out)->data.dir.nlink = n->links;
	else
		(*out)->data.dir_ext.nlink = n->links;
	return 0;
}

static int make_inode(
	struct state *s, size_t i, uint32_t xattr, sqfs_inode_generic_t **out, struct err *e)
{
	const struct tree_entry *en = &s->m->tree->entries[i];

	switch (en->mode & S_IFMT) {
	case S_IFDIR:
		return make_folder(s, i, xattr, out, e);
	case S_IFREG:
		return make_file(s, i, out, e);
	case S_IFLNK:
		*out = make_link(en, s->nodes[i].links);
		return 0;
	default:
		return make_special(en, s->nodes[i].links, out, e);
	}
}

static int fill_base(
	struct state *s, size_t i, uint32_t xattr, sqfs_inode_generic_t *in, struct err *e)
{
	const struct tree_entry *en = &s->m->tree->entries[i];
	int r = 0;

	/* A folder's inode was made with its attributes. */
	if (xattr != NO_XATTR && !S_ISDIR(en->mode))
		r = sqfs_inode_set_xattr_index(in, xattr);
	if (r == 0)
		r = sqfs_id_table_id_to_index(s->ids, en->uid, &in->base.uid_idx);
	if (r == 0)
		r = sqfs_id_table_id_to_index(s->ids, en->gid, &in->base.gid_idx);
	if (r != 0)
		return squashfs_error(e, r, "owner");
	in->base.mode = (sqfs_u16)en->mode;
	in->base.mod_time = (sqfs_u32)MAX(0, MIN(en->mtime, (int64_t)UINT32_MAX));
	in->base.inode_number = s->nodes[i].number;
	return 0;
}

static int write_inode(struct state *s, size_t i, struct err *e)
{
	const struct tree_entry *en = &s->m->tree->entries[i];
	autofree sqfs_inode_generic_t *in = NULL;
	uint32_t xattr = NO_XATTR, offset;
	sqfs_u64 block;
	int r = 0;

	if (en->xattr_count > 0)
		r = add_xattrs(s, en, &xattr, e);
	if (r == 0)
		r = make_inode(s, i, xattr, &in, e);
	if (r == 0)
		r = fill_base(s, i, xattr, in, e);
	if (r < 0)
		return r;

	sqfs_meta_writer_get_position(s->inodes, &block, &offset);
	s->nodes[i].ref = block << 16 | offset;
	r = sqfs_meta_writer_write_inode(s->inodes, in);
	return r == 0 ? 0 : squashfs_out_error(s->m->out, e, r, "inode");
}

/*
 * A folder may name an inode whose first name comes earlier in the tree, so files with several
 * names go before all else.
 */
static int write_inodes(struct state *s, struct err *e)
{
	const struct tree *t = s->m->tree;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = t->count; i-- > 0;) {
			const struct tree_entry *en = &t->entries[i];
			bool several = !S_ISDIR(en->mode) && s->nodes[i].links > 1;

			if (en->link_of != i || several != (pass == 0))
				continue;
			int r = write_inode(s, i, e);
			if (r < 0)
				return err_wrap(e, r, "'/%s'", en->path);
		}
	}
	return 0;
}

static int write_tables(struct state *s, struct err *e)
{
	const struct squashfs_meta *m = s->m;
	sqfs_file_t *file = &m->out->file;
	sqfs_super_t *super = m->super;
	int r = sqfs_meta_writer_flush(s->inodes);

	if (r == 0)
		r = sqfs_meta_writer_flush(s->folders);
	super->root_inode_ref = s->nodes[0].ref;
	super->inode_count = s->inode_count;
	super->directory_table_start = m->out->pos;
	if (r == 0)
		r = sqfs_meta_write_write_to_file(s->folders);
	if (r == 0 && sqfs_frag_table_get_size(m->fragments) == 0)
		super->flags |= SQFS_FLAG_NO_FRAGMENTS;
	if (r == 0)
		r = sqfs_frag_table_write(m->fragments, file, super, m->cmp);
	if (r == 0)
		r = sqfs_dir_writer_write_export_table(
			s->dir, file, m->cmp, s->nodes[0].number, s->nodes[0].ref, super);
	if (r == 0)
		r = sqfs_id_table_write(s->ids, file, super, m->cmp);
	if (r == 0)
		r = sqfs_xattr_writer_flush(s->xattrs, file, super, m->cmp);
	return r == 0 ? 0 : squashfs_out_error(m->out, e, r, "writing the tables");
}

static int state_init(struct state *s, struct err *e)
{
	const struct squashfs_meta *m = s->m;
	sqfs_file_t *file = &m->out->file;

	s->nodes = xcalloc(m->tree->count, sizeof(*s->nodes));
	s->inodes = sqfs_meta_writer_create(file, m->cmp, 0);
	s->folders = sqfs_meta_writer_create(file, m->cmp, SQFS_META_WRITER_KEEP_IN_MEMORY);
	s->ids = sqfs_id_table_create(0);
	s->xattrs = sqfs_xattr_writer_create(0);
	if (s->folders)
		s->dir = sqfs_dir_writer_create(s->folders, SQFS_DIR_WRITER_CREATE_EXPORT_TABLE);
	if (!s->inodes || !s->dir || !s->ids || !s->xattrs)
		return err_set(e, ENOMEM, "squashfs metadata: out of memory");
	return 0;
}

static void state_fini(struct state *s)
{
	free(s->nodes);
	sqfs_destroy(s->dir);
	sqfs_destroy(s->folders);
	sqfs_destroy(s->inodes);
	sqfs_destroy(s->ids);
	sqfs_destroy(s->xattrs);
}

int squashfs_write_meta(const struct squashfs_meta *m, struct err *e)
{
	struct state s = {.m = m};
	int r = state_init(&s, e);

	if (r == 0) {
		number_nodes(&s);
		m->super->inode_table_start = m->out->pos;
		r = write_inodes(&s, e);
	}
	if (r == 0)
		r = write_tables(&s, e);
	state_fini(&s);
	return r;
}
