/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/endian.h"
#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "image/files.h"
#include "image/liveimg.h"
#include "image/sign.h"

#define MAGIC            "bedplate-undo 1\n"
#define MAGIC_BYTES      (sizeof(MAGIC) - 1)
#define HEADER_MAX_BYTES (64 * MIB)
#define FILE_MAX_BYTES   (1 * GIB)
#define IMAGE_MAX_BYTES  (1024 * GIB)
#define CHUNK_BYTES      (1 * MIB)
#define PACK_LEVEL       3
#define PACK_WINDOW_LOG  27
#define STEM_MAX         250

/* What lies beside an image, the manifest last. */
static const char *const suffixes[] = {
	FILES_SUFFIX, SBOM_SUFFIX, UNDO_SUFFIX, MANIFEST_SUFFIX SIGN_SUFFIX, MANIFEST_SUFFIX};

/* Bytes of the earlier image that the later one has, too. */
struct copy {
	uint64_t to, from, len;
};

struct copies {
	struct copy *items;
	size_t count, room;
};

struct packed_file {
	const char *suffix; /* NULL: the image had none of this kind */
	uint64_t size_bytes, packed_bytes;
	uint8_t sha256[SHA256_BYTES];
	char *packed; /* when writing */
};

struct undo {
	struct copies copies; /* by place in the earlier image */
	char *stem;           /* NAME-VERSION */
	uint64_t image_bytes;
	uint8_t image_sha256[SHA256_BYTES];
	struct packed_file files[ARRAY_LEN(suffixes)];
	uint64_t literals_at; /* in the file */
};

static void undo_fini(struct undo *u)
{
	free(u->copies.items);
	free(u->stem);
	for (size_t i = 0; i < ARRAY_LEN(u->files); i++)
		free(u->files[i].packed);
}

static void add_copy(struct copies *c, struct copy x)
{
	struct copy *last = c->count > 0 ? &c->items[c->count - 1] : NULL;

	if (last && last->to + last->len == x.to && last->from + last->len == x.from) {
		last->len += x.len;
		return;
	}
	if (c->count == c->room) {
		c->room = MAX(256, 2 * c->room);
		c->items = xrealloc(c->items, c->room * sizeof(*c->items));
	}
	c->items[c->count++] = x;
}

/* 1: both have the same bytes there. */
static int same_bytes(
	struct source *a, struct source *b, const struct copy *x, char *buf, struct err *e)
{
	for (uint64_t done = 0; done < x->len; done += CHUNK_BYTES) {
		size_t n = (size_t)MIN(CHUNK_BYTES, x->len - done);
		int r = source_read_at(a, buf, n, x->to + done, e);

		if (r == 0)
			r = source_read_at(b, buf + CHUNK_BYTES, n, x->from + done, e);
		if (r < 0)
			return r;
		if (memcmp(buf, buf + CHUNK_BYTES, n) != 0)
			return 0;
	}
	return 1;
}

/* Blocks of a file that both images have are mostly the same, and packed alike. */
static int match_blocks(struct image *before, struct image *after, struct source *old,
	struct source *new, struct copies *out, struct err *e)
{
	autofree char *buf = xcalloc(2, CHUNK_BYTES);
	bool old_packed, new_packed;
	uint32_t old_len, new_len;
	struct copy x;

	for (uint64_t i = 0; squashfs_block_at(old, i, &x.to, &old_len, &old_packed) &&
		squashfs_block_at(new, i, &x.from, &new_len, &new_packed);
		i++) {
		if (old_len != new_len || old_packed != new_packed || old_len == 0)
			continue;
		x.len = old_len;
		int r = same_bytes(image_file(before), image_file(after), &x, buf, e);
		if (r < 0)
			return r;
		if (r > 0)
			add_copy(out, x);
	}
	return 0;
}

static int compare_copies(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return (x->to > y->to) - (x->to < y->to);
}

/* Two files may share blocks. */
static void sort_copies(struct copies *c)
{
	size_t kept = 0;
	uint64_t end = 0;

	if (c->count > 1)
		qsort(c->items, c->count, sizeof(*c->items), compare_copies);
	for (size_t i = 0; i < c->count; i++) {
		if (c->items[i].to < end)
			continue;
		end = c->items[i].to + c->items[i].len;
		c->items[kept++] = c->items[i];
	}
	c->count = kept;
}

