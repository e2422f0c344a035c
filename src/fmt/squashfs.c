/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/squashfs.h"

#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "fmt/squashfs-internal.h"

#define THREADS_MAX 32

static const struct {
	const char *name;
	SQFS_COMPRESSOR id;
} compressors[] = {
	[SQUASHFS_ZSTD] = {"zstd", SQFS_COMP_ZSTD},
	[SQUASHFS_XZ] = {"xz", SQFS_COMP_XZ},
	[SQUASHFS_LZ4] = {"lz4", SQFS_COMP_LZ4},
};

int squashfs_compressor_parse(const char *name, enum squashfs_compressor *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(compressors); i++) {
		if (str_eq(name, compressors[i].name)) {
			*out = (enum squashfs_compressor)i;
			return 0;
		}
	}
	return err_set(e, EINVAL, "unknown compression '%s': zstd, xz or lz4", name);
}

const char *squashfs_compressor_name(enum squashfs_compressor c)
{
	return compressors[c].name;
}

SQFS_COMPRESSOR squashfs_compressor_id(enum squashfs_compressor c)
{
	return compressors[c].id;
}

int squashfs_error(struct err *e, int code, const char *what)
{
	static const struct {
		int code, posix;
		const char *text;
	} errors[] = {
		{SQFS_ERROR_ALLOC, ENOMEM, "out of memory"},
		{SQFS_ERROR_IO, EIO, "input or output failed"},
		{SQFS_ERROR_COMPRESSOR, EBADMSG, "compressed data is damaged"},
		{SQFS_ERROR_CORRUPTED, EBADMSG, "damaged"},
		{SQFS_ERROR_UNSUPPORTED, ENOTSUP, "not supported"},
		{SQFS_ERROR_OVERFLOW, EOVERFLOW, "too large"},
		{SQFS_ERROR_OUT_OF_BOUNDS, EBADMSG, "points out of the image"},
	};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (code == errors[i].code)
			return err_set(e, errors[i].posix, "%s: %s", what, errors[i].text);
	return err_set(e, EPROTO, "%s: libsquashfs error %d", what, code);
}

bool squashfs_is_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

int squashfs_params_check(
	const struct squashfs_params *in, struct squashfs_params *out, struct err *e)
{
	struct squashfs_params p = *in;
	bool zstd = p.compressor == SQUASHFS_ZSTD;

	if (p.block_bytes == 0)
		p.block_bytes = SQUASHFS_BLOCK_DEFAULT_BYTES;
	if (p.block_bytes < SQFS_MIN_BLOCK_SIZE || p.block_bytes > SQFS_MAX_BLOCK_SIZE ||
		(p.block_bytes & (p.block_bytes - 1)) != 0)
		return err_set(
			e, EINVAL, "block size %u is no power of two from 4K to 1M", p.block_bytes);
	if (p.level == 0 && zstd)
		p.level = SQFS_ZSTD_DEFAULT_LEVEL;
	if (zstd ? p.level < SQFS_ZSTD_MIN_LEVEL || p.level > SQFS_ZSTD_MAX_LEVEL : p.level != 0)
		return err_set(e, EINVAL, "%s has no compression level %d",
			squashfs_compressor_name(p.compressor), p.level);
	if (p.threads == 0)
		p.threads = thread_cpus();
	p.threads = MIN(p.threads, THREADS_MAX);
	/* xz takes some 15 MiB a thread. */
	if (p.compressor == SQUASHFS_XZ)
		p.threads = MIN(p.threads, 16);
	*out = p;
	return 0;
}

static int compressor_new(sqfs_compressor_config_t *cfg, sqfs_compressor_t **out, struct err *e)
{
	int r = sqfs_compressor_create(cfg, out);

	return r == 0 ? 0 : squashfs_error(e, r, "squashfs compressor");
}

int squashfs_compressor_new(const struct squashfs_params *p, sqfs_compressor_t **out, struct err *e)
{
	sqfs_compressor_config_t cfg;
	int r = sqfs_compressor_config_init(
		&cfg, squashfs_compressor_id(p->compressor), p->block_bytes, 0);

	if (r != 0)
		return squashfs_error(e, r, "squashfs compressor");
	if (p->compressor == SQUASHFS_ZSTD)
		cfg.level = (sqfs_u32)p->level;
	return compressor_new(&cfg, out, e);
}

int squashfs_decompressor_new(int id, uint32_t block_bytes, sqfs_compressor_t **out, struct err *e)
{
	sqfs_compressor_config_t cfg;
	int r;

	if (id < SQFS_COMP_MIN || id > SQFS_COMP_MAX)
		return err_set(e, EBADMSG, "unknown squashfs compressor %d", id);
	r = sqfs_compressor_config_init(
		&cfg, (SQFS_COMPRESSOR)id, block_bytes, SQFS_COMP_FLAG_UNCOMPRESS);
	if (r == SQFS_ERROR_UNSUPPORTED)
		return err_set(e, ENOTSUP, "squashfs compression '%s' is not supported",
			sqfs_compressor_name_from_id((SQFS_COMPRESSOR)id));
	if (r != 0)
		return squashfs_error(e, r, "squashfs decompressor");
	return compressor_new(&cfg, out, e);
}

int squashfs_compress(sqfs_compressor_t *cmp, const uint8_t *in, uint32_t len, uint8_t *out,
	uint32_t *word, struct err *e)
{
	/* More room than any compressor needs: what "does not fit" means differs among them. */
	sqfs_s32 n = cmp->do_block(cmp, in, len, out, (sqfs_u32)SQUASHFS_OUT_BYTES(len));

	if (n < 0)
		return squashfs_error(e, n, "compressing");
	if (n > 0 && (uint32_t)n < len) {
		*word = (uint32_t)n;
		return 0;
	}
	memcpy(out, in, len);
	*word = len | SQUASHFS_WORD_RAW;
	return 0;
}

/* Text-like at the start, noise at the end, so that every path of a compressor has a say. */
static void fill_sample(uint8_t *buf, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		uint8_t noise = (uint8_t)(seed >> 56);

		/* Now and then a repeat of something earlier. */
		if (i > 4096 && noise % 16 != 0)
			buf[i] = buf[i - 1 - (seed >> 33) % 3 * 1031];
		else
			buf[i] = i < len / 2 ? (uint8_t)('a' + noise % 20) : noise;
	}
}

int squashfs_fingerprint(const struct squashfs_params *p, uint8_t out[SHA256_BYTES], struct err *e)
{
	autofree uint8_t *in = xcalloc(1, p->block_bytes);
	autofree uint8_t *packed = xcalloc(1, SQUASHFS_OUT_BYTES(p->block_bytes));
	autosqfs sqfs_compressor_t *cmp = NULL;
	autoptr(sha256) h = sha256_new();
	int r = squashfs_compressor_new(p, &cmp, e);

	if (r < 0)
		return r;
	sha256_add_str(h, squashfs_compressor_name(p->compressor));
	sha256_add(h, &p->level, sizeof(p->level));
	sha256_add(h, &p->block_bytes, sizeof(p->block_bytes));
	for (uint64_t seed = 1; seed <= 3; seed++) {
		uint32_t word;

		fill_sample(in, p->block_bytes, seed);
		r = squashfs_compress(cmp, in, p->block_bytes, packed, &word, e);
		if (r < 0)
			return r;
		sha256_add(h, &word, sizeof(word));
		sha256_add(h, packed, SQUASHFS_LEN(word));
	}
	sha256_end(h, out);
	return 0;
}
