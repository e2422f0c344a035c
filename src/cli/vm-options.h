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
/* That the console can be copied there: NULL, "-", or a file that is not touched yet. */
int vm_option_serial(const char *path, struct err *e) MUST_CHECK;
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
	struct strv steps;        /* of the options --expect and --send */
	uint64_t timeout_seconds; /* 0: not given */
};

/* 0, an error or CLI_WRONG_USE: what is opened and typed late is checked before the machine starts. */
int vm_session_check(const struct vm_session *s, struct err *e) MUST_CHECK;
int vm_session_run(struct machine *m, int console_fd, const struct vm_session *s,
	struct progress *p, struct err *e) MUST_CHECK;

/* Rows of a table of options.  type: the struct of the command, which names its fields as here. */
/* clang-format off */
#define VM_FIRMWARE_OPTIONS(type)                                                                  \
	{0, "uefi", NULL, "start with UEFI firmware instead of a BIOS", OPT_FLAG,                  \
		offsetof(type, uefi)},                                                             \
	{0, "secure-boot", NULL, "UEFI firmware that starts only what is signed", OPT_FLAG,        \
		offsetof(type, secure_boot)}

#define VM_SIZE_OPTIONS(type)                                                                      \
	{'m', "memory", "SIZE", "memory (default: 2G)", OPT_SIZE, offsetof(type, memory_bytes)},   \
	{0, "cpus", "N", "processors (default: 2)", OPT_NUMBER, offsetof(type, cpus)}

#define VM_KVM_OPTION(type)                                                                        \
	{0, "kvm", "WHEN", "auto, on or off (default: auto)", OPT_STRING, offsetof(type, kvm)}

#define VM_SESSION_OPTIONS(type)                                                                   \
	{0, "serial", "FILE", "copy the serial console to FILE, - for standard output",            \
		OPT_STRING, offsetof(type, session.serial)},                                       \
	{0, "expect", "TEXT", "wait until TEXT is on the console; may be repeated", OPT_STEPS,     \
		offsetof(type, session.steps)},                                                    \
	{0, "send", "TEXT", "type TEXT, with \\n for the Enter key; may be repeated", OPT_STEPS,   \
		offsetof(type, session.steps)},                                                    \
	{0, "timeout", "S", "fail after S seconds (default with --expect: 600)", OPT_NUMBER,       \
		offsetof(type, session.timeout_seconds)}
/* clang-format on */
