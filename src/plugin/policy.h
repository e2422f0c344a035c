/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin may write, as places in the tree of an image: its declared paths with every link on
 * their way followed, as the image has them before the plugin touches it.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"
#include "plugin/changes.h"
#include "plugin/manifest.h"

/*
 * Where a write to path ends up in the tree: links of its folders are followed, inside the tree, and
 * what is not there stays as it is.  follow: the last component as well.  NULL: links go round.  The
 * caller frees it.
 */
char *plugin_real_path(const struct tree *t, const char *path, bool follow);

struct plugin_policy;

struct plugin_policy *plugin_policy_new(const struct plugin_manifest *m, const struct tree *base)
	MUST_CHECK;
void plugin_policy_free(struct plugin_policy *p);
DEFINE_AUTOPTR(plugin_policy, plugin_policy_free)

/* Paths as of plugin_real_path(). */
bool plugin_policy_declares(const struct plugin_policy *p, const char *path);
/*
 * The same, and what belongs to the declared without being said: new folders on the way to it, the
 * package database, links that enable declared units.
 */
bool plugin_policy_allows(const struct plugin_policy *p, const struct tree_entry *en, bool is_new);
/*
 * Whether the plugin may make this change.  owner: the plugin that the file is of already, or NULL.
 * -EACCES: it is not declared, or a device; -ENOTUNIQ: it is the other plugin's.
 */
int plugin_policy_check(const struct plugin_policy *p, const struct change *c, const char *owner,
	struct err *e) MUST_CHECK;
/* Each plugin with a user of its own adds lines there. */
bool plugin_path_is_of_accounts(const char *path);
/* What every plugin changes: the package database and what is made anew from all there is. */
bool plugin_path_is_common(const char *path);