static int match_files(struct image *before, struct image *after, struct copies *out, struct err *e)
{
	struct tree *a = image_outer(before), *b = image_outer(after);
	int r = 0;

	for (size_t i = 0; r == 0 && a && b && i < a->count; i++) {
		const struct tree_entry *en = &a->entries[i];
		const struct tree_entry *other = S_ISREG(en->mode) ? tree_find(b, en->path) : NULL;
		autoptr(source) old = NULL;
		autoptr(source) new = NULL;

		if (!other || !S_ISREG(other->mode) || en->link_of != i)
			continue;
		r = tree_open(a, en, &old, e);
		if (r == 0)
			r = tree_open(b, other, &new, e);
		if (r == 0)
			r = match_blocks(before, after, old, new, out, e);
	}
	sort_copies(out);
	return r;
}

static int zstd_error(size_t code, struct err *e)
{
	return err_set(e, EBADMSG, "zstd: %s", ZSTD_getErrorName(code));
}

/* What lies beside the other image as well is told by its differences. */
static int pack(const char *text, size_t len, const char *like, size_t like_len,
	struct packed_file *out, struct err *e)
{
	size_t room = ZSTD_compressBound(len);
	ZSTD_CCtx *z = ZSTD_createCCtx();
	autofree char *packed = xcalloc(1, room + 1);

	if (!z)
		return err_set(e, ENOMEM, "zstd: out of memory");
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, PACK_LEVEL);
	ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, PACK_WINDOW_LOG);
	ZSTD_CCtx_setParameter(z, ZSTD_c_enableLongDistanceMatching, 1);
	if (like)
		ZSTD_CCtx_refPrefix(z, like, like_len);
	size_t n = ZSTD_compress2(z, packed, room, text, len);
	ZSTD_freeCCtx(z);
	if (ZSTD_isError(n))
		return zstd_error(n, e);
	out->packed = take_ptr(packed);
	out->packed_bytes = n;
	return 0;
}

static int unpack(const char *packed, size_t packed_len, const char *like, size_t like_len,
	char *text, size_t len, struct err *e)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();

	if (!z)
		return err_set(e, ENOMEM, "zstd: out of memory");
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, PACK_WINDOW_LOG);
	if (like)
		ZSTD_DCtx_refPrefix(z, like, like_len);
	size_t n = ZSTD_decompressDCtx(z, text, len, packed, packed_len);
	ZSTD_freeDCtx(z);
	if (ZSTD_isError(n))
		return zstd_error(n, e);
	return n == len ? 0 : err_set(e, EBADMSG, "a file in it has another size");
}

/* NULL in *out: there is none. */
static int read_sibling(
	struct image *img, const char *suffix, char **out, size_t *len, struct err *e)
{
	autofree char *path = image_sibling(img, suffix);
	int r = file_read(path, FILE_MAX_BYTES, out, len, e);

	if (r != -ENOENT)
		return r;
	if (e)
		*e = (struct err){0};
	*out = NULL;
	*len = 0;
	return 0;
}

/* Only lists are alike from one image to the next, and only they are known to be what they were. */
static int read_like(
	struct image *after, const char *suffix, char **out, size_t *len, struct err *e)
{
	if (str_eq(suffix, FILES_SUFFIX) || str_eq(suffix, SBOM_SUFFIX))
		return read_sibling(after, suffix, out, len, e);
	*out = NULL;
	*len = 0;
	return 0;
}

static int pack_file(struct image *before, struct image *after, const char *suffix,
	struct packed_file *out, struct err *e)
{
	autofree char *text = NULL, *like = NULL;
	size_t len, like_len;
	int r = read_sibling(before, suffix, &text, &len, e);

	if (r < 0 || !text)
		return r;
	r = read_like(after, suffix, &like, &like_len, e);
	if (r < 0)
		return r;
	out->suffix = suffix;
	out->size_bytes = len;
	sha256_buffer(text, len, out->sha256);
	return pack(text, len, like, like_len, out, e);
}

static json_t *hex_json(const uint8_t sum[SHA256_BYTES])
{
	char hex[SHA256_HEX_BYTES];

	hex_format(sum, SHA256_BYTES, hex);
	return json_string(hex);
}

