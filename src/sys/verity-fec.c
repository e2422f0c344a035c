/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/verity-fec.h"

#include <fcntl.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/xalloc.h"

#define CODE_WORD_BYTES 255
#define CHUNK_BYTES     MIB

/*
 * One code word takes byte b of every block that is a multiple of `rounds` blocks away.  So a block
 * is one byte of each of 4096 code words, and a shift register of vectors of 4096 bytes encodes
 * them all at once, while the image is read in order.
 */
struct fec {
	unsigned roots;
	uint64_t rounds;
	uint64_t next; /* block */
	uint8_t generator[FEC_ROOTS_MAX];
	uint8_t *parity; /* of each round: roots vectors of a block, highest power first */
};

static uint8_t times_two(uint8_t x)
{
	return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1d : 0));
}

static uint8_t multiply(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b; b >>= 1, a = times_two(a))
		product ^= b & 1 ? a : 0;
	return product;
}

/* The product of (x - 2^i), without its leading 1, highest power first. */
static void make_generator(struct fec *f)
{
	uint8_t g[FEC_ROOTS_MAX + 1] = {1}; /* lowest power first */
	uint8_t root = 1;

	for (unsigned i = 0; i < f->roots; i++, root = times_two(root)) {
		for (unsigned k = i + 1; k > 0; k--)
			g[k] = g[k - 1] ^ multiply(g[k], root);
		g[0] = multiply(g[0], root);
	}
	for (unsigned i = 0; i < f->roots; i++)
		f->generator[i] = g[f->roots - 1 - i];
}

/* out = below ^ factor * in, for a whole block.  Plain enough for the compiler to use vectors. */
static void shift(uint8_t *restrict out, const uint8_t *restrict below, const uint8_t *restrict in,
	uint8_t factor)
{
	uint8_t x[FEC_BLOCK_BYTES];

	memcpy(x, in, sizeof(x));
	memcpy(out, below, FEC_BLOCK_BYTES);
	for (;;) {
		uint8_t mask = (uint8_t) - (factor & 1);

		for (size_t i = 0; i < FEC_BLOCK_BYTES; i++)
			out[i] ^= x[i] & mask;
		factor >>= 1;
		if (factor == 0)
			return;
		for (size_t i = 0; i < FEC_BLOCK_BYTES; i++)
			x[i] = (uint8_t)((x[i] << 1) ^ (-(x[i] >> 7) & 0x1d));
	}
}

static void add_block(struct fec *f, const uint8_t *block)
{
	static const uint8_t zeros[FEC_BLOCK_BYTES];
	uint8_t *p = f->parity + f->next++ % f->rounds * f->roots * FEC_BLOCK_BYTES;
	uint8_t feedback[FEC_BLOCK_BYTES];

	for (size_t i = 0; i < FEC_BLOCK_BYTES; i++)
		feedback[i] = p[i] ^ block[i];
	for (unsigned r = 0; r < f->roots; r++) {
		uint8_t *out = p + (size_t)r * FEC_BLOCK_BYTES;

		shift(out, r + 1 < f->roots ? out + FEC_BLOCK_BYTES : zeros, feedback,
			f->generator[r]);
	}
}

static int add_area(struct fec *f, struct source *s, uint64_t off, uint64_t len, struct err *e)
{
	autofree uint8_t *buf = xcalloc(1, CHUNK_BYTES);

	for (uint64_t end = off + len; off < end;) {
		size_t n = (size_t)MIN(CHUNK_BYTES, end - off);
		int r = source_read_at(s, buf, n, off, e);

		if (r == 0)
			r = interrupt_check(e);
		if (r < 0)
			return r;
		for (size_t at = 0; at < n; at += FEC_BLOCK_BYTES)
			add_block(f, buf + at);
		off += n;
	}
	return 0;
}

