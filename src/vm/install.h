/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Install a node into a disk image, unattended: a medium, a machine that boots it, and the verdict
 * of the installer, which it leaves on the console.
 *
 * Nothing lasts but the disk image with the firmware's variables beside it, and of these only what
 * was there before unless the install succeeds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "sys/console.h"
#include "vm/machine.h"

struct vm_install_spec {
	const char *source;    /* an image, the folder of a build, or an install medium */
	const char *kickstart; /* NULL: the one on the medium */
	const char *disk;
	uint64_t size_bytes; /* of a new disk; 0: 20 GiB */
	bool yes;            /* the disk may be there already: it is taken as it is */
	struct machine_params machine;
};

struct vm_install;

/*
 * Check everything, then make the medium, the disk and the machine; with dry_run of the machine only
 * its command.  -EEXIST: the disk is there, and not yes.  -EINVAL: the kickstart has errors, or
 * leaves questions open.
 */
int vm_install_new(const struct vm_install_spec *spec, struct progress *p, struct vm_install **out,
	struct err *e) MUST_CHECK;
void vm_install_free(struct vm_install *i);
DEFINE_AUTOPTR(vm_install, vm_install_free)

/* The commands, one a line.  The caller frees it. */
char *vm_install_commands(const struct vm_install *i) MUST_CHECK;

struct machine *vm_install_machine(struct vm_install *i); /* belongs to i */

/*
 * Follow the installer on the console of the started machine until it has said how it ended and the
 * machine has.  name is what was installed, the caller frees it.  -EPROTO: the installer failed.
 * -EPIPE: the machine ended without a word of the installer.  -ETIMEDOUT, -EINTR.
 */
int vm_install_follow(struct vm_install *i, struct console *c, char **name, struct err *e)
	MUST_CHECK;
