/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/verity.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "sys/verity-fec.h"
#include "sys/verity-update.h"

#define BLOCK_BYTES      4096
#define UUID_TEXT_BYTES  37
#define DIGEST_BYTES     32
#define DIGESTS_IN_BLOCK (BLOCK_BYTES / DIGEST_BYTES)

DEFINE_AUTOPTR(crypt_device, crypt_free)

/* The library's last message says more than its error code. */
struct lib_log {
	char text[512];
};

static void keep_message(int level, const char *message, void *ctx)
{
	struct lib_log *log = ctx;

	if (level == CRYPT_LOG_ERROR)
		snprintf(
			log->text, sizeof(log->text), "%.*s", (int)strcspn(message, "\n"), message);
}

static int lib_error(const struct lib_log *log, int r, const char *what, struct err *e)
{
	return err_set(e, -r, "%s: %s", what, log->text[0] ? log->text : strerror(-r));
}

static void format_uuid(const uint8_t uuid[16], char out[UUID_TEXT_BYTES])
{
	char hex[33];

	hex_format(uuid, 16, hex);
	snprintf(out, UUID_TEXT_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		hex + 16, hex + 20);
}

/* Blocks of the tree over so many data blocks. */
static uint64_t tree_blocks(uint64_t blocks)
{
	uint64_t sum = 0;

	while (blocks > 1) {
		blocks = (blocks + DIGESTS_IN_BLOCK - 1) / DIGESTS_IN_BLOCK;
		sum += blocks;
	}
	return sum;
}

static int check_params(const char *path, const struct verity_params *p, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "not a regular file");
	if (p->data_bytes == 0 || p->data_bytes % BLOCK_BYTES != 0 ||
		(uint64_t)st.st_size != p->data_bytes)
		return err_set(e, EINVAL,
			"%" PRIu64 " bytes of data, the file has %jd: not the same whole blocks",
			p->data_bytes, (intmax_t)st.st_size);
	if (p->fec_roots != 0 && (p->fec_roots < FEC_ROOTS_MIN || p->fec_roots > FEC_ROOTS_MAX))
		return err_set(e, EINVAL, "%u roots of error correction: not %d to %d",
			p->fec_roots, FEC_ROOTS_MIN, FEC_ROOTS_MAX);
	return 0;
}

static int format(struct crypt_device *cd, const struct verity_params *p,
	struct crypt_params_verity *v, struct lib_log *log, struct err *e)
{
	char uuid[UUID_TEXT_BYTES];
	int r;

	crypt_set_log_callback(cd, keep_message, log);
	format_uuid(p->uuid, uuid);
	r = crypt_format(cd, CRYPT_VERITY, NULL, NULL, uuid, NULL, 0, v);
	return r < 0 ? lib_error(log, r, "making the hash tree", e) : 0;
}

/* The tree through libcryptsetup. */
static int append_tree(const char *path, const struct verity_params *p,
	uint8_t root_hash[DIGEST_BYTES], struct err *e)
{
	struct crypt_params_verity v = {
		.hash_name = "sha256",
		.data_device = path,
		.salt = (const char *)p->salt,
		.salt_size = sizeof(p->salt),
		.hash_type = 1,
		.data_block_size = BLOCK_BYTES,
		.hash_block_size = BLOCK_BYTES,
		.data_size = p->data_bytes / BLOCK_BYTES,
		.hash_area_offset = p->data_bytes,
		.flags = CRYPT_VERITY_CREATE_HASH,
	};
	autoptr(crypt_device) cd = NULL;
	struct lib_log log = {0};
	size_t len = DIGEST_BYTES;
	int r;

	r = crypt_init(&cd, path);
	if (r < 0)
		return lib_error(&log, r, "opening it", e);
	r = format(cd, p, &v, &log, e);
	if (r < 0)
		return r;
	r = crypt_volume_key_get(cd, CRYPT_ANY_SLOT, (char *)root_hash, &len, NULL, 0);
	if (r < 0 || len != DIGEST_BYTES)
		return lib_error(&log, r < 0 ? r : -EPROTO, "asking for the root hash", e);
	return 0;
}

