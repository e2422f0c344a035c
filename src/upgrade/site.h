/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node that is worked on: the one that runs, or one at rest on the disks of a live system.
 *
 * Opening it takes the lock of this machine and enters a mount namespace of its own; nothing on disk
 * changes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "boot/entry.h"
#include "boot/trial.h"
#include "storage/lvm.h"

#define SITE_LOCK_PATH "/run/bedplate/lock"
#define SITE_FOLDER    "/run/bedplate/site" /* mounts of this process */

struct site {
	struct lvm_report lvm;
	const struct lvm_vg *vg;   /* of lvm */
	const struct lvm_lv *pool; /* of lvm */
	struct boot_entries entries;
	struct boot_choice choice;
	char *layer;       /* worked from: the running one, at rest the default or the newest */
	char *base;        /* of it */
	bool running;      /* this system runs from it */
	bool boot_mounted; /* by us, below SITE_FOLDER */
	int boot_fd;       /* /boot, writable */
	int lock_fd;       /* -1: opened to look only */
};

void site_fini(struct site *s);
#define autosite auto_with(site_fini) struct site

/*
 * out starts zeroed.  look: without the lock.  -EBUSY: another operation is in progress, it is named;
 * -ENOENT: there is no node here; -EPERM: not root; -EOPNOTSUPP: this system runs stateless; -ENXIO:
 * /boot is not mounted, or is not the node's.
 */
int site_open(bool look, struct site *out, struct err *e) MUST_CHECK;
/* With the lock, waited for until that many seconds after power-on. */
int site_open_until(uint64_t boot_seconds, struct site *out, struct err *e) MUST_CHECK;
/* Ask lvm and /boot again, after changes. */
int site_refresh(struct site *s, struct err *e) MUST_CHECK;
/* The entry's root hash, 32 bytes; -EBADMSG: the entry has none. */
int site_root_hash(const struct site *s, const char *layer, uint8_t out[32], struct err *e)
	MUST_CHECK;
/* "NAME-VERSION+N": the next free number for a base.  The caller frees it. */
char *site_next_layer(const struct site *s, const char *base) MUST_CHECK;
