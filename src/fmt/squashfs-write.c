/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order in the file: superblock, compressor options, data and fragment blocks, inodes, folders,
 * fragment table, export table, ids, attributes.  As mksquashfs does, a file shorter than a block
 * shares a fragment block with others, and a file whose content was there before points at that.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqfs/frag_table.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/squashfs-internal.h"
#include "fmt/squashfs-write.h"

#define TAG_FRAGMENT UINT64_MAX
#define PAD_BYTES    4096 /* so that the image can be a loop or block device */

/* Content met so far, by digest: open addressing, grown at half full. */
struct seen_entry {
	uint8_t key[SHA256_BYTES];
	uint64_t value; /* plus one; 0: free */
};

struct seen {
	struct seen_entry *entries;
	size_t count, room;
};

struct writer {
	struct squashfs_params params;
	struct squashfs_out out;
	struct tree *tree;
	struct squashfs_content *content; /* by index of the tree entry */
	struct squashfs_pipe *pipe;
	struct squashfs_result *result;
	sqfs_frag_table_t *fragments;
	uint8_t *fragment; /* the block being filled */
	uint32_t fragment_len, fragment_index;
	struct seen seen_files, seen_tails;
	/* State of the file whose blocks come out of the pipe. */
	struct sha256 *file_hash;
	uint64_t file_blocks, file_start;
	size_t file_index_count;
	struct progress *progress;
	uint64_t read_bytes;
};

static uint64_t *seen_slot(struct seen *s, const uint8_t key[SHA256_BYTES])
{
	uint64_t hash;

	memcpy(&hash, key, sizeof(hash));
	for (size_t i = (size_t)hash & (s->room - 1);; i = (i + 1) & (s->room - 1)) {
		struct seen_entry *en = &s->entries[i];

		if (en->value == 0)
			memcpy(en->key, key, SHA256_BYTES);
		if (memcmp(en->key, key, SHA256_BYTES) == 0)
			return &en->value;
	}
}

/* The value of key, to be set by the caller when it is still 0. */
static uint64_t *seen_find(struct seen *s, const uint8_t key[SHA256_BYTES])
{
	if (2 * s->count >= s->room) {
		struct seen bigger = {.room = MAX(1024, 2 * s->room), .count = s->count};

		bigger.entries = xcalloc(bigger.room, sizeof(*bigger.entries));
		for (size_t i = 0; i < s->room; i++)
			if (s->entries[i].value != 0)
				*seen_slot(&bigger, s->entries[i].key) = s->entries[i].value;
		free(s->entries);
		*s = bigger;
	}
	uint64_t *value = seen_slot(s, key);
	s->count += *value == 0;
	return value;
}

/* sqfs_file_t over our descriptor: what libsquashfs writes goes to the end of what we wrote. */
static int out_read_at(sqfs_file_t *file, sqfs_u64 off, void *buf, size_t len)
{
	struct squashfs_out *o = (struct squashfs_out *)file;

	return pread(o->fd, buf, len, (off_t)off) == (ssize_t)len ? 0 : SQFS_ERROR_IO;
}

static int out_write_at(sqfs_file_t *file, sqfs_u64 off, const void *buf, size_t len)
{
	struct squashfs_out *o = (struct squashfs_out *)file;

	if (io_pwrite(o->fd, buf, len, off, &o->e) < 0)
		return SQFS_ERROR_IO;
	o->pos = MAX(o->pos, off + len);
	return 0;
}

static sqfs_u64 out_get_size(const sqfs_file_t *file)
{
	return ((const struct squashfs_out *)file)->pos;
}

static int out_truncate(sqfs_file_t *file, sqfs_u64 size)
{
	((struct squashfs_out *)file)->pos = size;
	return 0;
}

int squashfs_out_error(const struct squashfs_out *o, struct err *e, int code, const char *what)
{
	if (code != SQFS_ERROR_IO || o->e.code == 0)
		return squashfs_error(e, code, what);
	if (e)
		*e = o->e;
	return err_wrap(e, -o->e.code, "%s", what);
}

static void out_init(struct squashfs_out *o, int fd)
{
	*o = (struct squashfs_out){
		.file = {.read_at = out_read_at,
			.write_at = out_write_at,
			.get_size = out_get_size,
			.truncate = out_truncate},
		.fd = fd,
	};
}

static void add_to_index(struct writer *w, const struct squashfs_block *b)
{
	struct squashfs_index_entry en = {.off = w->out.pos, .word = b->word};

	memcpy(en.plain, b->plain, sizeof(en.plain));
	memcpy(en.stored, b->stored, sizeof(en.stored));
	squashfs_index_add(w->result->index, &en);
}

