/* SPDX-License-Identifier: Apache-2.0 */
#include "image/diff.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "fmt/ext4.h"
#include "image/files.h"
#include "image/package-db.h"

#define BLOCK_BYTES 4096
#define READ_BYTES  (256 * BLOCK_BYTES)

void diff_fini(struct diff_result *r)
{
	for (size_t i = 0; i < r->package_count; i++) {
		free(r->packages[i].name);
		free(r->packages[i].arch);
		free(r->packages[i].old_version);
		free(r->packages[i].new_version);
	}
	for (size_t i = 0; i < r->file_count; i++) {
		free(r->files[i].path);
		free(r->files[i].old_path);
	}
	free(r->packages);
	free(r->files);
	strv_fini(&r->relocated);
	*r = (struct diff_result){0};
}

static void add_package(struct diff_result *r, const struct manifest_package *old_one,
	const struct manifest_package *new_one)
{
	const struct manifest_package *any = new_one ? new_one : old_one;

	if ((r->package_count & (r->package_count - 1)) == 0)
		r->packages = xrealloc(
			r->packages, MAX(1, 2 * r->package_count) * sizeof(*r->packages));
	r->packages[r->package_count++] = (struct diff_package){
		.change = !old_one ? DIFF_ADDED
			: !new_one ? DIFF_REMOVED
				   : DIFF_CHANGED,
		.name = xstrdup(any->name),
		.arch = xstrdup(any->arch),
		.old_version = old_one ? xstrdup(old_one->version) : NULL,
		.new_version = new_one ? xstrdup(new_one->version) : NULL,
	};
}

static int compare_packages(const struct manifest_package *a, const struct manifest_package *b)
{
	int r = strcmp(a->name, b->name);

	return r != 0 ? r : strcmp(a->arch, b->arch);
}

/* Both lists are sorted: walk them side by side. */
int diff_packages(
	struct tree *old_tree, struct tree *new_tree, struct diff_result *out, struct err *e)
{
	automanifest a = {0};
	automanifest b = {0};
	int r = packages_read(old_tree, &a, e);

	if (r == 0)
		r = packages_read(new_tree, &b, e);
	if (r < 0)
		return r;
	for (size_t i = 0, k = 0; i < a.package_count || k < b.package_count;) {
		const struct manifest_package *x = i < a.package_count ? &a.packages[i] : NULL;
		const struct manifest_package *y = k < b.package_count ? &b.packages[k] : NULL;
		int order = !x ? 1 : !y ? -1 : compare_packages(x, y);

		if (order != 0)
			add_package(out, order < 0 ? x : NULL, order < 0 ? NULL : y);
		else if (!str_eq(x->version, y->version))
			add_package(out, x, y);
		i += order <= 0;
		k += order >= 0;
	}
	return 0;
}

static struct diff_file *add_file(struct diff_result *r, enum diff_change change)
{
	if ((r->file_count & (r->file_count - 1)) == 0)
		r->files = xrealloc(r->files, MAX(1, 2 * r->file_count) * sizeof(*r->files));
	r->files[r->file_count] = (struct diff_file){.change = change};
	return &r->files[r->file_count++];
}

