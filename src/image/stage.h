/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The build cache: a stage runs only when something it is made from has changed.
 *
 * A stage has named inputs, each a digest; together they are its key.  What it makes is a folder,
 * CACHE/stages/NAME-KEY, that appears whole or not at all and is never changed afterwards.  Beside
 * them CACHE/recipes/ notes for each recipe which folders its last build used and from which inputs:
 * that is how a stage can say why it runs, and what may be thrown away.
 *
 * One build at a time uses a cache: it holds a lock for as long as it is open.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"

#define STAGE_INPUTS_MAX 12

struct stage_input {
	const char *name; /* for people: "package list" */
	char digest[SHA256_HEX_BYTES];
};

struct stage_cache; /* an open, locked cache, for one recipe */

struct stage {
	const char *name; /* "packages" */
	struct stage_input inputs[STAGE_INPUTS_MAX];
	size_t input_count;

	/* Set by stage_begin(). */
	bool cached; /* nothing to do, folder is complete */
	char *why;   /* why it runs, or "nothing changed" */
	char key[SHA256_HEX_BYTES];
	char *folder; /* the result: exists when cached, or after stage_commit() */
	char *work;   /* an empty folder to work in, NULL when cached */
	char *log;    /* path of its log */
	int log_fd;   /* -1 when cached */
	struct stage_cache *cache;
};

/*
 * Open the cache for the recipe at this path; a missing folder is made.  Waits for another build
 * that has it.  What an earlier, killed build left half done is removed.
 */
int stage_cache_open(const char *dir, const char *recipe, struct stage_cache **out, struct err *e)
	MUST_CHECK;
void stage_cache_close(struct stage_cache *c);
DEFINE_AUTOPTR(stage_cache, stage_cache_close)

/*
 * The lock alone, for who works with the downloads of a cache: waited for, and held until the caller closes
 * *lock_fd.  A missing folder is made.
 */
int stage_cache_lock(const char *dir, int *lock_fd, struct err *e) MUST_CHECK;

/* Folder for one purpose inside the cache, "packages" say, made when missing.  Caller frees. */
int stage_cache_folder(struct stage_cache *c, const char *name, char **out, struct err *e)
	MUST_CHECK;

/* Path of a log that belongs to no stage; its folder is made.  Caller frees. */
int stage_cache_log(struct stage_cache *c, const char *name, char **out, struct err *e) MUST_CHECK;

/*
 * Remove all stage results that no recipe's last build used.  A recipe that is gone counts for three
 * hours: tests and scripts write theirs into a temporary folder, and one day of such builds fills a disk.
 */
int stage_cache_prune(struct stage_cache *c, struct err *e) MUST_CHECK;

/* What the last build of this recipe left for a stage; NULL when nothing.  Caller frees. */
char *stage_last_folder(struct stage_cache *c, const char *name) MUST_CHECK;

/* Usage: autostage s = {.name = "packages", .log_fd = -1}; stage_add(&s, ...); stage_begin(...) */
void stage_fini(struct stage *s); /* drops work that was not committed */
#define autostage auto_with(stage_fini) struct stage

void stage_add(struct stage *s, const char *name, const uint8_t digest[SHA256_BYTES]);
void stage_add_text(struct stage *s, const char *name, const char *text);

/* Look the stage up.  force: run it though it is there. */
int stage_begin(struct stage *s, struct stage_cache *c, bool force, struct err *e) MUST_CHECK;

/* The work is complete: make it the result, and note it for the recipe. */
int stage_commit(struct stage *s, struct err *e) MUST_CHECK;
/* Put the log's path behind the error of a stage that failed.  Returns r. */
int stage_failed(const struct stage *s, int r, struct err *e) MUST_CHECK;