/* Put a packed block at the end of the file. */
static int put_block(struct writer *w, const struct squashfs_block *b, struct err *e)
{
	uint32_t len = SQUASHFS_LEN(b->word);

	if (!b->kept)
		add_to_index(w, b);
	int r = io_pwrite(w->out.fd, b->out, len, w->out.pos, e);
	if (r < 0)
		return err_wrap(e, r, "writing the image");
	w->out.pos += len;
	w->result->blocks++;
	w->result->reused_blocks += b->reused;
	return 0;
}

static int fragment_done(struct writer *w, const struct squashfs_block *b, struct err *e)
{
	uint64_t at = w->out.pos;
	int r = put_block(w, b, e);

	if (r < 0)
		return r;
	r = sqfs_frag_table_append(w->fragments, at, b->word, NULL);
	return r == 0 ? 0 : squashfs_error(e, r, "fragment table");
}

/* The file's last block is out.  Had an earlier file the same content, this one's is given back. */
static void file_done(struct writer *w, size_t index)
{
	struct squashfs_content *c = &w->content[index];
	uint8_t key[SHA256_BYTES];

	sha256_end(w->file_hash, key);
	uint64_t *seen = seen_find(&w->seen_files, key);
	if (*seen == 0) {
		*seen = index + 1;
		return;
	}
	c->start = w->content[*seen - 1].start;
	w->out.pos = w->file_start;
	w->result->index->count = w->file_index_count;
}

static int block_done(void *ctx, const struct squashfs_block *b, struct err *e)
{
	struct writer *w = ctx;
	struct squashfs_content *c;
	int r = 0;

	if (b->tag == TAG_FRAGMENT)
		return fragment_done(w, b, e);

	c = &w->content[b->tag];
	if (w->file_blocks == 0) {
		c->start = w->file_start = w->out.pos;
		w->file_index_count = w->result->index->count;
	}
	sha256_add(w->file_hash, &b->len, sizeof(b->len));
	sha256_add(w->file_hash, b->plain, sizeof(b->plain));
	if (b->word != 0) {
		r = put_block(w, b, e);
	} else {
		c->sparse_bytes += b->len;
		w->result->sparse_blocks++;
	}
	c->words[w->file_blocks++] = b->word;
	if (w->file_blocks == c->block_count) {
		file_done(w, (size_t)b->tag);
		w->file_blocks = 0;
	}
	return r;
}

static int flush_fragment(struct writer *w, struct err *e)
{
	struct squashfs_block *b;
	int r;

	if (w->fragment_len == 0)
		return 0;
	r = squashfs_pipe_next(w->pipe, &b, e);
	if (r < 0)
		return r;
	memcpy(b->in, w->fragment, w->fragment_len);
	b->len = w->fragment_len;
	b->tag = TAG_FRAGMENT;
	b->may_sparse = b->hole = b->kept = false;
	squashfs_pipe_submit(w->pipe);
	w->fragment_len = 0;
	w->fragment_index++;
	return 0;
}

/* A file shorter than a block. */
static int add_tail(struct writer *w, size_t index, struct source *s, struct err *e)
{
	struct squashfs_content *c = &w->content[index];
	uint32_t len = (uint32_t)s->size_bytes;
	autofree uint8_t *data = xcalloc(1, len);
	uint8_t key[SHA256_BYTES];
	int r = source_read_at(s, data, len, 0, e);

	if (r < 0)
		return r;
	sha256_buffer(data, len, key);
	uint64_t *seen = seen_find(&w->seen_tails, key);
	if (*seen != 0) {
		c->fragment = w->content[*seen - 1].fragment;
		c->fragment_off = w->content[*seen - 1].fragment_off;
		return 0;
	}
	*seen = index + 1;

	if (len > w->params.block_bytes - w->fragment_len) {
		r = flush_fragment(w, e);
		if (r < 0)
			return r;
	}
	c->fragment = w->fragment_index;
	c->fragment_off = w->fragment_len;
	memcpy(w->fragment + w->fragment_len, data, len);
	w->fragment_len += len;
	return 0;
}

/* Take block i from the earlier file, when it is there and the same. */
static int keep_block(struct writer *w, uint64_t i, struct squashfs_block *b, struct err *e)
{
	const struct squashfs_keep *k = w->params.keep;
	uint64_t off;
	uint32_t len;
	bool packed;

	b->kept = false;
	if (!k || i >= k->count || !(k->same[i / 8] >> i % 8 & 1) ||
		!squashfs_block_at(k->file, i, &off, &len, &packed) || len > b->len)
		return 0;
	if (len > 0) {
		int r = source_read_at(k->image, b->out, len, off, e);

		if (r < 0)
			return err_wrap(e, r, "reading the earlier image");
	}
	b->kept = true;
	b->word = len | (packed || len == 0 ? 0 : SQUASHFS_WORD_RAW);
	memset(b->plain, 0, sizeof(b->plain));
	memset(b->stored, 0, sizeof(b->stored));
	return 0;
}

