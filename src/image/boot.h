/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot an image in a virtual machine, live.
 *
 * Kernel and initramfs are taken out of the image into a private folder, the image itself is a
 * read-only disk and the writable half of its root is in the memory of the machine: nothing of a
 * run lasts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "image/image.h"
#include "sys/vm.h"

struct boot_params {
	uint64_t memory_bytes;
	uint64_t cpus;
	enum vm_accel accel;
	bool uefi;
	bool network;
	const struct strv *disks;
	const char *append; /* more kernel parameters, or NULL */
	bool dry_run;       /* only boot_command() is wanted: nothing is written */
};

struct boot;

/* -ENOENT: no kernel or initramfs in it, or no firmware here.  -EINVAL: a bad parameter. */
int boot_new(struct image *img, const struct boot_params *params, struct boot **out, struct err *e)
	MUST_CHECK;
/* Ends the machine and removes its files. */
void boot_free(struct boot *b);
DEFINE_AUTOPTR(boot, boot_free)

/* The QEMU command as a shell would take it.  The caller frees it. */
char *boot_command(const struct boot *b) MUST_CHECK;

/* Start the machine.  Returns its console, a socket that belongs to b. */
int boot_start(struct boot *b, struct err *e) MUST_CHECK;

/* Wait for a machine whose console was closed.  -EPROTO: QEMU failed, with its own last words. */
int boot_wait(struct boot *b, struct err *e) MUST_CHECK;

/* Where large temporary files go: $TMPDIR, otherwise a folder that is not in memory. */
const char *boot_temporary_folder(void);
