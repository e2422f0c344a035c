/* SPDX-License-Identifier: Apache-2.0 */
#include "image/rootfs.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "fmt/ext4.h"
#include "image/files.h"
#include "sys/verity.h"

#define COMPARE_BYTES         (128 * KIB)
#define DESCRIPTION           "rootfs.json"
#define DESCRIPTION_MAX_BYTES (64 * KIB)
#define FEC_ROOTS             2 /* 16 MiB of parity a 2 GiB image */

/* A digest of its own for each purpose. */
static void derive(const char *purpose, const void *from, size_t len, uint8_t out[SHA256_BYTES])
{
	autoptr(sha256) h = sha256_new();

	sha256_add_str(h, purpose);
	sha256_add(h, from, len);
	sha256_end(h, out);
}

/* A UUID of version 8, "custom", variant RFC 9562. */
static void make_uuid(const uint8_t digest[SHA256_BYTES], uint8_t out[16])
{
	memcpy(out, digest, 16);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x80);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static int save_files(const struct files *f, const char *folder, struct err *e)
{
	autofree char *path = xasprintf("%s/" ROOTFS_FILES, folder);
	size_t len;
	autofree char *text = files_format(f, &len);

	return file_replace(path, text, len, 0644, e);
}

static int load_layout(const struct rootfs_spec *spec, const struct ext4_params *params,
	struct ext4_layout **out, struct err *e)
{
	autoptr(tree) t = NULL;
	int r;

	if (spec->previous)
		return ext4_layout_load(image_rootfs(spec->previous), out, e);
	r = tree_scan(spec->layout_tree, &t, e);
	return r < 0 ? r : ext4_layout_plan(t, params, out, e);
}

static int write_ext4(const struct rootfs_spec *spec, struct tree *t,
	const uint8_t digest[SHA256_BYTES], const char *path, struct ext4_result *out,
	struct progress *p, struct err *e)
{
	struct ext4_params params = {.size_bytes = spec->size_bytes, .time = spec->source_date};
	autofree char *label = xstrndup(spec->image_name, EXT4_LABEL_MAX_BYTES);
	autoptr(ext4_layout) layout = NULL;
	uint8_t sum[SHA256_BYTES];

	derive("bedplate ext4 uuid", digest, SHA256_BYTES, sum);
	make_uuid(sum, params.uuid);
	derive("bedplate ext4 hash seed", digest, SHA256_BYTES, sum);
	make_uuid(sum, params.hash_seed);
	params.label = label;
	int r = load_layout(spec, &params, &layout, e);
	if (r < 0)
		return r;
	params.previous = layout;
	params.discard = spec->discard || (spec->is_update && ext4_layout_discard(layout));

	autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	return ext4_write(t, &params, fd, out, p, e);
}

/* Which blocks of data are not those of the image before. */
static int find_changed(struct source *before, const char *path, uint64_t data_bytes,
	uint8_t *changed, struct err *e)
{
	autofree uint8_t *buf = xcalloc(2, COMPARE_BYTES);
	autoptr(source) now = NULL;
	int r = source_open_path(path, &now, e);

	for (uint64_t off = 0; r == 0 && off < data_bytes; off += COMPARE_BYTES) {
		size_t n = (size_t)MIN(COMPARE_BYTES, data_bytes - off);

		r = source_read_at(before, buf, n, off, e);
		if (r == 0)
			r = source_read_at(now, buf + COMPARE_BYTES, n, off, e);
		if (r < 0 || memcmp(buf, buf + COMPARE_BYTES, n) == 0)
			continue;
		for (size_t at = 0; at < n; at += EXT4_BLOCK_BYTES) {
			uint64_t block = (off + at) / EXT4_BLOCK_BYTES;

			if (memcmp(buf + at, buf + COMPARE_BYTES + at, EXT4_BLOCK_BYTES) != 0)
				changed[block / 8] |= (uint8_t)(1 << block % 8);
		}
	}
	return r;
}

/*
 * The salt depends on the image's name only: equal blocks of two versions then have equal hashes,
 * so that the hash tree shares its blocks too.
 */
static int append_verity(const struct rootfs_spec *spec, const uint8_t digest[SHA256_BYTES],
	const char *path, uint64_t data_bytes, struct manifest_verity *out, struct err *e)
{
	struct verity_params params = {.data_bytes = data_bytes, .fec_roots = FEC_ROOTS};
	struct verity_before before = {0};
	autofree uint8_t *changed = NULL;
	struct verity_result result = {0};
	char salt[SHA256_HEX_BYTES];
	uint8_t sum[SHA256_BYTES];

	derive("bedplate verity salt", spec->image_name, strlen(spec->image_name), params.salt);
	derive("bedplate verity uuid", digest, SHA256_BYTES, sum);
	make_uuid(sum, params.uuid);
	int r = 0;
	if (spec->is_update && image_rootfs(spec->previous)->size_bytes > data_bytes) {
		changed = xcalloc(1, (size_t)(data_bytes / EXT4_BLOCK_BYTES / 8 + 1));
		r = find_changed(image_rootfs(spec->previous), path, data_bytes, changed, e);
		before = (struct verity_before){image_rootfs(spec->previous), changed};
		params.before = &before;
	}
	if (r == 0)
		r = verity_append(path, &params, &result, e);
	if (r == 0 && changed && spec->changed) {
		free(spec->changed->bits);
		*spec->changed = (struct rootfs_changed){
			take_ptr(changed), data_bytes / EXT4_BLOCK_BYTES};
	}
	if (r < 0)
		return err_wrap(e, r, "dm-verity");

	hex_format(params.salt, sizeof(params.salt), salt);
	*out = (struct manifest_verity){.present = true,
		.data_bytes = data_bytes,
		.hash_offset = result.hash_offset,
		.salt = xstrdup(salt),
		.fec_offset = result.fec_offset,
		.fec_roots = FEC_ROOTS};
	memcpy(out->root_hash, result.root_hash, SHA256_BYTES);
	return 0;
}

