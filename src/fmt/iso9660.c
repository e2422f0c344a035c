/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/iso9660.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/endian.h"
#include "base/str.h"
#include "base/xalloc.h"

#define SECTOR          2048ULL
#define FIRST_SECTOR    16 /* ECMA-119, 6.2.1: the system area has 16 */
#define DESCRIPTORS_MAX 32
#define FOLDER_MAX      (4 * MIB)
#define EXTENTS_MAX     1024
#define NAME_BYTES_MAX  255
#define AREAS_MAX       8 /* continuation areas of one record */
#define TYPE_PRIMARY    1
#define TYPE_END        255
/* ECMA-119, 9.1.6 */
#define FLAG_FOLDER 0x02
#define FLAG_MORE   0x80

typedef struct {
	le32 le;
	be32 be;
} both32; /* ECMA-119, 7.3.3 */

/* ECMA-119, 9.1: what every record begins with. */
struct record_head {
	uint8_t len;
	uint8_t attributes_len; /* in blocks, before the data */
	both32 block;
	both32 size_bytes;
	uint8_t time[7];
	uint8_t flags;
	uint8_t unit_size, gap_size; /* of interleaved files */
	uint8_t volume[4];
	uint8_t name_len;
};
static_assert(sizeof(struct record_head) == 33, "directory record");

/* ECMA-119, 8.4 */
struct primary {
	uint8_t type;
	uint8_t id[5]; /* "CD001" */
	uint8_t version;
	uint8_t unused[33];
	uint8_t label[32]; /* offset 40, filled up with blanks */
	uint8_t unused1[8];
	both32 blocks; /* offset 80 */
	uint8_t unused4[40];
	le16 block_bytes_le; /* offset 128 */
	uint8_t unused2[26];
	uint8_t root[34]; /* offset 156 */
	uint8_t unused3[623];
	uint8_t made[17], changed[17]; /* offsets 813, 830; 8.4.26.1: YYYYMMDDHHMMSScc, zone */
};
static_assert(sizeof(struct primary) == 847, "primary volume descriptor");

struct extent {
	uint64_t off, len;
};

struct record {
	struct extent data;
	uint8_t flags;
	bool interleaved;
	const uint8_t *name, *system_use;
	size_t name_len, system_use_len;
};

struct volume {
	struct source *iso;
	uint64_t block_bytes;
	struct record root;
	bool has_susp;
	size_t skip; /* SUSP 5.3: bytes before the first entry of each record */
};

struct extents_source {
	struct source s;
	struct source *iso;
	struct extent *items;
	size_t count;
};

static int damaged(const char *what, struct err *e)
{
	return err_set(e, EBADMSG, "the ISO 9660 file system is damaged: %s", what);
}

static int parse_record(
	const struct volume *v, const uint8_t *p, size_t room, struct record *out, struct err *e)
{
	const struct record_head *h = (const struct record_head *)p;

	if (room < sizeof(*h) || h->len > room || h->len < sizeof(*h) + h->name_len ||
		h->name_len == 0)
		return damaged("a directory record is cut off", e);
	size_t name_end = sizeof(*h) + h->name_len;
	/* ECMA-119, 9.1.12: a padding byte after a name of even length. */
	size_t at = MIN(name_end + (h->name_len % 2 == 0), h->len);
	*out = (struct record){
		.data = {((uint64_t)le32_get(h->block.le) + h->attributes_len) * v->block_bytes,
			le32_get(h->size_bytes.le)},
		.flags = h->flags,
		.interleaved = h->unit_size || h->gap_size,
		.name = p + sizeof(*h),
		.name_len = h->name_len,
		.system_use = p + at,
		.system_use_len = h->len - at,
	};
	if (out->data.len > 0 &&
		(out->data.off > v->iso->size_bytes ||
			out->data.len > v->iso->size_bytes - out->data.off))
		return damaged("a file lies behind its end, it was cut off", e);
	return 0;
}

static int find_primary(struct source *iso, struct primary *out, struct err *e)
{
	for (uint64_t i = 0; i < DESCRIPTORS_MAX; i++) {
		uint64_t off = (FIRST_SECTOR + i) * SECTOR;

		if (off + SECTOR > iso->size_bytes)
			break;
		int r = source_read_at(iso, out, sizeof(*out), off, e);
		if (r < 0)
			return r;
		if (memcmp(out->id, "CD001", sizeof(out->id)) != 0 || out->type == TYPE_END)
			break;
		if (out->type == TYPE_PRIMARY)
			return 0;
	}
	return err_set(e, EINVAL, "there is no ISO 9660 file system");
}

bool iso9660_is(struct source *iso)
{
	struct primary p;

	return find_primary(iso, &p, NULL) == 0;
}

/* The digits of a time in groups; false: none is set. */
static bool format_time(const uint8_t time[17], char out[ISO9660_UUID_BYTES])
{
	bool any = false;

	for (size_t i = 0; i < 16; i++) {
		if (time[i] < '0' || time[i] > '9')
			return false;
		any = any || time[i] != '0';
	}
	if (any)
		snprintf(out, ISO9660_UUID_BYTES, "%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%.2s",
			(const char *)time, (const char *)time + 4, (const char *)time + 6,
			(const char *)time + 8, (const char *)time + 10, (const char *)time + 12,
			(const char *)time + 14);
	return any;
}