static char *format_header(const struct undo *u)
{
	json_t *copies = json_array(), *files = json_array();

	for (size_t i = 0; i < u->copies.count; i++) {
		const struct copy *x = &u->copies.items[i];

		json_array_append_new(copies,
			json_pack("[I,I,I]", (json_int_t)x->to, (json_int_t)x->from,
				(json_int_t)x->len));
	}
	for (size_t i = 0; i < ARRAY_LEN(u->files); i++) {
		const struct packed_file *f = &u->files[i];

		if (f->suffix)
			json_array_append_new(files,
				json_pack("{s:s,s:I,s:I,s:o}", "suffix", f->suffix, "size",
					(json_int_t)f->size_bytes, "packed",
					(json_int_t)f->packed_bytes, "sha256",
					hex_json(f->sha256)));
	}
	json_t *o = json_pack("{s:s,s:{s:I,s:o},s:o,s:o}", "stem", u->stem, "image", "size",
		(json_int_t)u->image_bytes, "sha256", hex_json(u->image_sha256), "copies", copies,
		"files", files);
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	return text;
}

/* From one place of a source to the end of what is written. */
static int append_range(struct source *s, uint64_t off, uint64_t len, int fd, uint64_t *at,
	char *buf, struct err *e)
{
	for (uint64_t done = 0; done < len; done += CHUNK_BYTES) {
		size_t n = (size_t)MIN(CHUNK_BYTES, len - done);
		int r = source_read_at(s, buf, n, off + done, e);

		if (r == 0)
			r = io_pwrite(fd, buf, n, *at, e);
		if (r < 0)
			return r;
		*at += n;
	}
	return 0;
}

static int append_literals(
	const struct undo *u, struct source *image, int fd, uint64_t *at, struct err *e)
{
	autofree char *buf = xcalloc(1, CHUNK_BYTES);
	uint64_t off = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < u->copies.count; i++) {
		const struct copy *x = &u->copies.items[i];

		r = append_range(image, off, x->to - off, fd, at, buf, e);
		off = x->to + x->len;
	}
	return r == 0 ? append_range(image, off, u->image_bytes - off, fd, at, buf, e) : r;
}

static int write_file(const struct undo *u, struct image *before, const char *path, struct err *e)
{
	autofree char *header = format_header(u);
	le64 len = le64_put(strlen(header));
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint64_t at = MAGIC_BYTES + sizeof(len);
	int r;

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	r = io_pwrite(fd, MAGIC, MAGIC_BYTES, 0, e);
	if (r == 0)
		r = io_pwrite(fd, &len, sizeof(len), MAGIC_BYTES, e);
	if (r == 0)
		r = io_pwrite(fd, header, strlen(header), at, e);
	at += strlen(header);
	if (r == 0)
		r = append_literals(u, image_file(before), fd, &at, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(u->files); i++) {
		const struct packed_file *f = &u->files[i];

		r = f->suffix ? io_pwrite(fd, f->packed, f->packed_bytes, at, e) : 0;
		at += f->suffix ? f->packed_bytes : 0;
	}
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

/* The name that the image has, without its ending. */
static char *stem_of(struct image *img)
{
	autofree char *stem = image_sibling(img, "");
	const char *slash = strrchr(stem, '/');

	return xstrdup(slash ? slash + 1 : stem);
}

int undo_write(struct image *before, struct image *after, const char *path, struct progress *p,
	struct err *e)
{
	auto_with(undo_fini) struct undo u = {
		.stem = stem_of(before), .image_bytes = image_file(before)->size_bytes};
	int r;

	progress_begin(p, "undo", 0, "bytes");
	r = sha256_source(image_file(before), u.image_sha256, e);
	if (r == 0)
		r = match_files(before, after, &u.copies, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(suffixes); i++)
		r = pack_file(before, after, suffixes[i], &u.files[i], e);
	if (r == 0)
		r = write_file(&u, before, path, e);
	progress_end(p);
	return r;
}

/* ---- reading ---- */

static int damaged(struct err *e, const char *what)
{
	return err_set(e, EBADMSG, "%s is wrong", what);
}

static bool get_number(const json_t *j, uint64_t max, uint64_t *out)
{
	if (!json_is_integer(j) || json_integer_value(j) < 0 ||
		(uint64_t)json_integer_value(j) > max)
		return false;
	*out = (uint64_t)json_integer_value(j);
	return true;
}

static bool get_hash(const json_t *j, uint8_t out[SHA256_BYTES])
{
	const char *text = json_string_value(j);

	return text && hex_parse(text, out, SHA256_BYTES, NULL) == 0;
}

static int parse_copies(const json_t *a, uint64_t after_bytes, struct undo *u, struct err *e)
{
	uint64_t end = 0;

	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *item = json_array_get(a, i);
		struct copy x;

		if (!get_number(json_array_get(item, 0), u->image_bytes, &x.to) ||
			!get_number(json_array_get(item, 1), after_bytes, &x.from) ||
			!get_number(json_array_get(item, 2), u->image_bytes - x.to, &x.len) ||
			x.to < end || x.len == 0 || x.len > after_bytes - x.from)
			return damaged(e, "a copy in it");
		end = x.to + x.len;
		add_copy(&u->copies, x);
	}
	return 0;
}

