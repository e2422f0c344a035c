/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node remembers on /boot of its transitions: docs/upgrade.md, "Records on /boot".
 *
 * Each file is replaced atomically and flushed so that GRUB's view of /boot stays right (boot_sync()).
 * What cannot be parsed is reported with a warning and taken for "not there": a node must boot and
 * upgrade without any of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

#define RECORDS_FOLDER "bedplate" /* under /boot */

enum operation { OPERATION_UPGRADE, OPERATION_ROLLBACK, OPERATION_RESET };

enum step { STEP_BASE, STEP_LAYER, STEP_BOOT, STEP_STAGED, STEP_COMMIT, STEP_TRIAL };

struct journal {
	enum operation operation;
	enum step step;
	char *from, *to; /* layers */
	char *base;      /* of "to" */
	bool new_base;   /* made by this operation, so it goes with it */
	bool var;        /* bring /var back at the next boot of "to" */
	char *snapshot;  /* of /var, which the commit makes, or with var brings back; NULL: none */
	int64_t started;
	struct strv
		dropped_plugins; /* names: what is staged is without them, however often it is made */
};

void journal_fini(struct journal *j);
#define autojournal auto_with(journal_fini) struct journal

/* On disk when it returns. */
int journal_write(int boot_fd, const struct journal *j, struct err *e) MUST_CHECK;
/* out starts zeroed.  1: there is one; 0: none. */
int journal_read(int boot_fd, struct journal *out, struct err *e) MUST_CHECK;
/* Fine when there is none. */
int journal_clear(int boot_fd, struct err *e) MUST_CHECK;

struct transition {
	int64_t time;
	char *operation, *from, *to, *result; /* words of docs/upgrade.md; from may be NULL */
	char *why, *who, *signer;             /* may be NULL */
	bool is_unsigned;
};

struct history {
	struct transition *items; /* oldest first */
	size_t count;
};

void transition_fini(struct transition *t);
void history_fini(struct history *h);
#define autohistory auto_with(history_fini) struct history

/* time 0: now; who NULL: the user that started us (SUDO_USER, login uid), or "system". */
int history_add(int boot_fd, const struct transition *t, struct err *e) MUST_CHECK;
int history_read(int boot_fd, struct history *out, struct err *e) MUST_CHECK;

struct failed_version {
	char *name, *version, *layer, *why;
	char root_hash[65]; /* lower case */
	int64_t time;
};

struct failed_versions {
	struct failed_version *items;
	size_t count;
};

void failed_versions_fini(struct failed_versions *f);
#define autofailed auto_with(failed_versions_fini) struct failed_versions

int failed_read(int boot_fd, struct failed_versions *out, struct err *e) MUST_CHECK;
/* One entry a root hash. */
int failed_add(int boot_fd, const struct failed_version *v, struct err *e) MUST_CHECK;
int failed_remove(int boot_fd, const char *root_hash, struct err *e) MUST_CHECK;

/* All of them, of a node that is no more. */
int records_clear(int boot_fd, struct err *e) MUST_CHECK;

const char *operation_name(enum operation o);
const char *step_name(enum step s);