static bool same_content(const struct files_entry *a, const struct files_entry *b)
{
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return false;
	if (S_ISREG(a->mode))
		return a->size_bytes == b->size_bytes &&
			memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
	if (S_ISLNK(a->mode))
		return str_eq(a->target, b->target);
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

/* Times are left out: a rebuild at another date is no change. */
static bool same_metadata(const struct files_entry *a, const struct files_entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
		xattrs_equal(a->xattrs, a->xattr_count, b->xattrs, b->xattr_count);
}

/* What is in one list only, by content, to find what was moved. */
struct lone {
	const struct files_entry **items;
	size_t count;
};

static int compare_content(const void *a, const void *b)
{
	const struct files_entry *x = *(const struct files_entry *const *)a;
	const struct files_entry *y = *(const struct files_entry *const *)b;
	int r = memcmp(x->sha256, y->sha256, SHA256_BYTES);

	return r != 0 ? r : (x > y) - (x < y);
}

static bool can_move(const struct files_entry *en)
{
	return S_ISREG(en->mode) && en->size_bytes > 0;
}

static void add_lone(struct diff_result *out, const struct files_entry *en, enum diff_change change)
{
	struct diff_file *f = add_file(out, change);

	f->path = xstrdup(en->path);
	*(change == DIFF_ADDED ? &f->new_bytes : &f->old_bytes) = en->size_bytes;
}

static void add_moved(
	struct diff_result *out, const struct files_entry *from, const struct files_entry *to)
{
	struct diff_file *f = add_file(out, DIFF_MOVED);

	f->path = xstrdup(to->path);
	f->old_path = xstrdup(from->path);
	f->old_bytes = f->new_bytes = to->size_bytes;
	f->metadata = !same_metadata(from, to);
}

static void match_moved(struct lone *gone, struct lone *come, struct diff_result *out)
{
	size_t i = 0, k = 0;

	if (gone->count > 1)
		qsort(gone->items, gone->count, sizeof(*gone->items), compare_content);
	if (come->count > 1)
		qsort(come->items, come->count, sizeof(*come->items), compare_content);
	while (i < gone->count || k < come->count) {
		const struct files_entry *x = i < gone->count ? gone->items[i] : NULL;
		const struct files_entry *y = k < come->count ? come->items[k] : NULL;
		int order = !x ? 1 : !y ? -1 : memcmp(x->sha256, y->sha256, SHA256_BYTES);

		if (x && y && order == 0 && can_move(x) && can_move(y)) {
			add_moved(out, x, y);
		} else {
			if (x && order <= 0)
				add_lone(out, x, DIFF_REMOVED);
			if (y && order >= 0)
				add_lone(out, y, DIFF_ADDED);
		}
		i += order <= 0;
		k += order >= 0;
	}
}

static void compare_entry(
	const struct files_entry *x, const struct files_entry *y, struct diff_result *out)
{
	bool content = !same_content(x, y), metadata = !same_metadata(x, y);

	if (!content && !metadata)
		return;
	struct diff_file *f = add_file(out, DIFF_CHANGED);
	f->path = xstrdup(y->path);
	f->old_bytes = x->size_bytes;
	f->new_bytes = y->size_bytes;
	f->content = content;
	f->metadata = metadata;
}

static int compare_paths(const void *a, const void *b)
{
	const struct diff_file *x = a, *y = b;

	return tree_path_compare(x->path, y->path);
}

static void diff_files(const struct files *a, const struct files *b, struct diff_result *out)
{
	struct lone gone = {.items = xcalloc(a->count + 1, sizeof(*gone.items))};
	struct lone come = {.items = xcalloc(b->count + 1, sizeof(*come.items))};

	for (size_t i = 0, k = 0; i < a->count || k < b->count;) {
		const struct files_entry *x = i < a->count ? &a->entries[i] : NULL;
		const struct files_entry *y = k < b->count ? &b->entries[k] : NULL;
		int order = !x ? 1 : !y ? -1 : tree_path_compare(x->path, y->path);

		if (order < 0)
			gone.items[gone.count++] = x;
		else if (order > 0)
			come.items[come.count++] = y;
		else
			compare_entry(x, y, out);
		i += order <= 0;
		k += order >= 0;
	}
	match_moved(&gone, &come, out);
	free(gone.items);
	free(come.items);
	if (out->file_count > 1)
		qsort(out->files, out->file_count, sizeof(*out->files), compare_paths);
}

static uint64_t content_bytes(const struct files *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->count; i++)
		sum += f->entries[i].link_of == i ? f->entries[i].size_bytes : 0;
	return sum;
}

/* Of files with the same content in both: which lie where they lay. */
static int diff_places(struct image *old_image, struct image *new_image, const struct files *a,
	const struct files *b, struct diff_result *out, struct err *e)
{
	autoptr(ext4_layout) x = NULL;
	autoptr(ext4_layout) y = NULL;
	int r = ext4_layout_load(image_rootfs(old_image), &x, e);

	if (r == 0)
		r = ext4_layout_load(image_rootfs(new_image), &y, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->count; i++) {
		const struct files_entry *en = &b->entries[i];
		const struct files_entry *old_en = files_find(a, en->path);

		if (!can_move(en) || en->link_of != i || !old_en || !same_content(en, old_en))
			continue;
		uint64_t blocks = (en->size_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
		bool kept = ext4_layout_same_place(x, y, en->path);

		out->unchanged_files++;
		out->unchanged_blocks += blocks;
		out->kept_blocks += kept ? blocks : 0;
		if (!kept)
			strv_add(&out->relocated, en->path);
	}
	return 0;
}

static bool is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, BLOCK_BYTES - 1) == 0;
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* 64 bits of the digest: enough to count by. */
static uint64_t block_key(const uint8_t *block)
{
	uint8_t sha[SHA256_BYTES];
	uint64_t key;

	sha256_buffer(block, BLOCK_BYTES, sha);
	memcpy(&key, sha, sizeof(key));
	return key;
}