static int save_description(const struct manifest_file *f, const struct manifest_verity *v,
	const char *folder, struct err *e)
{
	autofree char *path = xasprintf("%s/" DESCRIPTION, folder);
	char sum[SHA256_HEX_BYTES], root[SHA256_HEX_BYTES];

	hex_format(f->sha256, SHA256_BYTES, sum);
	hex_format(v->root_hash, SHA256_BYTES, root);
	json_t *o = json_pack("{s:I, s:s, s:s, s:I, s:I, s:s, s:I, s:i}", "size",
		(json_int_t)f->size_bytes, "sha256", sum, "root_hash", root, "data_bytes",
		(json_int_t)v->data_bytes, "hash_offset", (json_int_t)v->hash_offset, "salt",
		v->salt, "fec_offset", (json_int_t)v->fec_offset, "fec_roots", (int)v->fec_roots);
	autofree char *text = json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(o);
	return file_replace(path, text, strlen(text), 0644, e);
}

static int describe(const char *path, struct manifest_file *out, struct err *e)
{
	autoptr(source) s = NULL;
	int r = source_open_path(path, &s, e);

	if (r < 0)
		return r;
	out->size_bytes = s->size_bytes;
	return sha256_source(s, out->sha256, e);
}

int rootfs_make(const struct rootfs_spec *spec, uint64_t *kept, uint64_t *fresh, struct progress *p,
	struct err *e)
{
	autofree char *path = xasprintf("%s/" ROOTFS_IMAGE, spec->folder);
	autoptr(tree) own = NULL;
	autoptr(files) files = NULL;
	autofree char *salt = NULL;
	struct ext4_result written = {0};
	struct manifest_verity verity = {0};
	struct manifest_file image = {0};
	uint8_t digest[SHA256_BYTES];
	int r = spec->scanned ? 0 : tree_scan(spec->tree, &own, e);
	struct tree *t = spec->scanned ? spec->scanned : own;

	if (r < 0)
		return r;
	tree_clamp_times(t, spec->source_date);
	r = files_compute_known(t, spec->known, spec->is_known, spec->ctx, &files, p, e);
	if (r == 0)
		r = save_files(files, spec->folder, e);
	if (r < 0)
		return r;
	files_digest(files, digest);

	r = write_ext4(spec, t, digest, path, &written, p, e);
	if (r < 0)
		return r;
	progress_begin(p, "verity", 0, "bytes");
	r = append_verity(spec, digest, path, written.size_bytes, &verity, e);
	salt = verity.salt;
	if (r == 0)
		r = describe(path, &image, e);
	if (r == 0)
		r = save_description(&image, &verity, spec->folder, e);
	if (r < 0)
		return r;
	progress_end(p);
	*kept = written.kept_blocks;
	*fresh = written.new_blocks;
	return 0;
}

/* The cache is ours, but a damaged file in it must not become a wrong manifest. */
int rootfs_describe(const char *folder, struct manifest *m, struct err *e)
{
	autofree char *path = xasprintf("%s/" DESCRIPTION, folder);
	autofree char *text = NULL;
	const char *sum = NULL, *root = NULL, *salt = NULL;
	json_int_t size = 0, data = 0, hash = 0, fec = 0;
	int fec_roots = 0;
	int r = file_read(path, DESCRIPTION_MAX_BYTES, &text, NULL, e);

	if (r < 0)
		return r;
	json_t *o = json_loads(text, 0, NULL);
	if (!o ||
		json_unpack(o, "{s:I, s:s, s:s, s:I, s:I, s:s, s:I, s:i}", "size", &size, "sha256",
			&sum, "root_hash", &root, "data_bytes", &data, "hash_offset", &hash, "salt",
			&salt, "fec_offset", &fec, "fec_roots", &fec_roots) != 0) {
		json_decref(o);
		return err_set(e, EBADMSG, "'%s' is damaged, remove it and build again", path);
	}

	m->rootfs.file = xstrdup(SQUASHFS_ROOTFS_PATH);
	m->rootfs.size_bytes = (uint64_t)size;
	m->verity = (struct manifest_verity){.present = true,
		.data_bytes = (uint64_t)data,
		.hash_offset = (uint64_t)hash,
		.salt = xstrdup(salt),
		.fec_offset = (uint64_t)fec,
		.fec_roots = (uint32_t)fec_roots};
	r = hex_parse(sum, m->rootfs.sha256, SHA256_BYTES, e);
	if (r == 0)
		r = hex_parse(root, m->verity.root_hash, SHA256_BYTES, e);
	json_decref(o);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}
