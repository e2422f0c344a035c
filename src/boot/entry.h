/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot entries of layers: one folder of /boot each, known by the layer's name and nothing else.
 *
 * boot_fd is an open descriptor of the folder /boot.  A folder there without a bedplate.cfg of ours
 * is foreign and is neither listed nor touched.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define BOOT_LAYER_PARAM     "bedplate.layer="
#define BOOT_ROOTHASH_PARAM  "bedplate.roothash="
#define BOOT_STATELESS_PARAM "bedplate.stateless"

struct boot_entry {
	char *layer;    /* "node-20261120+1": also the folder's name and GRUB's --id */
	char *title;    /* for the menu */
	char *release;  /* of the kernel */
	char *cmd_line; /* complete */
	char *missing;  /* boot_entries_read(): a file that should be there and is not, or NULL */
};

struct boot_entries {
	struct boot_entry *items; /* sorted by layer */
	size_t count;
};

void boot_entry_fini(struct boot_entry *b);
#define autobootentry auto_with(boot_entry_fini) struct boot_entry
void boot_entries_fini(struct boot_entries *b);
#define autobootentries auto_with(boot_entries_fini) struct boot_entries

/*
 * Write folder and files; the entry exists once bedplate.cfg does, which is written last and
 * everything is on disk when this returns.  kernel_fd and initramfs_fd are read from the start; an
 * initramfs that is not compressed is compressed with zstd on the way.  -ENOSPC: with numbers.
 */
int boot_entry_write(int boot_fd, const struct boot_entry *entry, int kernel_fd, int initramfs_fd,
	struct err *e) MUST_CHECK;
/* bedplate.cfg first.  Fine when there is no such entry. */
int boot_entry_remove(int boot_fd, const char *layer, struct err *e) MUST_CHECK;
/* out starts zeroed.  One that cannot be parsed is left out with a warning. */
int boot_entries_read(int boot_fd, struct boot_entries *out, struct err *e) MUST_CHECK;
/* NULL: there is none. */
const struct boot_entry *boot_entries_find(const struct boot_entries *b, const char *layer);

/* An fs-wide flush that GRUB sees too: it does not replay ext4's journal. */
int boot_sync(int boot_fd, struct err *e) MUST_CHECK;
/*
 * Who is killed within boot_sync() leaves it frozen, and every write to it waits for ever.  Fine when it is
 * not.
 */
int boot_thaw(int boot_fd, struct err *e) MUST_CHECK;