static int parse_files(const json_t *a, struct undo *u, struct err *e)
{
	size_t k = 0;

	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);
		const char *suffix = json_string_value(json_object_get(o, "suffix"));

		while (suffix && k < ARRAY_LEN(suffixes) && !str_eq(suffixes[k], suffix))
			k++;
		if (!suffix || k == ARRAY_LEN(suffixes))
			return damaged(e, "the name of a file in it");
		struct packed_file *f = &u->files[k];
		f->suffix = suffixes[k++];
		if (!get_number(json_object_get(o, "size"), FILE_MAX_BYTES, &f->size_bytes) ||
			!get_number(json_object_get(o, "packed"), 2 * FILE_MAX_BYTES,
				&f->packed_bytes) ||
			!get_hash(json_object_get(o, "sha256"), f->sha256))
			return damaged(e, "a file in it");
	}
	return 0;
}

static bool is_stem(const char *s)
{
	return s && *s && *s != '.' && *s != '-' && strlen(s) <= STEM_MAX && !strchr(s, '/');
}

static int parse_header(const json_t *o, uint64_t after_bytes, struct undo *u, struct err *e)
{
	const json_t *image = json_object_get(o, "image");
	const char *stem = json_string_value(json_object_get(o, "stem"));
	int r;

	if (!is_stem(stem) ||
		!get_number(json_object_get(image, "size"), IMAGE_MAX_BYTES, &u->image_bytes) ||
		!get_hash(json_object_get(image, "sha256"), u->image_sha256))
		return damaged(e, "its header");
	u->stem = xstrdup(stem);
	r = parse_copies(json_object_get(o, "copies"), after_bytes, u, e);
	return r == 0 ? parse_files(json_object_get(o, "files"), u, e) : r;
}

static uint64_t literal_bytes(const struct undo *u)
{
	uint64_t n = u->image_bytes;

	for (size_t i = 0; i < u->copies.count; i++)
		n -= u->copies.items[i].len;
	return n;
}

static int read_header(struct source *s, uint64_t after_bytes, struct undo *u, struct err *e)
{
	char magic[MAGIC_BYTES];
	le64 len_field;
	uint64_t len, want;
	json_error_t why;

	if (s->size_bytes < MAGIC_BYTES + sizeof(len_field))
		return damaged(e, "its size");
	int r = source_read_at(s, magic, sizeof(magic), 0, e);
	if (r == 0)
		r = source_read_at(s, &len_field, sizeof(len_field), sizeof(magic), e);
	if (r < 0)
		return r;
	len = le64_get(len_field);
	if (memcmp(magic, MAGIC, sizeof(magic)) != 0 || len > HEADER_MAX_BYTES ||
		len > s->size_bytes - MAGIC_BYTES - sizeof(len_field))
		return damaged(e, "its header");
	autofree char *text = xcalloc(1, (size_t)len + 1);
	r = source_read_at(s, text, (size_t)len, MAGIC_BYTES + sizeof(len_field), e);
	if (r < 0)
		return r;
	json_t *o = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, &why);
	r = o ? parse_header(o, after_bytes, u, e) : damaged(e, "its header");
	json_decref(o);
	if (r < 0)
		return r;
	u->literals_at = MAGIC_BYTES + sizeof(len_field) + len;
	want = u->literals_at + literal_bytes(u);
	for (size_t i = 0; i < ARRAY_LEN(u->files); i++)
		want += u->files[i].packed_bytes;
	return s->size_bytes == want ? 0 : damaged(e, "its size");
}

static int open_undo(
	struct image *after, const char *path, struct source **s, struct undo *u, struct err *e)
{
	int r = source_open_path(path, s, e);