static int append_fec(
	const char *path, const struct verity_params *p, struct verity_result *out, struct err *e)
{
	struct fec_areas areas = {
		.data_bytes = p->data_bytes,
		.tree_offset = p->data_bytes + BLOCK_BYTES,
		.tree_bytes = out->total_bytes - p->data_bytes - BLOCK_BYTES,
		.fec_offset = out->total_bytes,
		.roots = p->fec_roots,
	};
	autofd int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t bytes;
	int r;

	if (fd < 0)
		return err_errno(e, "opening it");
	r = fec_append(fd, &areas, &bytes, e);
	if (r < 0)
		return r;
	out->fec_offset = areas.fec_offset;
	out->total_bytes += bytes;
	return 0;
}

int verity_append(
	const char *path, const struct verity_params *p, struct verity_result *out, struct err *e)
{
	uint64_t tree = tree_blocks(p->data_bytes / BLOCK_BYTES) * BLOCK_BYTES;
	struct verity_result done = {.hash_offset = p->data_bytes};
	int r = check_params(path, p, e);

	if (r == 0 && p->before) {
		r = verity_update(path, p, out, e);
		if (r != -ENOTSUP)
			return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
		log_debug("the whole hash tree is made: %s", e ? e->msg : "");
		if (e)
			*e = (struct err){0};
		r = 0;
	}
	if (r == 0)
		r = append_tree(path, p, done.root_hash, e);
	/* A superblock alone is shorter than the block it has. */
	done.total_bytes = p->data_bytes + BLOCK_BYTES + tree;
	if (r == 0 && truncate(path, (off_t)done.total_bytes) < 0)
		r = err_errno(e, "making it whole blocks");
	if (r == 0 && p->fec_roots != 0)
		r = append_fec(path, p, &done, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	*out = done;
	return 0;
}

/* The hash tree's superblock, and where the rest is. */
static int load(
	struct crypt_device *cd, const struct verity_device *d, struct lib_log *log, struct err *e)
{
	struct crypt_params_verity v = {
		.data_device = d->path,
		.hash_area_offset = d->hash_offset,
		.fec_device = d->fec_offset ? d->path : NULL,
		.fec_area_offset = d->fec_offset,
		.fec_roots = d->fec_roots,
	};
	int r;

	crypt_set_log_callback(cd, keep_message, log);
	r = crypt_load(cd, CRYPT_VERITY, &v);
	return r < 0 ? lib_error(log, r, "looking for its hash tree", e) : 0;
}

static int activate(const struct verity_device *d, const uint8_t root_hash[DIGEST_BYTES],
	const char *name, struct err *e)
{
	uint32_t flags = CRYPT_ACTIVATE_READONLY |
		(d->once ? CRYPT_ACTIVATE_CHECK_AT_MOST_ONCE : 0);
	autoptr(crypt_device) cd = NULL;
	struct lib_log log = {0};
	int r = crypt_init(&cd, d->path);

	if (r < 0)
		return err_set(e, -r, "'%s': %s", d->path, strerror(-r));
	r = load(cd, d, &log, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", d->path);
	r = crypt_activate_by_volume_key(cd, name, (const char *)root_hash, DIGEST_BYTES, flags);
	/* The kernel has read a block already, and it did not verify. */
	if (r == -EPERM)
		return err_set(e, EKEYREJECTED, "'%s': the root hash does not fit", d->path);
	if (r < 0)
		return err_wrap(e, lib_error(&log, r, "dm-verity", e), "'%s'", d->path);
	return 0;
}

int verity_open(const struct verity_device *d, const uint8_t root_hash[DIGEST_BYTES],
	const char *name, struct err *e)
{
	struct verity_device without_fec = *d;
	int r = activate(d, root_hash, name, e);

	if (r == 0 || r == -EKEYREJECTED || r == -EEXIST || d->fec_offset == 0)
		return r;
	/* Not every kernel has it, and what it does is to repair, not to verify. */
	without_fec.fec_offset = 0;
	without_fec.fec_roots = 0;
	if (activate(&without_fec, root_hash, name, NULL) < 0)
		return r;
	log_warning("'%s' is opened without error correction: %s", d->path, e ? e->msg : "");
	return 0;
}

int verity_close(const char *name, struct err *e)
{
	autoptr(crypt_device) cd = NULL;
	struct lib_log log = {0};
	int r = crypt_init_by_name(&cd, name);

	if (r == 0) {
		crypt_set_log_callback(cd, keep_message, &log);
		r = crypt_deactivate(cd, name);
	}
	return r < 0 ? err_wrap(e, lib_error(&log, r, "closing it", e), "'%s'", name) : 0;
}
