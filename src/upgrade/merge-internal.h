/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge as a list of paths: the union of three trees, in tree order, each with a decision.
 *
 * Passes: what is at each path (merge-items.c), what is to be there (merge-decide.c, merge-units.c,
 * merge-shape.c), the report (merge-say.c), and the new layer (merge-write.c).  Only the last one writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/tree.h"
#include "upgrade/merge.h"

#define MERGE_SUFFIX      ".bedplate-new"
#define MERGE_XATTR_ACL   "system.posix_acl_access"
#define MERGE_ENTRIES_MAX (4U * 1000 * 1000) /* of one tree */
#define MERGE_TEXT_MAX    (1 * MIB)          /* of a file that is merged by lines */

enum merge_zone {
	ZONE_CARRIED,
	ZONE_DROPPED, /* the vendor's, or a volume is mounted there */
	ZONE_NOISE,   /* same, and not worth a line */
};

enum merge_zone merge_zone_of(const char *path);
/* The vendor's stands, whatever was changed. */
bool merge_is_generated(const char *path);
/* Where links enable, disable and mask units. */
bool merge_is_unit_folder(const char *path);

enum merge_from { FROM_NONE, FROM_NEW, FROM_NODE, FROM_TEXT };

/* Who has changed it since the old base. */
enum merge_three {
	THREE_SAME,
	THREE_VENDOR,
	THREE_NODE,
	THREE_EQUAL, /* both, to the same */
	THREE_BOTH,
};

struct merge_result {
	enum merge_from from;
	const struct tree_entry *en; /* NULL: FROM_NONE.  Of FROM_TEXT: all but the content */
	char *text;                  /* owned, FROM_TEXT */
	size_t text_len;
	int64_t mtime;
	uint32_t mode, uid, gid;
	const struct xattr **xattrs; /* owned list of entries' own */
	size_t xattr_count;
};

struct merge_item {
	const char *path;
	const struct tree_entry *old, *upper, *new;
	const struct tree_entry *node; /* what the overlay shows: upper's or old's */
	size_t parent;                 /* index; the root's is its own */
	enum merge_zone zone;
	enum merge_three content;
	bool covers; /* what the old base has below is not seen */
	bool hidden; /* there is no folder for it */
	bool account;
	bool stale;                         /* a vendor's file of an earlier upgrade that is over */
	bool disabled;                      /* a unit that the node has disabled */
	bool want_beside;                   /* the vendor's file is to lie beside it */
	bool forced;                        /* a folder only because something is in it */
	bool wanted_by_new, wanted_by_node; /* has something in it */
	bool attr_node, attr_new, attr_equal; /* some attribute was changed by */
	char *attr_conflicts;                 /* "mode, owner" or NULL */
	char *beside;                         /* path */
	bool write;
	struct merge_result result;
};

struct merge_accounts; /* merge-ids.c */

struct merge {
	const struct merge_trees *trees;
	struct merge_item *items;
	size_t count;
	struct merge_accounts *accounts;
};

static inline bool merge_is_folder(const struct tree_entry *en)
{
	return en && (en->mode & 0170000) == 0040000;
}

static inline bool merge_is_regular(const struct tree_entry *en)
{
	return en && (en->mode & 0170000) == 0100000;
}

static inline bool merge_is_link(const struct tree_entry *en)
{
	return en && (en->mode & 0170000) == 0120000;
}

static inline bool merge_same_type(const struct tree_entry *a, const struct tree_entry *b)
{
	return a && b && (a->mode & 0170000) == (b->mode & 0170000);
}

/* The list.  -EBADMSG: an entry that cannot be. */
int merge_items_load(struct merge *m, struct err *e) MUST_CHECK;
void merge_items_fini(struct merge *m);
struct merge_item *merge_items_find(const struct merge *m, const char *path);
struct tree *merge_tree_of(
	const struct merge *m, const struct merge_item *it, const struct tree_entry *en);

/* Content: type, link target, device number, bytes.  NULL is "not there". */
struct merge_side {
	struct tree *tree;
	const struct tree_entry *en;
};
int merge_same_content(const struct merge_side *a, const struct merge_side *b, bool *same,
	struct err *e) MUST_CHECK;
/* The whole file, with a NUL behind it; *len may be NULL.  -EBADMSG; -EFBIG past max_bytes. */
int merge_read(const struct merge_side *s, size_t max_bytes, char **out, size_t *len, struct err *e)
	MUST_CHECK;
bool merge_xattr_is_private(const struct xattr *x); /* of the overlay */
const struct xattr *merge_xattr_find(const struct tree_entry *en, const char *name);
bool merge_xattr_same(const struct xattr *a, const struct xattr *b); /* NULL: not there */
/* Mode and extended attributes. */
bool merge_same_attributes(const struct tree_entry *a, const struct tree_entry *b);

struct merge_text {
	const char *data;
	size_t len;
};
/* Line by line; *out stays NULL when both have changed the same place. */
int merge_lines(const struct merge_text *node, const struct merge_text *old,
	const struct merge_text *new, char **out, struct err *e) MUST_CHECK;

/* Whose ids are whose. */
int merge_accounts_load(struct merge *m, struct err *e) MUST_CHECK;
void merge_accounts_free(struct merge_accounts *a);
/* The merged file, NULL when path is none of them or there is none. */
const char *merge_accounts_text(const struct merge_accounts *a, const char *path);
const struct strv *merge_accounts_notes(const struct merge_accounts *a);
uint32_t merge_uid_of_old(const struct merge_accounts *a, uint32_t uid);
uint32_t merge_gid_of_old(const struct merge_accounts *a, uint32_t gid);
uint32_t merge_uid_of_new(const struct merge_accounts *a, uint32_t uid);
uint32_t merge_gid_of_new(const struct merge_accounts *a, uint32_t gid);

int merge_decide(struct merge *m, struct progress *p, struct err *e) MUST_CHECK;
/* What the new image enables, and the node has disabled altogether. */
void merge_units(struct merge *m);
/* Folders that have to be, what has no folder, names beside, and what is to be written. */
void merge_shape(struct merge *m);
void merge_metadata(const struct merge *m, struct merge_item *it);
/* The same as the new base has it. */
bool merge_is_plain(const struct merge_item *it);
int merge_say(const struct merge *m, struct merge_report *out, struct err *e) MUST_CHECK;
int merge_write(const struct merge *m, int out_fd, struct progress *p, struct err *e) MUST_CHECK;