static int add_blocks(struct writer *w, size_t index, struct source *s, struct err *e)
{
	struct squashfs_content *c = &w->content[index];
	uint32_t block_bytes = w->params.block_bytes;
	uint64_t data = 0, data_end = 0;

	c->block_count = (size_t)((s->size_bytes + block_bytes - 1) / block_bytes);
	c->words = xcalloc(c->block_count, sizeof(*c->words));
	for (uint64_t off = 0; off < s->size_bytes; off += block_bytes) {
		struct squashfs_block *b;
		int r = squashfs_pipe_next(w->pipe, &b, e);

		if (r < 0)
			return r;
		b->len = (uint32_t)MIN(block_bytes, s->size_bytes - off);
		b->tag = index;
		b->may_sparse = true;
		r = keep_block(w, off / block_bytes, b, e);
		if (r == 0 && !b->kept && off >= data_end)
			r = source_next_data(s, off, &data, &data_end, e);
		b->hole = !b->kept && off + b->len <= data;
		if (r == 0 && !b->kept && !b->hole)
			r = source_read_at(s, b->in, b->len, off, e);
		if (r == 0)
			r = progress_advance(w->progress, w->read_bytes + off + b->len, e);
		if (r < 0)
			return r;
		squashfs_pipe_submit(w->pipe);
	}
	return 0;
}

static int add_file(struct writer *w, size_t index, struct err *e)
{
	const struct tree_entry *en = &w->tree->entries[index];
	autoptr(source) s = NULL;
	int r = tree_open(w->tree, en, &s, e);

	if (r < 0)
		return r;
	if (s->size_bytes != en->size_bytes)
		return err_set(e, EIO, "'/%s' changed while it was read", en->path);
	if (s->size_bytes < w->params.block_bytes)
		r = add_tail(w, index, s, e);
	else
		r = add_blocks(w, index, s, e);
	if (r < 0)
		return err_wrap(e, r, "'/%s'", en->path);
	w->read_bytes += en->size_bytes;
	return progress_advance(w->progress, w->read_bytes, e);
}

static bool has_content(const struct tree *t, size_t i)
{
	const struct tree_entry *en = &t->entries[i];

	return S_ISREG(en->mode) && en->link_of == i && en->size_bytes > 0;
}

static int write_data(struct writer *w, struct err *e)
{
	for (size_t i = 0; i < w->tree->count; i++) {
		int r = has_content(w->tree, i) ? add_file(w, i, e) : 0;
		if (r < 0)
			return r;
	}
	int r = flush_fragment(w, e);
	return r < 0 ? r : squashfs_pipe_drain(w->pipe, e);
}

static int begin_image(struct writer *w, sqfs_super_t *super, sqfs_compressor_t *cmp, struct err *e)
{
	const struct squashfs_params *p = &w->params;
	uint32_t time = (uint32_t)MAX(0, MIN(p->time, (int64_t)UINT32_MAX));
	int r = sqfs_super_init(super, p->block_bytes, time, squashfs_compressor_id(p->compressor));

	if (r == 0)
		r = sqfs_super_write(super, &w->out.file);
	if (r == 0) {
		r = cmp->write_options(cmp, &w->out.file);
		if (r > 0) {
			super->flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
			r = 0;
		}
	}
	return r == 0 ? 0 : squashfs_out_error(&w->out, e, r, "writing the image");
}

static int end_image(struct writer *w, sqfs_super_t *super, struct err *e)
{
	int r;

	super->bytes_used = w->out.pos;
	r = sqfs_super_write(super, &w->out.file);
	if (r != 0)
		return squashfs_out_error(&w->out, e, r, "writing the superblock");
	/* Also cuts off what file_done() gave back, if nothing came after it. */
	w->result->image_bytes = (w->out.pos + PAD_BYTES - 1) / PAD_BYTES * PAD_BYTES;
	if (ftruncate(w->out.fd, (off_t)w->out.pos) < 0 ||
		ftruncate(w->out.fd, (off_t)w->result->image_bytes) < 0)
		return err_errno(e, "setting the size of the image");
	return 0;
}

/*
 * libsquashfs stores metadata compressed whenever its compressor gives anything, and 1.2's lz4 gives
 * more than it got when a table has only a few bytes.  unsquashfs refuses that.
 */
struct meta_compressor {
	sqfs_compressor_t base; /* only do_block() is called */
	sqfs_compressor_t *real;
};

