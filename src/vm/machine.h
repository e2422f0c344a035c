/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that belongs to this process: QEMU, its console, and a private folder of the files it
 * opens.  When the machine is freed all of them are gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sys/vm.h"

/* What every machine takes, whatever it boots. */
struct machine_params {
	uint64_t memory_bytes;
	uint64_t cpus;
	enum vm_accel accel;
	enum vm_firmware firmware;
	bool network;
	const struct strv *disks; /* more of them, writable; NULL: none */
	bool dry_run; /* only machine_command() is wanted: nothing is written, nothing starts */
};

struct machine;

/* -ENOENT: there is no such firmware here. */
int machine_new(const struct machine_params *params, struct machine **out, struct err *e)
	MUST_CHECK;
/* Ends the machine and removes its folder. */
void machine_free(struct machine *m);
DEFINE_AUTOPTR(machine, machine_free)

/* The path of a file in the folder, there or not.  The caller frees it. */
char *machine_file(const struct machine *m, const char *name) MUST_CHECK;
/* Create one for the caller to fill.  Returns the descriptor. */
int machine_create_file(struct machine *m, const char *name, struct err *e) MUST_CHECK;

/*
 * Make the command of spec, which says what is booted; the parameters are filled in here, and their
 * disks follow those of spec.  -EINVAL: a bad parameter.
 */
int machine_prepare(struct machine *m, const struct vm_spec *spec, struct err *e) MUST_CHECK;
/*
 * Before that: the firmware's variables are kept at path, made when they are not there.  With forget
 * the machine gets a copy of what is there, as it gets one of the firmware's own without this call.
 */
void machine_use_vars(struct machine *m, const char *path, bool forget);

/* The QEMU command as a shell would take it.  The caller frees it. */
char *machine_command(const struct machine *m) MUST_CHECK;

/* Start the machine.  Returns its console, a socket that belongs to m. */
int machine_start(struct machine *m, struct err *e) MUST_CHECK;

/* Wait for a machine whose console was closed.  -EPROTO: QEMU failed, with its own last words. */
int machine_wait(struct machine *m, struct err *e) MUST_CHECK;

/* Where large temporary files go: $TMPDIR, otherwise a folder that is not in memory. */
const char *machine_temporary_folder(void);
