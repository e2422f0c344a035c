/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two trees: of a node's base and its root, or of the roots of two layers.
 *
 * Times do not count as a difference.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/tree.h"
#include "image/diff.h"

struct node_change {
	enum diff_change change;          /* never DIFF_MOVED */
	const struct tree_entry *old_one; /* of the old tree, NULL: added */
	const struct tree_entry *new_one; /* of the new one, NULL: removed */
	/* Of DIFF_CHANGED. */
	bool type;    /* it is something else now, a link instead of a file */
	bool content; /* of a file, target of a link, number of a device */
	bool mode, owner;
	struct strv xattrs; /* names of the extended attributes that differ, sorted */
};

struct node_diff {
	struct tree *old_tree, *new_tree; /* the caller's */
	struct node_change *files;        /* in tree order */
	size_t file_count;
	struct diff_result packages; /* only these of it */
};

void node_diff_fini(struct node_diff *d);
#define autonodediff auto_with(node_diff_fini) struct node_diff

enum { NODE_DIFF_FILES = 1 << 0, NODE_DIFF_PACKAGES = 1 << 1 };

/* out starts zeroed, and lives as long as the trees, which may be of overlay_compose(). */
int node_diff(struct tree *old_tree, struct tree *new_tree, unsigned what, struct node_diff *out,
	struct progress *p, struct err *e) MUST_CHECK;

/* "/etc/hosts"; of the new tree unless removed.  The caller frees it. */
char *node_change_path(const struct node_change *c) MUST_CHECK;
/* Of DIFF_CHANGED: "content, mode, xattr user.note".  The caller frees it. */
char *node_change_what(const struct node_change *c) MUST_CHECK;

/*
 * The difference in content as "diff -u" has it, or one line that says why it is not shown.  *text is
 * the caller's to free, NULL: nothing that could be shown has changed.
 */
int node_diff_content(const struct node_diff *d, const struct node_change *c, char **text,
	struct err *e) MUST_CHECK;

/* Packages, an empty line, files; with content what node_diff_content() gives follows. */
int node_diff_text(const struct node_diff *d, bool content, struct strbuf *out, struct err *e)
	MUST_CHECK;
/* {"packages", "files"}: docs/formats/nodectl.md.  *out: the caller owns the reference. */
int node_diff_json(const struct node_diff *d, unsigned what, bool content, json_t **out,
	struct err *e) MUST_CHECK;
