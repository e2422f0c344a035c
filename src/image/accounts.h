/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The users and groups of a tree: passwd(5), shadow(5), group(5), gshadow(5).
 *
 * Edited as text so that no program of the tree or of the host decides about ids, order or dates:
 * the same kickstart gives the same four files.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define ACCOUNTS_AUTO (-1) /* an id: the next free one from 1000 on */

struct accounts {
	struct strv passwd, shadow, group, gshadow; /* lines */
	int64_t today;                              /* days since 1970, for shadow(5) */
};

void accounts_fini(struct accounts *a);
#define autoaccounts auto_with(accounts_fini) struct accounts

int accounts_load(struct accounts *a, int root_fd, struct err *e) MUST_CHECK;
int accounts_save(const struct accounts *a, int root_fd, struct err *e) MUST_CHECK;

struct account {
	const char *name;
	int64_t uid, gid;                 /* or ACCOUNTS_AUTO; gid: of the group made with it */
	const char *gecos, *home, *shell; /* NULL: the usual */
};

/* A field of the user's passwd line, the name being 0.  NULL: no such user.  The caller frees it. */
char *accounts_user_field(const struct accounts *a, const char *user, unsigned field) MUST_CHECK;
bool accounts_has_group(const struct accounts *a, const char *group);

/* -EEXIST: name or id is taken.  -EINVAL: a name or text that the files can not hold. */
int accounts_add_group(struct accounts *a, const char *name, int64_t gid, struct err *e) MUST_CHECK;
/* With a group of the same name, unless there is a group with that gid.  The password is locked. */
int accounts_add_user(struct accounts *a, const struct account *account, struct err *e) MUST_CHECK;
/*
 * Give what is there already another id, and the user's other fields, where they are not ACCOUNTS_AUTO
 * or NULL.  Files keep the old id.  -ENOENT: there is none; -EEXIST: the id is another one's.
 */
int accounts_change_group(struct accounts *a, const char *name, int64_t gid, struct err *e)
	MUST_CHECK;
int accounts_change_user(struct accounts *a, const struct account *account, struct err *e)
	MUST_CHECK;
/* -ENOENT: no such group. */
int accounts_add_member(struct accounts *a, const char *group, const char *user, struct err *e)
	MUST_CHECK;

/* hash as of crypt(5), NULL keeps the one there is.  -ENOENT: no such user. */
int accounts_set_password(struct accounts *a, const char *user, const char *hash, bool lock,
	struct err *e) MUST_CHECK;

/*
 * yescrypt of a password.  The salt comes from seed and name alone, so that a build can be repeated;
 * it must not come from anything that holds the password, which a fast hash would give away.
 */
int accounts_hash_password(const char *password, const char *seed, const char *user, char **out,
	struct err *e) MUST_CHECK;
