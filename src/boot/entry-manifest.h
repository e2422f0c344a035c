/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a layer's base was signed as: the manifest of its image, byte for byte, beside its boot entry.
 *
 * GRUB does not look at it; it goes with the entry, and nothing needs it to boot.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/macro.h"

#define BOOT_MANIFEST           "manifest.json"
#define BOOT_MANIFEST_SIG       "manifest.json.sig"
#define BOOT_MANIFEST_MAX_BYTES (64 * MIB)

struct boot_manifest {
	char *text, *sig; /* sig is NULL when there is none */
	size_t len, sig_len;
};

void boot_manifest_fini(struct boot_manifest *m);
#define autobootmanifest auto_with(boot_manifest_fini) struct boot_manifest

/* The entry is there already: boot_entry_write() removes what it finds. */
int boot_manifest_write(
	int boot_fd, const char *layer, const struct boot_manifest *m, struct err *e) MUST_CHECK;
/* out starts zeroed.  -ENOENT: there is none. */
int boot_manifest_read(int boot_fd, const char *layer, struct boot_manifest *out, struct err *e)
	MUST_CHECK;
