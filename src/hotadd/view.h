/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a system that runs: a tree of only those files that somebody asks about, because all of it would
 * change while it is read.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"

struct view {
	struct tree *tree; /* complete after view_end() */
	int root_fd;       /* not its own */
	void *seen;
};

/* Of the system at root_fd, which is there as long as the view. */
void view_begin(struct view *v, int root_fd);
void view_fini(struct view *v);
#define autoview auto_with(view_fini) struct view

/* A path, all folders on its way, and where links lead.  Fine when it is not there. */
int view_add(struct view *v, const char *path, struct err *e) MUST_CHECK;
/* The same, and what is in the folder. */
int view_add_folder(struct view *v, const char *path, struct err *e) MUST_CHECK;
void view_end(struct view *v);

/* A tree without entries whose files are those at root_fd. */
struct tree *view_tree_new(int root_fd) MUST_CHECK;
