/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that start a machine have in common: options, the console, the last words. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "sys/console.h"
#include "vm/machine.h"

#define VM_OPTION_SECONDS_MAX (7ULL * 24 * 60 * 60)

/* All return 0, a negative error, or CLI_WRONG_USE. */
int vm_option_accel(const char *when, enum vm_accel *out, struct err *e) MUST_CHECK;
int vm_option_network(const char *kind, bool *out, struct err *e) MUST_CHECK;
/* That each of them can be read and written. */
int vm_option_disks(const struct strv *disks, struct err *e) MUST_CHECK;
int vm_option_timeout(uint64_t seconds, struct err *e) MUST_CHECK;

enum vm_firmware vm_option_firmware(bool uefi, bool secure_boot);

/*
 * Where the console is copied to: the file or "-" that the user asked for, otherwise a file that
 * only a failure leaves behind, and *path is its name.  Returns the descriptor.
 */
int vm_open_copy(const char *serial, char **path, struct err *e) MUST_CHECK;

/*
 * Make one error of what happened on the console and how QEMU ended, and show the last lines.  copy
 * is where the whole console is; NULL or "-": the person has seen it.
 */
int vm_explain(struct machine *m, const struct console *c, const char *copy, struct err *e)
	MUST_CHECK;

/* What is done with the console of a machine: steps in their order, or a person at the terminal. */
struct vm_session {
	const char *serial;       /* the console is copied there, or NULL */
	const struct strv *steps; /* of the options --expect and --send */
	uint64_t timeout_seconds; /* 0: not given */
};

/* 0 or CLI_WRONG_USE: what is typed late is checked before the machine starts. */
int vm_session_check(const struct vm_session *s, struct err *e) MUST_CHECK;
int vm_session_run(struct machine *m, int console_fd, const struct vm_session *s,
	struct progress *p, struct err *e) MUST_CHECK;
