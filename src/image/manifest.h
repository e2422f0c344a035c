/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest beside an image: what it is, and the digests of all that belongs to it.
 *
 * Format: docs/formats/manifest.md.  Text from outside is taken as hostile: every field is checked
 * for type, range and size before it gets into the struct.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"

#define MANIFEST_SUFFIX    ".manifest.json"
#define UNDO_SUFFIX        ".undo"
#define MANIFEST_VERSION   1
#define MANIFEST_MAX_BYTES (64 * MIB)

struct manifest_file {
	char *file; /* a plain name, without a folder; NULL: there is none */
	uint64_t size_bytes;
	uint8_t sha256[SHA256_BYTES];
};

/* dm-verity of rootfs.img, as for veritysetup(8); offsets in bytes into rootfs.img. */
struct manifest_verity {
	bool present;
	uint8_t root_hash[SHA256_BYTES];
	uint64_t data_bytes;  /* hashed, from the start */
	uint64_t hash_offset; /* of the verity superblock */
	char *salt;           /* hexadecimal, "" for none */
	uint64_t fec_offset;  /* 0: no error correction */
	uint32_t fec_roots;
};

struct manifest_kernel {
	char *release;
	uint64_t kernel_bytes, initramfs_bytes; /* 0: not there */
};

struct manifest_package {
	char *name, *version, *arch;
	char *source;         /* source package, or NULL */
	char *source_version; /* or NULL */
	char *origin;         /* of the repository, "Debian", or NULL */
};

/* An image or a plugin that went into this one. */
struct manifest_part {
	char *name, *version;
	uint8_t sha256[SHA256_BYTES]; /* of its file */
};

struct manifest_parts {
	struct manifest_part *items;
	size_t count;
};

struct manifest {
	char *name, *version, *arch;
	int64_t source_date; /* seconds since 1970 */
	char *rootfs_type;   /* "squashfs-ext4" or "squashfs" */
	struct manifest_file liveimg;
	struct manifest_file rootfs; /* file is "LiveOS/rootfs.img", or NULL for a flat image */
	struct manifest_verity verity;
	struct manifest_kernel *kernels;
	size_t kernel_count;
	struct manifest_package *packages; /* sorted by name, then arch */
	size_t package_count;
	struct manifest_file files; /* NAME-VERSION.files */
	struct manifest_file sbom;
	struct manifest_file
		recipe; /* the name of the recipe and the digest of its canonical text */
	char *previous_name, *previous_version;      /* the image whose layout was kept, or NULL */
	char *upgrades_from_min, *upgrades_from_max; /* what it can replace; NULL: no limit */
	char *tool;                                  /* "bedplate 0.1.0" */
	/* Of an image that was made from another one; empty otherwise. */
	struct manifest_parts made_from; /* images, the oldest first */
	struct manifest_parts plugins;   /* in the order in which they were applied */
	bool edited;                     /* by "bedplate image edit", at some time */
	struct manifest_file undo; /* NAME-VERSION.undo: the way back to the last of made_from */
};

void manifest_fini(struct manifest *m);
#define automanifest auto_with(manifest_fini) struct manifest

/* One more, zeroed. */
struct manifest_kernel *manifest_add_kernel(struct manifest *m);
struct manifest_package *manifest_add_package(struct manifest *m);
void manifest_sort(struct manifest *m);
/* Append a copy. */
void manifest_add_part(struct manifest_parts *p, const struct manifest_part *part);
/* NULL when there is none of this name. */
const struct manifest_part *manifest_find_part(const struct manifest_parts *p, const char *name);

/* Canonical text: sorted keys, two blanks a level, a newline at the end.  The caller frees it. */
char *manifest_format(const struct manifest *m) MUST_CHECK;
/* out starts zeroed.  -EBADMSG: not a manifest, or a field is missing or wrong. */
int manifest_parse(const char *text, size_t len, struct manifest *out, struct err *e) MUST_CHECK;
/* Also -ENOENT and so on. */
int manifest_load(const char *path, struct manifest *out, struct err *e) MUST_CHECK;
