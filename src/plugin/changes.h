/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin has done to a tree: found by looking, not by asking. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"

enum change_kind { CHANGE_ADDED, CHANGE_CHANGED, CHANGE_REMOVED };

struct change {
	enum change_kind kind;
	const struct tree_entry *en; /* of the tree as it is now; when removed, as it was before */
};

struct changes {
	struct change *items; /* in tree order */
	size_t count, room;
	/* Of each entry of now: not touched since before, or as in base but for its time. */
	bool *same;
};

void changes_fini(struct changes *c);
#define autochanges auto_with(changes_fini) struct changes

/*
 * before and now are what tree_scan() has seen of the same folder, in which base was unpacked.  A
 * file that was written to without a difference to base is none.  Times do not count.  out starts
 * zeroed and refers to before and now.
 */
int changes_find(struct tree *base, const struct tree *before, struct tree *now,
	struct changes *out, struct err *e) MUST_CHECK;

/* Give everything that is the same the time that it has in base, in the folder and in now. */
int changes_restore_times(const struct tree *base, struct tree *now, const struct changes *c,
	int root_fd, struct err *e) MUST_CHECK;
