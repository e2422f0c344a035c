/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the records on /boot, and what their three kinds share.  Only for them and tests. */
#pragma once

#include <jansson.h>

#include "base/str.h"
#include "boot/records.h"

#define JOURNAL_PATH "journal.json"
#define HISTORY_PATH "history.jsonl"
#define FAILED_PATH  "failed.json"

#define JOURNAL_MAX       (64 * KIB)
#define HISTORY_MAX       (1 * MIB)
#define HISTORY_LINES_MAX 1000
#define FAILED_MAX        (64 * KIB)
#define FAILED_COUNT_MAX  100
#define RECORDS_TEXT_MAX  200 /* bytes of a text when written */

DEFINE_AUTOPTR(json_t, json_decref)

/* out starts zeroed.  -EBADMSG: not as it was written. */
int journal_parse(const char *text, size_t len, struct journal *out, struct err *e) MUST_CHECK;
char *journal_format(const struct journal *j) MUST_CHECK;

/* One line, with or without its newline. */
int transition_parse(const char *line, size_t len, struct transition *out, struct err *e)
	MUST_CHECK;
/* With its newline. */
char *transition_format(const struct transition *t) MUST_CHECK;
/*
 * Lines that are wrong are left out: true if there is one.  raw (may be NULL) gets those that are
 * right, as they stand.
 */
bool history_parse(const char *text, struct history *out, struct strv *raw);

int failed_parse(const char *text, size_t len, struct failed_versions *out, struct err *e)
	MUST_CHECK;
char *failed_format(const struct failed_versions *f) MUST_CHECK;

/* 1: *text is the caller's; 0: there is none, or a warning said why it does not count. */
int record_load(int boot_fd, const char *name, size_t max_bytes, char **text, size_t *len);
/* On disk when it returns. */
int record_save(int boot_fd, const char *name, const char *text, struct err *e) MUST_CHECK;
int record_drop(int boot_fd, const char *name, struct err *e) MUST_CHECK;

/* An object of schema 1. */
int record_object(const char *text, size_t len, json_t **out, struct err *e) MUST_CHECK;
/* A string; may_be_null: also null or nothing at all, then *out is NULL. */
int record_text(const json_t *o, const char *key, bool may_be_null, char **out, struct err *e)
	MUST_CHECK;
/* The name of a layer. */
int record_layer(const json_t *o, const char *key, bool may_be_null, char **out, struct err *e)
	MUST_CHECK;
int record_bool(const json_t *o, const char *key, bool *out, struct err *e) MUST_CHECK;
int record_time(const json_t *o, const char *key, int64_t *out, struct err *e) MUST_CHECK;
/* At most RECORDS_TEXT_MAX bytes of it. */
json_t *record_cut(const char *text) MUST_CHECK;