/* On disk the parity bytes of a code word stand side by side. */
static int write_parity(const struct fec *f, int fd, uint64_t off, struct err *e)
{
	autofree uint8_t *out = xcalloc(f->roots, FEC_BLOCK_BYTES);
	size_t len = (size_t)f->roots * FEC_BLOCK_BYTES;

	for (uint64_t n = 0; n < f->rounds; n++) {
		const uint8_t *p = f->parity + n * len;
		int r;

		for (size_t b = 0; b < FEC_BLOCK_BYTES; b++)
			for (unsigned k = 0; k < f->roots; k++)
				out[b * f->roots + k] = p[(size_t)k * FEC_BLOCK_BYTES + b];
		r = io_pwrite(fd, out, len, off + n * len, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int fec_append(int fd, const struct fec_areas *a, uint64_t *fec_bytes, struct err *e)
{
	static const uint8_t zeros[FEC_BLOCK_BYTES];
	uint64_t blocks = (a->data_bytes + a->tree_bytes) / FEC_BLOCK_BYTES;
	unsigned message = CODE_WORD_BYTES - a->roots;
	struct fec f = {.roots = a->roots, .rounds = (blocks + message - 1) / message};
	autoptr(source) s = NULL;
	autofree uint8_t *parity = xcalloc(f.rounds * a->roots, FEC_BLOCK_BYTES);
	int r, copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return err_errno(e, "duplicating a descriptor");
	r = source_open_fd(copy, &s, e);
	if (r < 0)
		return r;
	f.parity = parity;
	make_generator(&f);
	r = add_area(&f, s, 0, a->data_bytes, e);
	if (r == 0)
		r = add_area(&f, s, a->tree_offset, a->tree_bytes, e);
	if (r < 0)
		return r;
	/* A code word that reaches behind the end has zeros there. */
	while (f.next < f.rounds * message)
		add_block(&f, zeros);
	r = write_parity(&f, fd, a->fec_offset, e);
	*fec_bytes = f.rounds * a->roots * FEC_BLOCK_BYTES;
	return r;
}

/*
 * The code is linear: what a symbol adds to the parity depends on its place in the code word and on
 * nothing else, so a changed one adds what its difference would.
 */
struct fec_update {
	unsigned roots;
	uint64_t rounds;
	uint8_t *parity;                               /* as on disk */
	uint8_t share[CODE_WORD_BYTES][FEC_ROOTS_MAX]; /* of a 1 at each place, in the parity */
};

uint64_t fec_bytes(uint64_t blocks, unsigned roots)
{
	unsigned message = CODE_WORD_BYTES - roots;

	return (blocks + message - 1) / message * roots * FEC_BLOCK_BYTES;
}

/* The last symbol's share is the generator; one place further to the front is one shift more. */
static void make_shares(struct fec_update *u)
{
	struct fec f = {.roots = u->roots};
	unsigned message = CODE_WORD_BYTES - u->roots;

	make_generator(&f);
	memcpy(u->share[message - 1], f.generator, u->roots);
	for (unsigned k = message - 1; k > 0; k--)
		for (unsigned r = 0; r < u->roots; r++)
			u->share[k - 1][r] = (uint8_t)((r + 1 < u->roots ? u->share[k][r + 1] : 0) ^
				multiply(u->share[k][0], f.generator[r]));
}

int fec_update_new(struct source *before, uint64_t offset, uint64_t blocks, unsigned roots,
	struct fec_update **out, struct err *e)
{
	autoptr(fec_update) u = xcalloc(1, sizeof(*u));
	size_t len = (size_t)fec_bytes(blocks, roots);

	u->roots = roots;
	u->rounds = len / roots / FEC_BLOCK_BYTES;
	u->parity = xcalloc(1, len);
	make_shares(u);
	int r = source_read_at(before, u->parity, len, offset, e);
	if (r == 0)
		*out = take_ptr(u);
	return r;
}

void fec_update_free(struct fec_update *u)
{
	if (!u)
		return;
	free(u->parity);
	free(u);
}

void fec_update_add(struct fec_update *u, uint64_t index, const uint8_t *before, const uint8_t *now)
{
	const uint8_t *share = u->share[index / u->rounds];
	uint8_t *parity = u->parity + index % u->rounds * u->roots * FEC_BLOCK_BYTES;
	uint8_t product[FEC_ROOTS_MAX][256];

	if (memcmp(before, now, FEC_BLOCK_BYTES) == 0)
		return;
	for (unsigned r = 0; r < u->roots; r++)
		for (unsigned x = 0; x < 256; x++)
			product[r][x] = multiply((uint8_t)x, share[r]);
	for (size_t b = 0; b < FEC_BLOCK_BYTES; b++)
		for (unsigned r = 0; r < u->roots; r++)
			parity[b * u->roots + r] ^= product[r][before[b] ^ now[b]];
}

int fec_update_write(const struct fec_update *u, int fd, uint64_t offset, struct err *e)
{
	return io_pwrite(fd, u->parity, (size_t)u->rounds * u->roots * FEC_BLOCK_BYTES, offset, e);
}
