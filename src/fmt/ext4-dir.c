/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-dir.h"

#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/ext4-disk.h"
#include "fmt/ext4.h"

#define NAME_MAX_BYTES 255

void dir_index_free(struct dir_index *ix)
{
	if (!ix)
		return;
	free(ix->parent);
	free(ix->first);
	free(ix->next);
	free(ix->folders);
	free(ix->names);
	free(ix);
}

static uint8_t type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static int check_entry(const struct tree *t, size_t i, struct err *e)
{
	const struct tree_entry *en = &t->entries[i];
	const char *name = tree_entry_name(en);
	size_t len = strlen(name);

	if (len == 0 || str_eq(name, ".") || str_eq(name, ".."))
		return err_set(e, EINVAL, "'/%s': no name for a file", en->path);
	if (len > NAME_MAX_BYTES)
		return err_set(e, ENAMETOOLONG, "'/%s': name of more than %d bytes", en->path,
			NAME_MAX_BYTES);
	if (tree_path_compare(t->entries[i - 1].path, en->path) >= 0)
		return err_set(e, EINVAL, "'/%s': not in order", en->path);
	if (en->link_of > i || (en->link_of != i && t->entries[en->link_of].link_of != en->link_of))
		return err_set(e, EINVAL, "'/%s': bad link", en->path);
	if ((S_ISDIR(en->mode) && en->link_of != i) || (S_ISLNK(en->mode) && !en->target) ||
		type_of(en->mode) == EXT2_FT_UNKNOWN)
		return err_set(e, EINVAL, "'/%s': bad entry", en->path);
	return 0;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len == 0 ||
		(strncmp(path, folder, len) == 0 && path[len] == '/' &&
			!strchr(path + len + 1, '/'));
}

static int link_entries(struct dir_index *ix, struct err *e)
{
	const struct tree *t = ix->tree;
	autofree size_t *last = xcalloc(t->count, sizeof(*last)); /* entry of each folder */
	size_t folder = 0; /* the innermost one that entry i may be in */

	ix->names[0] = 1;
	for (size_t i = 1; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];
		int r = check_entry(t, i, e);

		if (r < 0)
			return r;
		while (folder != 0 && !is_below(en->path, t->entries[folder].path))
			folder = ix->parent[folder];
		if (folder == 0 && strchr(en->path, '/'))
			return err_set(e, EINVAL, "'/%s': its folder is missing", en->path);

		ix->parent[i] = folder;
		if (last[folder])
			ix->next[last[folder]] = i;
		else
			ix->first[folder] = i;
		last[folder] = i;
		ix->names[en->link_of]++;
		if (S_ISDIR(en->mode)) {
			ix->folders[folder]++;
			folder = i;
		}
	}
	return 0;
}

int dir_index_new(const struct tree *t, struct dir_index **out, struct err *e)
{
	autoptr(dir_index) ix = NULL;
	int r;

	if (t->count == 0 || t->entries[0].path[0] != '\0' || !S_ISDIR(t->entries[0].mode))
		return err_set(e, EINVAL, "the tree has no root");

	ix = xcalloc(1, sizeof(*ix));
	ix->tree = t;
	ix->parent = xcalloc(t->count, sizeof(*ix->parent));
	ix->first = xcalloc(t->count, sizeof(*ix->first));
	ix->next = xcalloc(t->count, sizeof(*ix->next));
	ix->folders = xcalloc(t->count, sizeof(*ix->folders));
	ix->names = xcalloc(t->count, sizeof(*ix->names));
	r = link_entries(ix, e);
	if (r < 0)
		return r;
	*out = take_ptr(ix);
	return 0;
}

/* A list in the making.  Without blocks it is only measured. */
struct packer {
	uint8_t *blocks;
	size_t used; /* bytes */
	size_t last; /* offset of the last entry of this block, which reaches to its end */
};

static void set_entry_bytes(struct packer *p, size_t off, size_t n)
{
	le16 v = le16_put((uint16_t)n);

	if (p->blocks)
		memcpy(p->blocks + off + offsetof(struct disk_dirent, entry_bytes), &v, sizeof(v));
}

static size_t end_of_block(const struct packer *p)
{
	return (p->used + EXT4_BLOCK_BYTES - 1) / EXT4_BLOCK_BYTES * EXT4_BLOCK_BYTES;
}

static void end_block(struct packer *p)
{
	size_t end = end_of_block(p);

	set_entry_bytes(p, p->last, end - p->last);
	p->used = end;
}

static void pack(struct packer *p, const char *name, uint32_t inode, uint32_t mode)
{
	size_t len = strlen(name);
	size_t need = (sizeof(struct disk_dirent) + len + 3) / 4 * 4;

	if (p->used % EXT4_BLOCK_BYTES + need > EXT4_BLOCK_BYTES)
		end_block(p);
	if (p->blocks) {
		struct disk_dirent d = {
			.inode = le32_put(inode),
			.entry_bytes = le16_put((uint16_t)need),
			.name_len = (uint8_t)len,
			.type = type_of(mode),
		};

		memcpy(p->blocks + p->used, &d, sizeof(d));
		memcpy(p->blocks + p->used + sizeof(d), name, len);
	}
	p->last = p->used;
	p->used += need;
}

static void pack_folder(
	const struct dir_index *ix, size_t i, const uint32_t *inodes, struct packer *p)
{
	const struct tree_entry *all = ix->tree->entries;

	pack(p, ".", inodes ? inodes[i] : 0, S_IFDIR);
	pack(p, "..", inodes ? inodes[ix->parent[i]] : 0, S_IFDIR);
	for (size_t child = ix->first[i]; child; child = ix->next[child])
		pack(p, tree_entry_name(&all[child]), inodes ? inodes[child] : 0, all[child].mode);
	end_block(p);
}

uint32_t dir_block_count(const struct dir_index *ix, size_t i)
{
	struct packer p = {0};

	pack_folder(ix, i, NULL, &p);
	return (uint32_t)(p.used / EXT4_BLOCK_BYTES);
}

void dir_fill(const struct dir_index *ix, size_t i, const uint32_t *inodes, uint8_t *blocks)
{
	struct packer p = {.blocks = blocks};

	memset(blocks, 0, (size_t)dir_block_count(ix, i) * EXT4_BLOCK_BYTES);
	pack_folder(ix, i, inodes, &p);
}
