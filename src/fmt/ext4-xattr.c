/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-xattr.h"

#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/ext4-disk.h"

#define ALIGN         4
#define MAX_COUNT     256 /* a block has no room for more */
#define END_BYTES     4   /* of zeros behind the last entry */
#define MAGIC_BYTES   4
#define ACL_ENTRY_MAX 512

/* Forms of an ACL: linux/posix_acl_xattr.h and fs/ext4/acl.h */
#define ACL_VERSION_KERNEL 2
#define ACL_VERSION_DISK   1
#define ACL_TAG_USER       0x02
#define ACL_TAG_GROUP      0x08
#define ACL_NO_ID          0xffffffffU

struct acl_kernel_entry {
	le16 tag, perm;
	le32 id;
};
static_assert(sizeof(struct acl_kernel_entry) == 8, "ACL entry");

struct acl_disk_entry { /* the id is there for named users and groups only */
	le16 tag, perm;
	le32 id;
};
#define ACL_SHORT_BYTES offsetof(struct acl_disk_entry, id)

#define INDEX_ACL_ACCESS  2
#define INDEX_ACL_DEFAULT 3

/* Whole names come before the prefixes that they start with. */
static const struct prefix {
	uint8_t index;
	bool whole;
	const char *text;
} prefixes[] = {
	{INDEX_ACL_ACCESS, true, "system.posix_acl_access"},
	{INDEX_ACL_DEFAULT, true, "system.posix_acl_default"},
	{8, true, "system.richacl"},
	{1, false, "user."},
	{4, false, "trusted."},
	{6, false, "security."},
	{7, false, "system."},
};

/* One attribute on its way to disk. */
struct item {
	const char *name; /* without its prefix */
	uint8_t name_index, name_len;
	void *value; /* the tree's, or owned when it was converted */
	size_t len;
	bool owned;
};

struct items {
	struct item list[MAX_COUNT];
	size_t count;
};

static void items_fini(struct items *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].owned)
			free(l->list[i].value);
	free(l);
}

static void items_auto(struct items **p)
{
	if (*p)
		items_fini(*p);
}

