/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account files of an old base, a node and a new base as one set: docs/merge.md.
 *
 * Ids and passwords of the node win, users and groups that the new image brings get ids that are
 * free.  No name is there twice whatever the input, and no id but where the node has two names for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

enum account_file {
	ACC_PASSWD,
	ACC_SHADOW,
	ACC_GROUP,
	ACC_GSHADOW,
	ACC_SUBUID,
	ACC_SUBGID,
	ACC_FILES
};

/* "/etc/passwd" and so on. */
extern const char *const account_paths[ACC_FILES];

struct account_set {
	char *text[ACC_FILES]; /* owned; NULL: no such file */
};

void account_set_fini(struct account_set *s);
#define autoaccountset auto_with(account_set_fini) struct account_set

/*
 * What the files of the new image have to be changed to: sorted by from, without equal pairs.
 * Nothing is mapped to or from 0.
 */
struct id_pair {
	uint32_t from, to;
};

struct id_map {
	struct id_pair *users, *groups;
	size_t user_count, group_count;
};

void id_map_fini(struct id_map *m);
#define autoidmap auto_with(id_map_fini) struct id_map
uint32_t id_map_user(const struct id_map *m, uint32_t uid);
uint32_t id_map_group(const struct id_map *m, uint32_t gid);

/*
 * out and map start zeroed.  notes gets a line for what people should know: a user that got another
 * id, a line that was left out because it makes no sense; may be NULL.  -ENOSPC: no id is free;
 * -EBADMSG: a text of more than 4 MiB or 65536 lines.
 */
int accounts_merge(const struct account_set *old_base, const struct account_set *node,
	const struct account_set *new_base, struct account_set *out, struct id_map *map,
	struct strv *notes, struct err *e) MUST_CHECK;
