/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/compress.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/xalloc.h"

#define CHUNK          (1 * MIB)
#define CPIO_HEADER    110
#define CPIO_FIELD     8
#define CPIO_SIZE      54 /* of the file, at this offset of the header */
#define CPIO_NAME      94 /* length of the name with its NUL */
#define NAME_BYTES_MAX 4096
#define WORKERS_MAX    4 /* each takes some 10 MiB */

static const int levels[] = {[INITRAMFS_QUICK] = 1, [INITRAMFS_SMALL] = 10};

static bool is_cpio_header(const char *h)
{
	return str_starts(h, "070701") || str_starts(h, "070702");
}

static bool read_field(const char *header, size_t at, uint64_t *out)
{
	char text[CPIO_FIELD + 1] = "";
	char *end;

	memcpy(text, header + at, CPIO_FIELD);
	*out = strtoumax(text, &end, 16);
	return end == text + CPIO_FIELD && text[0] != '-' && text[0] != ' ';
}

static uint64_t round_up(uint64_t n)
{
	return (n + 3) & ~3ULL;
}

/* Archives may follow each other with zeroes between them. */
static int skip_zeroes(struct source *in, uint64_t *off, struct err *e)
{
	char chunk[512];

	while (*off < in->size_bytes) {
		size_t n = (size_t)MIN(sizeof(chunk), in->size_bytes - *off), i = 0;
		int r = source_read_at(in, chunk, n, *off, e);

		if (r < 0)
			return r;
		while (i < n && chunk[i] == '\0')
			i++;
		*off += i;
		if (i < n)
			break;
	}
	return 0;
}

/* 1: nothing but cpio archives, 0: something else is in it, too. */
static int is_plain(struct source *in, struct err *e)
{
	uint64_t off = 0;

	while (off < in->size_bytes) {
		char header[CPIO_HEADER + 1] = "", name[sizeof("TRAILER!!!")] = "";
		uint64_t size, name_bytes;

		if (in->size_bytes - off < CPIO_HEADER)
			return 0;
		int r = source_read_at(in, header, CPIO_HEADER, off, e);
		if (r < 0)
			return r;
		if (!is_cpio_header(header) || !read_field(header, CPIO_SIZE, &size) ||
			!read_field(header, CPIO_NAME, &name_bytes) || name_bytes > NAME_BYTES_MAX)
			return 0;
		off += CPIO_HEADER;
		if (in->size_bytes - off < name_bytes)
			return 0;
		r = source_read_at(in, name, (size_t)MIN(name_bytes, sizeof(name) - 1), off, e);
		if (r < 0)
			return r;
		off = round_up(off + name_bytes);
		off = round_up(off + size);
		if (str_eq(name, "TRAILER!!!"))
			r = skip_zeroes(in, &off, e);
		if (r < 0)
			return r;
	}
	return off > 0;
}

static void free_context(ZSTD_CCtx **c)
{
	ZSTD_freeCCtx(*c);
}

/* One worker more than none gives other bytes, two more than one do not. */
static int set_up(ZSTD_CCtx *c, enum initramfs_size size, uint64_t size_bytes, struct err *e)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const size_t results[] = {
		ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, levels[size]),
		ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1),
		ZSTD_CCtx_setParameter(c, ZSTD_c_nbWorkers, (int)MIN(MAX(cpus, 1), WORKERS_MAX)),
		ZSTD_CCtx_setPledgedSrcSize(c, size_bytes),
	};

	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		if (ZSTD_isError(results[i]))
			return err_set(e, EINVAL, "zstd: %s", ZSTD_getErrorName(results[i]));
	return 0;
}

/* Feed one chunk, write all that comes out. */
static int feed(
	ZSTD_CCtx *c, ZSTD_inBuffer in, ZSTD_EndDirective end, int fd, char *out, struct err *e)
{
	for (;;) {
		ZSTD_outBuffer o = {.dst = out, .size = CHUNK};
		size_t left = ZSTD_compressStream2(c, &o, &in, end);

		if (ZSTD_isError(left))
			return err_set(e, EIO, "zstd: %s", ZSTD_getErrorName(left));
		int r = io_write(fd, out, o.pos, e);
		if (r < 0)
			return r;
		if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
			return 0;
	}
}

static int write_all(struct source *in, ZSTD_CCtx *c, int fd, struct progress *p, struct err *e)
{
	autofree char *buf = xcalloc(1, CHUNK), *out = xcalloc(1, CHUNK);
	int r = 0;

	for (uint64_t off = 0; r == 0 && off < in->size_bytes;) {
		size_t n = (size_t)MIN(CHUNK, in->size_bytes - off);
		bool last = off + n == in->size_bytes;

		r = source_read_at(in, buf, n, off, e);
		if (r == 0 && c)
			r = feed(c, (ZSTD_inBuffer){.src = buf, .size = n},
				last ? ZSTD_e_end : ZSTD_e_continue, fd, out, e);
		else if (r == 0)
			r = io_write(fd, buf, n, e);
		off += n;
		if (r == 0)
			r = progress_advance(p, off, e);
	}
	return r;
}

int initramfs_compress(
	struct source *in, enum initramfs_size size, int fd, struct progress *p, struct err *e)
{
	auto_with(free_context) ZSTD_CCtx *c = NULL;
	int r = is_plain(in, e);

	if (r < 0)
		return r;
	if (r > 0) {
		c = ZSTD_createCCtx();
		if (!c)
			return err_set(e, ENOMEM, "zstd: out of memory");
		r = set_up(c, size, in->size_bytes, e);
		if (r < 0)
			return r;
	}
	progress_begin(p, "initramfs", in->size_bytes, "bytes");
	r = write_all(in, c, fd, p, e);
	progress_end(p);
	return r;
}
