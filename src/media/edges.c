/* SPDX-License-Identifier: Apache-2.0 */
#include "media/edges.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/xalloc.h"

/* ECMA-119, 6.7.1: sector 16 is the primary volume descriptor. */
#define FIELD_AT    (16 * 2048 + 883)
#define FIELD_BYTES 512
#define EDGE_MAX    (64 * MIB)
#define MAGIC       "bedplate-edges "

struct edges {
	uint64_t size_bytes, head_bytes, tail_bytes;
};

static bool is_possible(const struct edges *x)
{
	return x->head_bytes >= FIELD_AT + FIELD_BYTES && x->head_bytes <= EDGE_MAX &&
		x->tail_bytes <= EDGE_MAX && x->head_bytes <= x->size_bytes &&
		x->tail_bytes <= x->size_bytes - x->head_bytes;
}

static int digest(struct source *s, const struct edges *x, uint8_t sum[SHA256_BYTES], struct err *e)
{
	size_t head = (size_t)x->head_bytes, tail = (size_t)x->tail_bytes;
	autofree uint8_t *buf = xcalloc(1, head + tail);
	int r = source_read_at(s, buf, head, 0, e);

	if (r == 0)
		r = source_read_at(s, buf + head, tail, x->size_bytes - tail, e);
	if (r < 0)
		return r;
	memset(buf + FIELD_AT, ' ', FIELD_BYTES);
	sha256_buffer(buf, head + tail, sum);
	return 0;
}

static int write_field(
	const char *path, const struct edges *x, const uint8_t sum[SHA256_BYTES], struct err *e)
{
	char field[FIELD_BYTES], hex[SHA256_HEX_BYTES];

	hex_format(sum, SHA256_BYTES, hex);
	autofree char *text = xasprintf(MAGIC "%" PRIu64 " %" PRIu64 " %" PRIu64 " %s",
		x->size_bytes, x->head_bytes, x->tail_bytes, hex);
	memset(field, ' ', sizeof(field));
	memcpy(field, text, strlen(text));
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	int r = io_pwrite(fd, field, sizeof(field), FIELD_AT, e);
	return r == 0 && fsync(fd) < 0 ? err_errno(e, "'%s'", path) : r;
}

int edges_seal(const char *path, uint64_t head_bytes, uint64_t tail_at, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	autoptr(source) s = NULL;
	int r = source_open_path(path, &s, e);

	if (r < 0)
		return r;
	const struct edges x = {s->size_bytes, head_bytes, s->size_bytes - tail_at};
	if (!is_possible(&x))
		return err_set(e, EPROTO, "'%s': its files do not lie together", path);
	r = digest(s, &x, sum, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : write_field(path, &x, sum, e);
}

/* The field's words.  false: they are none. */
static bool parse(const char *text, struct edges *x, uint8_t sum[SHA256_BYTES])
{
	uint64_t *to[] = {&x->size_bytes, &x->head_bytes, &x->tail_bytes};
	char *end;

	for (size_t i = 0; i < ARRAY_LEN(to); i++, text = end + 1) {
		*to[i] = strtoumax(text, &end, 10);
		if (end == text || *end != ' ')
			return false;
	}
	autofree char *hex = xstrndup(text, SHA256_HEX_BYTES - 1);
	return hex_parse(hex, sum, SHA256_BYTES, NULL) == 0 && is_possible(x);
}

int edges_check(struct source *iso, const char **problem, struct err *e)
{
	char field[FIELD_BYTES + 1] = {0};
	uint8_t want[SHA256_BYTES], got[SHA256_BYTES];
	struct edges x = {0};

	*problem = "missing";
	if (iso->size_bytes < FIELD_AT + FIELD_BYTES)
		return 0;
	int r = source_read_at(iso, field, FIELD_BYTES, FIELD_AT, e);
	if (r < 0 || !str_starts(field, MAGIC))
		return r;
	*problem = "damaged";
	if (!parse(field + strlen(MAGIC), &x, want) || x.size_bytes > iso->size_bytes)
		return 0;
	r = digest(iso, &x, got, e);
	if (r == 0 && memcmp(got, want, sizeof(got)) == 0)
		*problem = NULL;
	return r;
}
