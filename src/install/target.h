/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new node's root, mounted as it will run: base through dm-verity, layer, overlay, volumes,
 * /boot and /boot/efi.
 *
 * Mounts are made in this process's own namespace (chroot_enter_namespace() before), and the devices
 * are closed by target_free(); after a crash nothing but device-mapper nodes stays, which
 * target_drop_leftovers() removes.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "storage/apply.h"
#include "storage/layout.h"

struct target_spec {
	const struct layout *layout;
	const char *layer; /* "NAME-VERSION+1" */
	struct base_verity verity;
	const uint8_t *root_hash; /* 32 bytes */
	uint64_t data_bytes;      /* of the base, under dm-verity */
	const char *dir;          /* mount point, made when missing */
};

struct target;

#define TARGET_MAPPER_NAME "bedplate-target" /* the base of an open target */

/*
 * Close what an installer that was killed has left open: it would keep the disks in use.  Only with
 * the installer's lock.
 */
int target_drop_leftovers(struct err *e) MUST_CHECK;

/* Beside whatever is done in it all of the base is read, until target_prove(). */
int target_open(const struct target_spec *spec, struct target **out, struct err *e) MUST_CHECK;
/* Every block of the base is on the disk as the root hash says.  -EBADMSG: one is not. */
int target_prove(struct target *t, struct progress *p, struct err *e) MUST_CHECK;
/*
 * What stumbles over a damaged base fails in ways of its own.  r and e are of such a failure: stay, or
 * become what is wrong with the base.
 */
int target_explain(struct target *t, int r, struct err *e) MUST_CHECK;
void target_free(struct target *t);
DEFINE_AUTOPTR(target, target_free)
/*
 * Unmount and close in order, reporting what fails: everything is on disk afterwards.  t is only good
 * for target_free() then.
 */
int target_close(struct target *t, struct err *e) MUST_CHECK;

const char *target_path(const struct target *t); /* of the root */
int target_root_fd(const struct target *t);      /* belongs to t */
int target_base_fd(const struct target *t);      /* the base alone, read-only; belongs to t */
int target_boot_fd(const struct target *t);      /* /boot, belongs to t */
int target_esp_fd(const struct target *t);       /* /boot/efi; -1: none */
const char *target_boot_uuid(const struct target *t);
