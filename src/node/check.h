/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this installed node healthy?  A judgement over the gathered state, and nothing but it.
 *
 * "failed" is whatever endangers the node itself: its storage, its image, its next boot, or libvirtd.
 * "warn" is trouble in something else that runs on it: the node works, somebody should look.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "node/state.h"

enum check_status { CHECK_OK, CHECK_WARN, CHECK_FAILED };

struct check {
	const char *id, *name; /* "separate_var", "Separate /var" */
	enum check_status status;
	char *reason; /* NULL: all is well */
};

struct check_group {
	const char *id, *name;
	enum check_status status; /* the worst of its checks */
	struct check *items;
	size_t count;
};

struct check_result {
	enum check_status status; /* the worst of its groups */
	struct check_group *groups;
	size_t count;
};

void check_result_fini(struct check_result *r);
#define autocheckresult auto_with(check_result_fini) struct check_result

/* s was gathered with everything, and is of an installed node.  out starts zeroed. */
void node_check(const struct node_state *s, struct check_result *out);

/*
 * Keep the groups and checks of these ids only, and judge by them.  -EINVAL: there is none of that id,
 * anywhere.
 */
int check_select(struct check_result *r, const struct strv *ids, struct err *e) MUST_CHECK;

/* The caller frees it. */
char *check_text(const struct check_result *r, bool colour) MUST_CHECK;
/* One line, "  Node Status: OK", after an empty one. */
char *check_line(const struct check_result *r, bool colour) MUST_CHECK;
/* docs/formats/nodectl.md.  The caller owns the reference. */
json_t *check_json(const struct check_result *r) MUST_CHECK;
/* "ok", "warn", "failed" */
const char *check_status_id(enum check_status status);
