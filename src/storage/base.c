/* SPDX-License-Identifier: Apache-2.0 */
/* Bases: protected once written, opened through dm-verity. */
#include <errno.h>
#include <inttypes.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "fmt/verity.h"
#include "storage/apply.h"
#include "storage/lvm.h"
#include "sys/verity.h"

static int check_names(const char *vg, const char *base, struct err *e)
{
	if (!lvm_name_ok(vg) || !lvm_name_ok(base))
		return err_set(e, EINVAL, "'%s/%s' cannot be the name of a volume", vg, base);
	return 0;
}

int base_protect(const char *vg, const char *base, const struct base_verity *v, struct err *e)
{
	autofree char *lv = xasprintf("%s/%s", vg, base);
	autofree char *tag = xasprintf("--addtag=" LVM_TAG_VERITY "%" PRIu64 ":%" PRIu64 ":%u",
		v->hash_offset, v->fec_offset, v->fec_roots);
	int r = check_names(vg, base, e);

	if (r == 0)
		r = lvm_run(e, "lvchange", "--activate=n", lv, NULL);
	if (r == 0)
		r = lvm_run(
			e, "lvchange", "--permission=r", "--setactivationskip=y", tag, lv, NULL);
	return r < 0 ? err_wrap(e, r, "protecting base '%s'", base) : 0;
}

/*
 * Whether the top of the tree is what the root hash was made of.  The kernel would only say that
 * each block is damaged.
 */
static int check_root(
	const char *device, uint64_t hash_offset, const uint8_t root_hash[32], struct err *e)
{
	autoptr(source) image = NULL;
	autoptr(sha256) h = NULL;
	uint8_t top[VERITY_BLOCK_BYTES], digest[SHA256_BYTES];
	struct verity_super sb;
	int r = source_open_path(device, &image, e);

	if (r == 0)
		r = verity_super_read(image, hash_offset, &sb, e);
	/* A single block of data has no tree: it is the top. */
	if (r == 0)
		r = source_read_at(
			image, top, sizeof(top), sb.tree_bytes > 0 ? sb.tree_offset : 0, e);
	if (r < 0)
		return r;
	h = sha256_new();
	sha256_add(h, sb.salt, sb.salt_len);
	sha256_add(h, top, sizeof(top));
	sha256_end(h, digest);
	if (memcmp(digest, root_hash, sizeof(digest)) != 0)
		return err_set(e, EKEYREJECTED, "the root hash is not that of its hash tree");
	return 0;
}

static int open_active(const char *device, const struct base_verity *v, const uint8_t root_hash[32],
	const char *mapper_name, struct err *e)
{
	const struct verity_device d = {
		.path = device,
		.hash_offset = v->hash_offset,
		.fec_offset = v->fec_offset,
		.fec_roots = v->fec_roots,
		.once = v->once,
	};
	int r = check_root(device, v->hash_offset, root_hash, e);

	return r == 0 ? verity_open(&d, root_hash, mapper_name, e) : r;
}

int base_open(const char *vg, const char *base, const struct base_verity *v,
	const uint8_t root_hash[32], const char *mapper_name, struct err *e)
{
	autofree char *lv = xasprintf("%s/%s", vg, base);
	autofree char *device = xasprintf("/dev/%s", lv);
	int r = check_names(vg, base, e);

	if (r == 0)
		r = lvm_run(e, "lvchange", "--activate=y", "--ignoreactivationskip", lv, NULL);
	if (r < 0)
		return err_wrap(e, r, "base '%s'", base);
	r = open_active(device, v, root_hash, mapper_name, e);
	if (r == 0)
		return 0;
	struct err ignored;
	interrupt_defer();
	if (lvm_run(&ignored, "lvchange", "--activate=n", lv, NULL) < 0)
		log_debug("%s", ignored.msg);
	interrupt_resume();
	return err_wrap(e, r, "base '%s'", base);
}

int base_close(const char *vg, const char *base, const char *mapper_name, struct err *e)
{
	autofree char *lv = xasprintf("%s/%s", vg, base);
	int r = check_names(vg, base, e);

	interrupt_defer();
	if (r == 0)
		r = verity_close(mapper_name, e);
	if (r == 0 || r == -ENODEV)
		r = lvm_run(e, "lvchange", "--activate=n", lv, NULL);
	interrupt_resume();
	return r < 0 ? err_wrap(e, r, "base '%s'", base) : 0;
}
