/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bring what a stage has changed into the system that runs, all of it or nothing.
 *
 * Before the first change everything that will be different is copied to .undo in the folder of the
 * records.  As long as that is there the change is not complete, and transaction_undo() takes it back,
 * in this process or after a power cut in another one.  Format: docs/formats/plugin.md.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "hotadd/delta.h"

#define TRANSACTION_KEPT ".before" /* behind the name of a plugin that was added */

struct transaction {
	int root_fd; /* of the system */
	const struct stage *stage;
	const struct delta *delta;
	const char *operation, *plugin; /* "add" or "remove", and of what */
	/* None of these is its own.  Places that are not there and may come to be when services run. */
	struct strv missing;
	struct strv services, packages; /* for who takes it back, or removes it later */
	/* For tests: called before each change. */
	void (*step)(void *ctx);
	void *ctx;
};

/* What was noted; of a transaction, or of a plugin that was added. */
struct undo_item {
	char *path;
	char *copy;  /* name of what was there; NULL: nothing */
	char *after; /* name of what the plugin made of it, for texts that many write to; or NULL */
};

struct undo_list {
	char *operation, *plugin;
	struct strv services, packages;
	bool made_folder;
	struct undo_item *items; /* in tree order */
	size_t count;
};

void undo_list_fini(struct undo_list *u);
#define autoundolist auto_with(undo_list_fini) struct undo_list

/* How many bytes it takes at most: of copies and of what is new. */
uint64_t transaction_bytes(const struct delta *d);
/* -ESTALE: a file is in the way that came meanwhile. */
int transaction_begin(const struct transaction *t, struct err *e) MUST_CHECK;
int transaction_apply(const struct transaction *t, struct err *e) MUST_CHECK;
/* keep: the copies, for the plugin's removal. */
int transaction_commit(const struct transaction *t, bool keep, struct err *e) MUST_CHECK;

/* 1: one was cut off; out starts zeroed. */
int transaction_pending(int root_fd, struct undo_list *out, struct err *e) MUST_CHECK;
/* Everything is as it was before; can be done again when it was cut off itself. */
int transaction_undo(int root_fd, const struct undo_list *u, struct err *e) MUST_CHECK;
/* What is left of one that is over. */
int transaction_tidy(int root_fd, struct err *e) MUST_CHECK;

/* Of a plugin that was added: its copies.  The caller closes *fd.  -ENOENT: it was not. */
int transaction_kept(int root_fd, const char *plugin, struct undo_list *out, int *fd, struct err *e)
	MUST_CHECK;
/* Path of that folder in the tree.  The caller frees it. */
char *transaction_kept_path(const char *plugin) MUST_CHECK;