	if (r < 0)
		return r;
	r = read_header(*s, image_file(after)->size_bytes, u, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static int rebuild(const struct undo *u, struct source *s, struct source *after, int fd,
	struct progress *p, struct err *e)
{
	autofree char *buf = xcalloc(1, CHUNK_BYTES);
	uint64_t at = 0, literal = u->literals_at;
	int r = 0;

	for (size_t i = 0; r == 0 && i < u->copies.count; i++) {
		const struct copy *x = &u->copies.items[i];
		uint64_t gap = x->to - at;

		r = append_range(s, literal, gap, fd, &at, buf, e);
		literal += gap;
		if (r == 0)
			r = append_range(after, x->from, x->len, fd, &at, buf, e);
		if (r == 0)
			r = progress_advance(p, at, e);
	}
	return r == 0 ? append_range(s, literal, u->image_bytes - at, fd, &at, buf, e) : r;
}

static int check_sum(const char *path, const uint8_t want[SHA256_BYTES], struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	int r = sha256_file(path, sum, e);

	if (r == 0 && memcmp(sum, want, SHA256_BYTES) != 0)
		r = err_set(e, EBADMSG, "'%s' did not become what it was", path);
	return r;
}

static int write_image(const struct undo *u, struct source *s, struct image *after,
	const char *path, struct progress *p, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	progress_begin(p, "image", u->image_bytes, "bytes");
	r = rebuild(u, s, image_file(after), fd, p, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "syncing");
	progress_end(p);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	return check_sum(path, u->image_sha256, e);
}

static int take_file(const struct undo *u, size_t index, struct source *s, struct image *after,
	char **out, struct err *e)
{
	const struct packed_file *f = &u->files[index];
	uint64_t at = u->literals_at + literal_bytes(u);
	autofree char *packed = xcalloc(1, (size_t)f->packed_bytes + 1);
	autofree char *text = xcalloc(1, (size_t)f->size_bytes + 1);
	autofree char *like = NULL;
	uint8_t sum[SHA256_BYTES];
	size_t like_len;

	for (size_t i = 0; i < index; i++)
		at += u->files[i].packed_bytes;
	int r = read_like(after, f->suffix, &like, &like_len, e);
	if (r == 0)
		r = source_read_at(s, packed, (size_t)f->packed_bytes, at, e);
	if (r == 0)
		r = unpack(packed, (size_t)f->packed_bytes, like, like_len, text,
			(size_t)f->size_bytes, e);
	if (r < 0)
		return r;
	sha256_buffer(text, (size_t)f->size_bytes, sum);
	if (memcmp(sum, f->sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "its '%s' has a wrong checksum", f->suffix);
	*out = take_ptr(text);
	return 0;
}

int undo_apply(struct image *after, const char *path, const char *folder, char **image,
	struct progress *p, struct err *e)
{
	auto_with(undo_fini) struct undo u = {0};
	autoptr(source) s = NULL;
	int r = open_undo(after, path, &s, &u, e);

	if (r < 0)
		return r;
	autofree char *to = xasprintf("%s/%s" LIVEIMG_SUFFIX, folder, u.stem);
	r = write_image(&u, s, after, to, p, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(u.files); i++) {
		autofree char *text = NULL;
		autofree char *file = xasprintf("%s/%s%s", folder, u.stem, suffixes[i]);

		if (!u.files[i].suffix)
			continue;
		r = take_file(&u, i, s, after, &text, e);
		if (r == 0)
			r = file_replace(file, text, (size_t)u.files[i].size_bytes, 0644, e);
	}
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	*image = take_ptr(to);
	return 0;
}

int undo_read(struct image *after, const char *path, const char *suffix, char **out, size_t *len,
	struct err *e)
{
	auto_with(undo_fini) struct undo u = {0};
	autoptr(source) s = NULL;
	int r = open_undo(after, path, &s, &u, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(u.files); i++) {
		if (!u.files[i].suffix || !str_eq(suffixes[i], suffix))
			continue;
		r = take_file(&u, i, s, after, out, e);
		if (r < 0)
			return err_wrap(e, r, "'%s'", path);
		*len = (size_t)u.files[i].size_bytes;
		return 0;
	}
	return err_set(e, ENOENT, "'%s' has no file '%s'", path, suffix);
}
