/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/xalloc.h"

#define CHUNK_BYTES (1 * MIB)

struct sha256 {
	EVP_MD_CTX *ctx;
};

static void begin(struct sha256 *h)
{
	int ok = EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL);
	assert(ok == 1);
}

struct sha256 *sha256_new(void)
{
	struct sha256 *h = xcalloc(1, sizeof(*h));

	h->ctx = EVP_MD_CTX_new();
	assert(h->ctx);
	begin(h);
	return h;
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void sha256_add(struct sha256 *h, const void *data, size_t len)
{
	int ok = EVP_DigestUpdate(h->ctx, data, len);
	assert(ok == 1);
}

void sha256_add_str(struct sha256 *h, const char *s)
{
	sha256_add(h, s, strlen(s) + 1);
}

void sha256_end(struct sha256 *h, uint8_t out[SHA256_BYTES])
{
	int ok = EVP_DigestFinal_ex(h->ctx, out, NULL);
	assert(ok == 1);
	begin(h);
}

void sha256_buffer(const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	autoptr(sha256) h = sha256_new();

	sha256_add(h, data, len);
	sha256_end(h, out);
}

int sha256_source_progress(
	struct source *s, struct progress *p, uint8_t out[SHA256_BYTES], struct err *e)
{
	autofree char *chunk = xcalloc(1, CHUNK_BYTES);
	autoptr(sha256) h = sha256_new();

	for (uint64_t off = 0; off < s->size_bytes;) {
		size_t len = (size_t)MIN(CHUNK_BYTES, s->size_bytes - off);
		int r = source_read_at(s, chunk, len, off, e);

		off += len;
		if (r == 0)
			r = progress_advance(p, off, e);
		if (r < 0)
			return r;
		sha256_add(h, chunk, len);
	}
	sha256_end(h, out);
	return 0;
}

int sha256_source(struct source *s, uint8_t out[SHA256_BYTES], struct err *e)
{
	return sha256_source_progress(s, NULL, out, e);
}

int sha256_file(const char *path, uint8_t out[SHA256_BYTES], struct err *e)
{
	autoptr(source) s = NULL;
	int r = source_open_path(path, &s, e);

	return r < 0 ? r : sha256_source(s, out, e);
}

void hex_format(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_parse(const char *text, uint8_t *out, size_t len, struct err *e)
{
	if (strlen(text) != 2 * len)
		return err_set(e, EINVAL, "expected %zu hexadecimal digits", 2 * len);
	for (size_t i = 0; i < len; i++) {
		int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return err_set(e, EINVAL, "expected %zu hexadecimal digits", 2 * len);
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}