static size_t padded(size_t len)
{
	return (len + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t entry_bytes(const struct item *it)
{
	return sizeof(struct disk_xattr_entry) + padded(it->name_len);
}

static bool is_acl(uint8_t index)
{
	return index == INDEX_ACL_ACCESS || index == INDEX_ACL_DEFAULT;
}

static bool has_id(uint16_t tag)
{
	return tag == ACL_TAG_USER || tag == ACL_TAG_GROUP;
}

static int acl_to_disk(const struct xattr *x, struct item *it, struct err *e)
{
	const uint8_t *in = x->value;
	autostrbuf b = {0};
	le32 version;

	if (x->len < sizeof(version) ||
		(x->len - sizeof(version)) % sizeof(struct acl_kernel_entry) != 0)
		return err_set(e, EINVAL, "attribute '%s': not an ACL", x->name);
	memcpy(&version, in, sizeof(version));
	if (le32_get(version) != ACL_VERSION_KERNEL)
		return err_set(e, EINVAL, "attribute '%s': unknown version of an ACL", x->name);

	version = le32_put(ACL_VERSION_DISK);
	strbuf_add(&b, &version, sizeof(version));
	for (size_t off = sizeof(version); off < x->len; off += sizeof(struct acl_kernel_entry)) {
		struct acl_kernel_entry k;

		memcpy(&k, in + off, sizeof(k));
		struct acl_disk_entry d = {k.tag, k.perm, k.id};
		strbuf_add(&b, &d, has_id(le16_get(k.tag)) ? sizeof(d) : ACL_SHORT_BYTES);
	}
	it->len = b.len;
	it->value = strbuf_take(&b);
	it->owned = true;
	return 0;
}

static int acl_from_disk(const uint8_t *in, size_t len, struct xattr *x, struct err *e)
{
	autostrbuf b = {0};
	le32 version = {{0}};
	size_t off = sizeof(version);

	if (len >= sizeof(version))
		memcpy(&version, in, sizeof(version));
	if (le32_get(version) != ACL_VERSION_DISK ||
		len > ACL_ENTRY_MAX * sizeof(struct acl_disk_entry))
		return err_set(e, EUCLEAN, "unknown form of an ACL");

	version = le32_put(ACL_VERSION_KERNEL);
	strbuf_add(&b, &version, sizeof(version));
	while (off < len) {
		struct acl_disk_entry d = {.id = le32_put(ACL_NO_ID)};

		if (len - off < ACL_SHORT_BYTES)
			return err_set(e, EUCLEAN, "an ACL is cut");
		memcpy(&d, in + off, ACL_SHORT_BYTES);
		size_t n = has_id(le16_get(d.tag)) ? sizeof(d) : ACL_SHORT_BYTES;
		if (len - off < n)
			return err_set(e, EUCLEAN, "an ACL is cut");
		memcpy(&d, in + off, n);
		off += n;

		struct acl_kernel_entry k = {d.tag, d.perm, d.id};
		strbuf_add(&b, &k, sizeof(k));
	}
	x->len = b.len;
	x->value = strbuf_take(&b);
	return 0;
}

static int add_item(const struct xattr *x, struct items *l, struct err *e)
{
	struct item it = {.value = x->value, .len = x->len};
	const struct prefix *p = prefixes;
	const struct prefix *end = prefixes + ARRAY_LEN(prefixes);
	int r = 0;

	while (p < end && !(p->whole ? str_eq(x->name, p->text) : str_starts(x->name, p->text)))
		p++;
	if (p == end)
		return err_set(e, EINVAL, "attribute '%s': ext4 has no such kind", x->name);
	it.name = x->name + strlen(p->text);
	if (strlen(it.name) > UINT8_MAX)
		return err_set(e, E2BIG, "attribute '%s': name too long", x->name);
	if (l->count == MAX_COUNT)
		return err_set(e, E2BIG, "more than %d attributes", MAX_COUNT);
	it.name_index = p->index;
	it.name_len = (uint8_t)strlen(it.name);
	if (is_acl(it.name_index))
		r = acl_to_disk(x, &it, e);
	if (r == 0)
		l->list[l->count++] = it;
	return r;
}

/* The order that the kernel looks for in a block. */
static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->name_index != y->name_index)
		return x->name_index < y->name_index ? -1 : 1;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return memcmp(x->name, y->name, x->name_len);
}

/* An area being filled: entries from its front, values from its end. */
struct area {
	uint8_t *data;
	size_t front, end;
	size_t base; /* what value offsets count from */
};

static bool fits(const struct area *a, const struct item *it)
{
	size_t need = entry_bytes(it) + END_BYTES;

	return it->len <= XATTR_BLOCK_BYTES && a->end - a->front >= need + padded(it->len);
}

static void put(struct area *a, const struct item *it)
{
	struct ext2_ext_attr_entry key = {.e_name_len = it->name_len};
	autofree uint8_t *hashed = xcalloc(1, sizeof(key) + padded(it->name_len));
	autofree uint8_t *value = xcalloc(1, padded(it->len) + ALIGN);
	struct disk_xattr_entry d = {
		.name_len = it->name_len,
		.name_index = it->name_index,
		.value_bytes = le32_put((uint32_t)it->len),
	};

	a->end -= padded(it->len);
	if (it->len > 0) {
		d.value_offset = le16_put((uint16_t)(a->end - a->base));
		memcpy(value, it->value, it->len);
		memcpy(a->data + a->end, value, padded(it->len));
	}
	key.e_value_size = (uint32_t)it->len;
	memcpy(hashed, &key, sizeof(key));
	memcpy(hashed + sizeof(key), it->name, it->name_len);
	d.hash = le32_put(ext2fs_ext_attr_hash_entry((void *)hashed, value));

	memcpy(a->data + a->front, &d, sizeof(d));
	memcpy(a->data + a->front + sizeof(d), it->name, it->name_len);
	a->front += entry_bytes(it);
}

