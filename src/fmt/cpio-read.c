/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/cpio-read.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"

#define HEADER_BYTES   110
#define FIELD_BYTES    8
#define SIZE_AT        54
#define NAME_AT        94 /* length of the name, with its NUL */
#define NAME_BYTES_MAX 4096
#define ENTRIES_MAX    500000
#define BUFFER_BYTES   (64 * KIB)

struct reader {
	const struct cpio_walk *walk;
	char *buf;
	size_t at, len;
	uint64_t off; /* of buf */
	bool end;     /* there is nothing behind buf */
};

static int fill(struct reader *x, struct err *e)
{
	x->off += x->len;
	x->at = x->len = 0;
	int r = x->end ? 0 : x->walk->read(x->walk->ctx, x->buf, BUFFER_BYTES, &x->len, e);

	x->end = x->len < BUFFER_BYTES;
	return r;
}

/* out NULL: they are passed over. */
static int take(struct reader *x, char *out, uint64_t len, struct err *e)
{
	while (len > 0) {
		int r = x->at == x->len ? fill(x, e) : 0;

		if (r < 0)
			return r;
		if (x->len == 0)
			return err_set(e, EBADMSG, "the archive is cut off");
		size_t n = (size_t)MIN(len, x->len - x->at);
		if (out)
			memcpy(out, x->buf + x->at, n);
		out = out ? out + n : NULL;
		x->at += n;
		len -= n;
	}
	return 0;
}

/* What is behind the zeroes; '\0' at the end. */
static int skip_zeroes(struct reader *x, char *next, struct err *e)
{
	for (;;) {
		while (x->at < x->len && x->buf[x->at] == '\0')
			x->at++;
		*next = x->at < x->len ? x->buf[x->at] : '\0';
		if (*next)
			return 0;
		int r = fill(x, e);
		if (r < 0 || x->len == 0)
			return r;
	}
}

static bool read_field(const char *header, size_t at, uint64_t *out)
{
	char text[FIELD_BYTES + 1] = "";
	char *end;

	memcpy(text, header + at, FIELD_BYTES);
	*out = strtoumax(text, &end, 16);
	return end == text + FIELD_BYTES && text[0] != '-' && text[0] != '+' && text[0] != ' ';
}

static const char *plain_path(const char *name)
{
	while (str_starts(name, "/") || str_starts(name, "./"))
		name += name[0] == '/' ? 1 : 2;
	return name;
}

static int read_entry(struct reader *x, struct err *e)
{
	char header[HEADER_BYTES], name[NAME_BYTES_MAX + 1] = "";
	autofree char *data = NULL;
	uint64_t size, name_bytes;
	int r = take(x, header, sizeof(header), e);

	if (r < 0)
		return r;
	if ((memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0) ||
		!read_field(header, SIZE_AT, &size) || !read_field(header, NAME_AT, &name_bytes) ||
		name_bytes == 0 || name_bytes > NAME_BYTES_MAX)
		return err_set(e, EBADMSG, "not a cpio archive, or a damaged one");
	r = take(x, name, name_bytes, e);
	/* The name ends at a multiple of 4 from the header, of which the length is 2 more than one. */
	if (r == 0)
		r = take(x, NULL, (4 - (HEADER_BYTES + name_bytes) % 4) % 4, e);
	if (r < 0)
		return r;
	if (str_eq(name, "TRAILER!!!"))
		return take(x, NULL, size, e);
	if (size <= CPIO_SMALL_BYTES)
		data = xcalloc(1, (size_t)size + 1);
	r = take(x, data, size, e);
	/* What is behind the data is zero up to a multiple of 4, and no header begins with one. */
	if (r == 0)
		x->walk->visit(x->walk->ctx, plain_path(name), size, data);
	return r;
}

int cpio_walk(const struct cpio_walk *walk, uint64_t *rest, struct err *e)
{
	autofree char *buf = xcalloc(1, BUFFER_BYTES);
	struct reader x = {.walk = walk, .buf = buf};

	for (unsigned n = 0; n < ENTRIES_MAX; n++) {
		char next = '\0';
		int r = skip_zeroes(&x, &next, e);

		if (r == 0 && next != '0') {
			*rest = x.off + x.at;
			return 0;
		}
		if (r == 0)
			r = read_entry(&x, e);
		if (r < 0)
			return r;
	}
	return err_set(e, EFBIG, "more than %d files", ENTRIES_MAX);
}
