/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the running system to try things in: an overlay over it, whose upper halves say afterwards
 * what was changed.  Nothing of the system itself is, and all of it is gone with the process.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

#define STAGE_LAYER  "run/bedplate/layer" /* where a node has its layer */
#define STAGE_FOLDER ".plugin-stage"      /* in there */

struct stage {
	int root_fd; /* of the system; not its own */
	char *area;  /* folder for all of it */
	char *tree;  /* path of the copy */
	int tree_fd;
	int upper_fd, var_upper_fd; /* what was changed; the second is -1 unless /var is a volume */
	bool tmpfs;                 /* area is one */
	int mounts;
};

#define STAGE_NONE                                                                                 \
	{                                                                                          \
		.root_fd = -1, .tree_fd = -1, .upper_fd = -1, .var_upper_fd = -1                   \
	}

/* Needs root; enters a mount namespace.  It lies on the layer's file system, or in memory. */
int stage_open(int root_fd, const char *root, struct stage *out, struct err *e) MUST_CHECK;
void stage_close(struct stage *s);
#define autostage auto_with(stage_close) struct stage

/* What one that was killed left on the layer. */
int stage_drop_leftovers(const char *root, struct err *e) MUST_CHECK;