int xattr_encode(const struct tree_entry *en, struct xattr_image *out, struct err *e)
{
	auto_with(items_auto) struct items *l = NULL;
	struct area inode = {out->inode, MAGIC_BYTES, XATTR_INODE_BYTES, MAGIC_BYTES};
	struct area block = {out->block, sizeof(struct disk_xattr_header), XATTR_BLOCK_BYTES, 0};
	const struct disk_xattr_header header = {
		.magic = le32_put(XATTR_MAGIC), .refcount = le32_put(1), .blocks = le32_put(1)};
	int r = 0;

	*out = (struct xattr_image){0};
	if (en->xattr_count == 0)
		return 0;

	l = xcalloc(1, sizeof(*l));
	for (size_t i = 0; r == 0 && i < en->xattr_count; i++)
		r = add_item(&en->xattrs[i], l, e);
	if (r < 0)
		return r;
	qsort(l->list, l->count, sizeof(l->list[0]), compare_items);

	for (size_t i = 0; i < l->count; i++) {
		bool here = fits(&inode, &l->list[i]);

		if (!here && !fits(&block, &l->list[i]))
			return err_set(e, E2BIG, "attributes of more than 4 KiB");
		put(here ? &inode : &block, &l->list[i]);
	}
	out->in_inode = inode.front > MAGIC_BYTES;
	out->in_block = block.front > sizeof(header);
	if (out->in_inode)
		memcpy(out->inode, &header.magic, sizeof(header.magic));
	if (out->in_block)
		memcpy(out->block, &header, sizeof(header));
	return 0;
}

static int decode_entry(const uint8_t *values, size_t values_len, const struct disk_xattr_entry *d,
	const char *name, struct tree_entry *en, struct err *e)
{
	size_t off = le16_get(d->value_offset), len = le32_get(d->value_bytes);
	const struct prefix *p = prefixes;
	const struct prefix *end = prefixes + ARRAY_LEN(prefixes);
	struct xattr x = {0};

	while (p < end && p->index != d->name_index)
		p++;
	if (p == end)
		return 0; /* the kernel does not show these either */
	if (le32_get(d->value_inode) != 0)
		return err_set(e, ENOTSUP, "an attribute that has an inode of its own");
	if (memchr(name, '\0', d->name_len) || (d->name_len == 0 && !p->whole))
		return err_set(e, EUCLEAN, "bad name of an attribute");
	if (len > 0 && (off > values_len || len > values_len - off))
		return err_set(e, EUCLEAN, "an attribute lies outside its block");
	if (len == 0)
		off = 0;

	if (is_acl(p->index)) {
		int r = acl_from_disk(values + off, len, &x, e);
		if (r < 0)
			return r;
	} else {
		x.len = len;
		x.value = xmemdup(values + off, len);
	}
	x.name = xasprintf("%s%.*s", p->text, (int)d->name_len, name);
	en->xattrs = xrealloc(en->xattrs, (en->xattr_count + 1) * sizeof(*en->xattrs));
	en->xattrs[en->xattr_count++] = x;
	return 0;
}

int xattr_decode(
	const uint8_t *data, size_t len, bool is_block, struct tree_entry *en, struct err *e)
{
	size_t first = is_block ? sizeof(struct disk_xattr_header) : MAGIC_BYTES;
	size_t base = is_block ? 0 : MAGIC_BYTES;
	le32 magic = {{0}};

	if (len >= first)
		memcpy(&magic, data, sizeof(magic));
	if (le32_get(magic) != XATTR_MAGIC)
		return is_block ? err_set(e, EUCLEAN, "not an attribute block") : 0;

	for (size_t off = first; len - off >= END_BYTES;) {
		struct disk_xattr_entry d;
		int r;

		memcpy(&magic, data + off, sizeof(magic));
		if (le32_get(magic) == 0)
			return 0;
		if (len - off < sizeof(d))
			break;
		memcpy(&d, data + off, sizeof(d));
		off += sizeof(d);
		if (len - off < padded(d.name_len) || en->xattr_count / 2 >= MAX_COUNT)
			break;
		r = decode_entry(data + base, len - base, &d, (const char *)data + off, en, e);
		if (r < 0)
			return r;
		off += padded(d.name_len);
	}
	return err_set(e, EUCLEAN, "attributes have no end");
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

void xattr_sort(struct tree_entry *en)
{
	if (en->xattr_count > 1)
		qsort(en->xattrs, en->xattr_count, sizeof(*en->xattrs), compare_xattrs);
}
