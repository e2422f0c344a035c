/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One account file as lines of fields, found by name and by id.  Internal to upgrade/.
 *
 * Read the way glibc reads them: missing fields at the end are empty.  What has no meaning is left
 * out.
 */
#pragma once

#include "upgrade/merge-accounts.h"

#define ACCOUNT_FIELDS 9 /* of shadow(5), which has most */

enum {
	FIELD_NAME = 0,
	FIELD_PASSWORD = 1,
	FIELD_ID = 2,
	FIELD_GID = 3,        /* passwd */
	FIELD_MEMBERS = 3,    /* group, gshadow */
	FIELD_ADMINS = 2,     /* gshadow */
	FIELD_LAST_CHANGE = 2 /* shadow */
};

struct account_line {
	const char *fields[ACCOUNT_FIELDS]; /* all that the file has */
	uint32_t id, gid;                   /* passwd; group: id */
	uint64_t first, count;              /* subuid, subgid: the range */
	char *text;                         /* that fields point into; NULL: they are another's */
};

struct account_lines {
	enum account_file file;
	bool present;
	struct account_line **items;
	size_t count, room;
	struct strv comments, compat; /* "# ...", "+..." and "-..." as of nss_compat */
	void *by_name, *by_id;        /* search trees; the first of a name or id */
};

void account_lines_fini(struct account_lines *l);

/*
 * text NULL: no such file.  out starts zeroed.  notes gets the lines that are left out, which are `of`
 * something ("the node"); NULL: nothing.  -EBADMSG: too large to be an account file.
 */
int account_lines_parse(enum account_file file, const char *text, const char *of,
	struct strv *notes, struct account_lines *out, struct err *e) MUST_CHECK;
/* A copy without text. */
struct account_line *account_lines_add(struct account_lines *l, const struct account_line *line);
/* NULL: none. */
const struct account_line *account_lines_find(const struct account_lines *l, const char *name);
const struct account_line *account_lines_find_id(const struct account_lines *l, uint32_t id);
/* NULL when the file is not present.  The caller frees it. */
char *account_lines_format(const struct account_lines *l) MUST_CHECK;