int iso9660_identify(struct source *iso, struct iso9660_id *out, struct err *e)
{
	struct primary p;
	int r = find_primary(iso, &p, e);

	if (r < 0)
		return r;
	*out = (struct iso9660_id){
		.size_bytes = (uint64_t)le32_get(p.blocks.le) * le16_get(p.block_bytes_le)};
	memcpy(out->label, p.label, sizeof(p.label));
	for (size_t n = strlen(out->label); n > 0 && out->label[n - 1] == ' ';)
		out->label[--n] = '\0';
	if (!format_time(p.changed, out->uuid) && !format_time(p.made, out->uuid))
		out->uuid[0] = '\0';
	return 0;
}

static int read_folder(const struct volume *v, const struct record *r, uint8_t **out, struct err *e)
{
	if (r->data.len > FOLDER_MAX || r->data.len == 0 || (r->flags & FLAG_MORE) ||
		r->interleaved)
		return damaged("a folder of an impossible size", e);
	autofree uint8_t *buf = xcalloc(1, (size_t)r->data.len);
	int rc = source_read_at(v->iso, buf, (size_t)r->data.len, r->data.off, e);
	if (rc == 0)
		*out = take_ptr(buf);
	return rc;
}

/* The record at or after *at, *at behind it.  0: there is none left. */
static int next_record(const struct volume *v, const uint8_t *buf, size_t len, size_t *at,
	struct record *out, struct err *e)
{
	while (*at < len) {
		/* ECMA-119, 6.8.1.1: no record spans sectors; the rest of one is zero. */
		size_t room = (size_t)MIN(SECTOR - *at % SECTOR, len - *at);

		if (buf[*at] == 0) {
			*at += room;
			continue;
		}
		int r = parse_record(v, buf + *at, room, out, e);
		if (r < 0)
			return r;
		*at += buf[*at];
		return 1;
	}
	return 0;
}

/* SUSP 5.3: "SP" in the first record of the root says that there are entries at all. */
static int look_for_susp(struct volume *v, struct err *e)
{
	autofree uint8_t *buf = NULL;
	struct record dot;
	size_t at = 0;
	int r = read_folder(v, &v->root, &buf, e);

	if (r == 0)
		r = next_record(v, buf, (size_t)v->root.data.len, &at, &dot, e);
	if (r <= 0)
		return r;
	const uint8_t *p = dot.system_use;
	v->has_susp = dot.system_use_len >= 7 && memcmp(p, "SP\7\1\xbe\xef", 6) == 0;
	v->skip = v->has_susp ? p[6] : 0;
	return 0;
}

static int open_volume(struct source *iso, struct volume *out, struct err *e)
{
	struct primary p;
	int r = find_primary(iso, &p, e);

	if (r < 0)
		return r;
	uint64_t block = le16_get(p.block_bytes_le);
	if (block < 512 || block > SECTOR || (block & (block - 1)))
		return damaged("blocks of an impossible size", e);
	*out = (struct volume){.iso = iso, .block_bytes = block};
	r = parse_record(out, p.root, sizeof(p.root), &out->root, e);
	if (r < 0)
		return r;
	/* It points into p. */
	out->root.name = out->root.system_use = NULL;
	out->root.name_len = out->root.system_use_len = 0;
	return look_for_susp(out, e);
}

/* SUSP 5.1: block, offset and length of more entries. */
static bool read_area(const struct volume *v, const uint8_t *ce, uint8_t area[SECTOR], size_t *len)
{
	const both32 *f = (const both32 *)(ce + 4);
	uint64_t off = (uint64_t)le32_get(f[0].le) * v->block_bytes + le32_get(f[1].le);

	*len = le32_get(f[2].le);
	return *len <= SECTOR && source_read_at(v->iso, area, *len, off, NULL) == 0;
}

/* The "NM" entries of one area into name; *more is its "CE" entry or NULL. */
static void collect_name(const uint8_t *p, size_t len, struct strbuf *name, const uint8_t **more)
{
	*more = NULL;
	while (len >= 4 && p[2] >= 4 && p[2] <= len) {
		if (memcmp(p, "ST", 2) == 0)
			return;
		if (memcmp(p, "CE", 2) == 0 && p[2] >= 28)
			*more = p;
		/* P1282, 4.1.4: signature, length, version, flags, the name. */
		if (memcmp(p, "NM", 2) == 0 && p[2] > 5 && name->len + p[2] <= NAME_BYTES_MAX + 5)
			strbuf_add(name, p + 5, p[2] - 5U);
		len -= p[2];
		p += p[2];
	}
}