static sqfs_s32 compress_meta(
	sqfs_compressor_t *cmp, const sqfs_u8 *in, sqfs_u32 len, sqfs_u8 *out, sqfs_u32 room)
{
	sqfs_compressor_t *real = ((struct meta_compressor *)cmp)->real;
	sqfs_s32 n = real->do_block(real, in, len, out, room);

	return n > 0 && (sqfs_u32)n >= len ? 0 : n;
}

static int write_image(struct writer *w, struct err *e)
{
	autosqfs sqfs_compressor_t *cmp = NULL;
	sqfs_super_t super;
	int r = squashfs_compressor_new(&w->params, &cmp, e);

	if (r == 0)
		r = begin_image(w, &super, cmp, e);
	if (r == 0)
		r = write_data(w, e);
	if (r < 0)
		return r;

	struct meta_compressor smaller = {.base = {.do_block = compress_meta}, .real = cmp};
	const struct squashfs_meta meta = {
		.tree = w->tree,
		.content = w->content,
		.fragments = w->fragments,
		.out = &w->out,
		.cmp = &smaller.base,
		.super = &super,
		.result = w->result,
	};
	r = squashfs_write_meta(&meta, e);
	return r < 0 ? r : end_image(w, &super, e);
}

static int writer_init(struct writer *w, const struct squashfs_params *params, struct err *e)
{
	struct squashfs_pipe_spec spec = {.params = &w->params, .done = block_done, .ctx = w};
	int r = squashfs_params_check(params, &w->params, e);

	if (r < 0)
		return r;
	w->result->index = xcalloc(1, sizeof(*w->result->index));
	r = squashfs_fingerprint(&w->params, w->result->index->fingerprint, e);
	if (r < 0)
		return r;
	if (params->reuse &&
		squashfs_reuse_fits(params->reuse, &w->params, w->result->index->fingerprint))
		spec.reuse = params->reuse;

	w->content = xcalloc(w->tree->count, sizeof(*w->content));
	for (size_t i = 0; i < w->tree->count; i++)
		w->content[i].fragment = SQUASHFS_NO_FRAGMENT;
	w->fragment = xcalloc(1, w->params.block_bytes);
	w->file_hash = sha256_new();
	w->fragments = sqfs_frag_table_create(0);
	if (!w->fragments)
		return err_set(e, ENOMEM, "fragment table: out of memory");
	return squashfs_pipe_new(&spec, &w->pipe, e);
}

static void writer_fini(struct writer *w)
{
	squashfs_pipe_free(w->pipe);
	for (size_t i = 0; w->content && i < w->tree->count; i++)
		free(w->content[i].words);
	free(w->content);
	free(w->fragment);
	free(w->seen_files.entries);
	free(w->seen_tails.entries);
	sha256_free(w->file_hash);
	sqfs_destroy(w->fragments);
}

int squashfs_write_tree(struct tree *t, const struct squashfs_params *params, int fd,
	struct squashfs_result *out, struct progress *p, struct err *e)
{
	struct writer w = {.tree = t, .result = out, .progress = p};
	uint64_t total = 0;
	int r;

	if (t->count == 0 || !S_ISDIR(t->entries[0].mode))
		return err_set(e, EINVAL, "a tree without a root cannot become an image");
	for (size_t i = 0; i < t->count; i++)
		total += has_content(t, i) ? t->entries[i].size_bytes : 0;

	progress_begin(p, "liveimg", total, "bytes");
	out_init(&w.out, fd);
	r = writer_init(&w, params, e);
	if (r == 0)
		r = write_image(&w, e);
	writer_fini(&w);
	progress_end(p);
	return r;
}

/* A tree of one file whose content is a source that belongs to someone else. */
static int rootfs_open(struct tree *t, const struct tree_entry *en UNUSED, struct source **out,
	struct err *e UNUSED)
{
	struct source *rootfs = t->ctx;

	*out = source_slice(rootfs, 0, rootfs->size_bytes);
	return 0;
}

static const struct tree_ops rootfs_ops = {.open = rootfs_open};

int squashfs_write_image(struct source *rootfs, const struct squashfs_params *params, int fd,
	struct squashfs_result *out, struct progress *p, struct err *e)
{
	autoptr(tree) t = tree_new(&rootfs_ops, rootfs);
	const struct tree_entry folder = {.mode = S_IFDIR | 0755, .mtime = params->time};
	struct tree_entry file = {.mode = S_IFREG | 0644,
		.mtime = params->time,
		.size_bytes = rootfs->size_bytes,
		.path = xstrdup(SQUASHFS_ROOTFS_PATH)};

	tree_add(t, &folder)->path = xstrdup("");
	tree_add(t, &folder)->path = xstrdup("LiveOS");
	tree_add(t, &file);
	tree_sort(t);
	return squashfs_write_tree(t, params, fd, out, p, e);
}

void squashfs_result_fini(struct squashfs_result *r)
{
	squashfs_index_free(take_ptr(r->index));
}