struct block_walk {
	struct source *old_fs, *new_fs;
	uint64_t *keys, *moved; /* of old blocks; of new ones that are not in place */
	uint64_t key_count, moved_count;
	uint8_t *a, *b;
	struct diff_result *out;
};

/* A part that is past the end of its image reads as zeros. */
static int read_part(struct source *s, uint8_t *buf, uint64_t off, struct err *e)
{
	uint64_t left = off < s->size_bytes ? s->size_bytes - off : 0;
	size_t n = (size_t)MIN(READ_BYTES, left);

	memset(buf + n, 0, READ_BYTES - n);
	return n > 0 ? source_read_at(s, buf, n, off, e) : 0;
}

static void compare_part(struct block_walk *w)
{
	for (size_t i = 0; i < READ_BYTES; i += BLOCK_BYTES) {
		bool old_zero = is_zero(w->a + i), new_zero = is_zero(w->b + i);

		w->out->old_blocks += !old_zero;
		w->out->new_blocks += !new_zero;
		if (!old_zero)
			w->keys[w->key_count++] = block_key(w->a + i);
		if (new_zero)
			continue;
		if (!old_zero && memcmp(w->a + i, w->b + i, BLOCK_BYTES) == 0)
			w->out->same_place_blocks++;
		else
			w->moved[w->moved_count++] = block_key(w->b + i);
	}
}

static int walk_blocks(struct block_walk *w, struct progress *p, struct err *e)
{
	uint64_t end = MAX(w->old_fs->size_bytes, w->new_fs->size_bytes);

	progress_begin(p, "blocks", end, "bytes");
	for (uint64_t off = 0; off < end; off += READ_BYTES) {
		uint64_t more = READ_BYTES / BLOCK_BYTES;

		/* Only what is not zero is kept, so a huge sparse image costs little. */
		w->keys = xrealloc(w->keys, (w->key_count + more) * sizeof(*w->keys));
		w->moved = xrealloc(w->moved, (w->moved_count + more) * sizeof(*w->moved));
		int r = read_part(w->old_fs, w->a, off, e);
		if (r == 0)
			r = read_part(w->new_fs, w->b, off, e);
		if (r == 0)
			r = progress_advance(p, MIN(off + READ_BYTES, end), e);
		if (r < 0)
			return r;
		compare_part(w);
	}
	if (w->key_count > 1)
		qsort(w->keys, w->key_count, sizeof(*w->keys), compare_keys);
	for (uint64_t i = 0; i < w->moved_count; i++)
		w->out->moved_blocks += bsearch(&w->moved[i], w->keys, w->key_count,
						sizeof(*w->keys), compare_keys) != NULL;
	progress_end(p);
	return 0;
}

static int diff_blocks(struct image *old_image, struct image *new_image, struct diff_result *out,
	struct progress *p, struct err *e)
{
	struct block_walk w = {
		.old_fs = image_rootfs(old_image),
		.new_fs = image_rootfs(new_image),
		.a = xcalloc(1, READ_BYTES),
		.b = xcalloc(1, READ_BYTES),
		.out = out,
	};
	int r = walk_blocks(&w, p, e);

	free(w.keys);
	free(w.moved);
	free(w.a);
	free(w.b);
	return r;
}

int image_diff(struct image *old_image, struct image *new_image, struct diff_result *out,
	struct progress *p, struct err *e)
{
	autoptr(files) a = NULL;
	autoptr(files) b = NULL;
	int r = diff_packages(image_tree(old_image), image_tree(new_image), out, e);

	if (r == 0)
		r = files_compute(image_tree(old_image), &a, p, e);
	if (r == 0)
		r = files_compute(image_tree(new_image), &b, p, e);
	if (r < 0)
		return r;
	diff_files(a, b, out);
	out->old_file_bytes = image_file(old_image)->size_bytes;
	out->new_file_bytes = image_file(new_image)->size_bytes;
	out->old_content_bytes = content_bytes(a);
	out->new_content_bytes = content_bytes(b);
	if (!image_rootfs(old_image) || !image_rootfs(new_image))
		return 0;
	out->has_blocks = true;
	r = diff_places(old_image, new_image, a, b, out, e);
	return r < 0 ? r : diff_blocks(old_image, new_image, out, p, e);
}