static void rock_ridge_name(const struct volume *v, const struct record *r, struct strbuf *name)
{
	uint8_t area[2][SECTOR];
	const uint8_t *more = NULL;
	size_t len;

	if (!v->has_susp || r->system_use_len < v->skip)
		return;
	collect_name(r->system_use + v->skip, r->system_use_len - v->skip, name, &more);
	for (unsigned n = 0; more && n < AREAS_MAX; n++) {
		if (!read_area(v, more, area[n % 2], &len))
			return;
		collect_name(area[n % 2], len, name, &more);
	}
}

/* ECMA-119, 7.5.1: NAME.EXTENSION;VERSION, where the dot may stand for an empty extension. */
static bool is_plain_name(const struct record *r, const char *want, size_t want_len)
{
	const uint8_t *semicolon = memchr(r->name, ';', r->name_len);
	size_t len = semicolon ? (size_t)(semicolon - r->name) : r->name_len;

	if (len == want_len + 1 && r->name[len - 1] == '.')
		len--;
	return len == want_len && strncasecmp((const char *)r->name, want, len) == 0;
}

static bool is_named(const struct volume *v, const struct record *r, const char *want, size_t len)
{
	autostrbuf name = {0};

	/* ECMA-119, 7.6.2: the folder itself and its parent. */
	if (r->name_len == 1 && r->name[0] <= 1)
		return false;
	rock_ridge_name(v, r, &name);
	if (name.len > 0)
		return name.len == len && memcmp(name.data, want, len) == 0;
	return is_plain_name(r, want, len);
}

/* ECMA-119, 6.5.1: all but the last extent of a file have FLAG_MORE; their records follow each other. */
static int find_extents(const struct volume *v, const struct record *folder, const char *name,
	size_t name_len, struct extents_source *out, struct err *e)
{
	autofree uint8_t *buf = NULL;
	size_t at = 0, len = (size_t)folder->data.len;
	struct record rec = {0};
	int r = read_folder(v, folder, &buf, e);

	if (r < 0)
		return r;
	while ((r = next_record(v, buf, len, &at, &rec, e)) > 0)
		if (is_named(v, &rec, name, name_len))
			break;
	if (r <= 0)
		return r < 0 ? r : err_set(e, ENOENT, "there is no '%.*s'", (int)name_len, name);
	if (rec.flags & FLAG_FOLDER)
		return err_set(e, EISDIR, "'%.*s' is a folder", (int)name_len, name);
	for (; r > 0; r = next_record(v, buf, len, &at, &rec, e)) {
		if (rec.interleaved || out->count == EXTENTS_MAX)
			return damaged("a file with impossible extents", e);
		out->items[out->count++] = rec.data;
		out->s.size_bytes += rec.data.len;
		if (!(rec.flags & FLAG_MORE))
			return 0;
	}
	return r < 0 ? r : damaged("a file lacks its last extent", e);
}

static int find_folder(const struct volume *v, const char *name, size_t name_len,
	struct record *folder, struct err *e)
{
	autofree uint8_t *buf = NULL;
	size_t at = 0, len = (size_t)folder->data.len;
	struct record rec = {0};
	int r = read_folder(v, folder, &buf, e);

	if (r < 0)
		return r;
	while ((r = next_record(v, buf, len, &at, &rec, e)) > 0) {
		if (!(rec.flags & FLAG_FOLDER) || !is_named(v, &rec, name, name_len))
			continue;
		*folder = rec;
		/* They point into buf. */
		folder->name = folder->system_use = NULL;
		return 0;
	}
	return r < 0 ? r : err_set(e, ENOENT, "there is no folder '%.*s'", (int)name_len, name);
}

static int extents_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	const struct extents_source *x = (struct extents_source *)s;
	uint8_t *to = buf;

	for (size_t i = 0; len > 0 && i < x->count; i++) {
		const struct extent *ext = &x->items[i];

		if (off >= ext->len) {
			off -= ext->len;
			continue;
		}
		size_t n = (size_t)MIN(len, ext->len - off);
		int r = source_read_at(x->iso, to, n, ext->off + off, e);
		if (r < 0)
			return r;
		to += n;
		len -= n;
		off = 0;
	}
	return 0;
}

static void extents_free(struct source *s)
{
	free(((struct extents_source *)s)->items);
	free(s);
}

static const struct source_ops extents_ops = {.read_at = extents_read_at, .free = extents_free};

int iso9660_open(struct source *iso, const char *path, struct source **out, struct err *e)
{
	struct extents_source *x = xcalloc(1, sizeof(*x));
	autoptr(source) owner = &x->s;
	struct volume v = {0};

	x->s.ops = &extents_ops;
	x->iso = iso;
	x->items = xcalloc(EXTENTS_MAX, sizeof(*x->items));
	int r = open_volume(iso, &v, e);
	struct record at = v.root;
	for (const char *slash; r == 0 && (slash = strchr(path, '/')); path = slash + 1)
		if (slash > path)
			r = find_folder(&v, path, (size_t)(slash - path), &at, e);
	if (r == 0)
		r = find_extents(&v, &at, path, strlen(path), x, e);
	if (r < 0)
		return r;
	*out = take_ptr(owner);
	return 0;
}
