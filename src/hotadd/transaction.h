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
	/*
	 * None of these is its own.  missing: declared places that are not there, and may come to be when
	 * services run; ways: the folders on the way to those, which others may use as well.
	 */
	struct strv missing, ways;
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
	char *made; /* copy_mark() of what it becomes; NULL: a folder that is only on the way, or not noted */
	enum { UNDO_ANY, UNDO_OWN, UNDO_WAY } place; /* see missing and ways above */
	enum {
		UNDO_NOT_NOTED,
		UNDO_ROOT,
		UNDO_VOLUME
	} where; /* on the file system of the root, or not */
};

struct undo_list {
	char *operation, *plugin;
	struct strv services, packages;
	struct undo_item *items; /* in tree order */
	size_t count;
};

void undo_list_fini(struct undo_list *u);
#define autoundolist auto_with(undo_list_fini) struct undo_list

struct transaction_room {
	uint64_t root_bytes, var_bytes;
};

/* What it takes at most, of copies and of what is new.  of_base: files that are replaced may be of the base. */
struct transaction_room transaction_room(
	const struct stage *s, const struct delta *d, bool of_base);
/* -ESTALE: a file is in the way that came meanwhile. */
int transaction_begin(const struct transaction *t, struct err *e) MUST_CHECK;
int transaction_apply(const struct transaction *t, struct err *e) MUST_CHECK;
/* keep: the copies, for the plugin's removal. */
int transaction_commit(const struct transaction *t, bool keep, struct err *e) MUST_CHECK;

/* 1: one was cut off; out starts zeroed.  -EBADMSG: its list is damaged. */
int transaction_pending(int root_fd, struct undo_list *out, struct err *e) MUST_CHECK;
/* Out of the way of what comes next, for a person to look at. */
int transaction_set_aside(int root_fd, struct err *e) MUST_CHECK;

/* A text that many write to. */
struct undo_text {
	char *now, *without; /* without what the plugin did */
	bool is_known;       /* as before, or as the plugin made it: nobody else has changed it */
};

void undo_text_fini(struct undo_text *x);
#define autoundotext auto_with(undo_text_fini) struct undo_text

/* item has both of its copies; path: where in the root the text is now.  out starts zeroed. */
int undo_text_read(int copies_fd, const struct undo_item *item, int root_fd, const char *path,
	struct undo_text *out, struct err *e) MUST_CHECK;
/* Writes without into the file that is there. */
int undo_text_put(const struct undo_text *x, const struct copy_place *at, struct err *e) MUST_CHECK;

struct undo_spec {
	/*
	 * Not at once, so others may have changed things since: what is neither as before nor as it was
	 * to become stays as it is, and left, which may be NULL, gets a line about it.
	 */
	bool late;
	/* The same, but only of texts in which others have lines of their own: all else is as it is at once. */
	bool late_texts;
	struct strv *left;
	/* For tests: called before each change. */
	void (*step)(void *ctx);
	void *ctx;
};

/*
 * Everything is as it was before; can be done again when it was cut off itself.  -EXDEV: what was a volume
 * is not mounted, or something is mounted on what has to go; nothing was done.
 */
int transaction_undo(int root_fd, const struct undo_list *u, const struct undo_spec *spec,
	struct err *e) MUST_CHECK;
/* What is left of one that is over. */
int transaction_tidy(int root_fd, struct err *e) MUST_CHECK;

/* Of a plugin that was added: its copies.  The caller closes *fd.  -ENOENT: it was not. */
int transaction_kept(int root_fd, const char *plugin, struct undo_list *out, int *fd, struct err *e)
	MUST_CHECK;
/* Path of that folder in the tree.  The caller frees it. */
char *transaction_kept_path(const char *plugin) MUST_CHECK;
