/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree that an overlay of a base and the upper half of a layer shows, without mounting it.
 *
 * As docs/node.md has it mounted: no redirects and no metadata-only copies, so a path in the upper
 * half stands for itself.
 */
#pragma once

#include "base/tree.h"

/* Both have to outlive the result. */
struct tree *overlay_compose(struct tree *base, struct tree *upper) MUST_CHECK;

/*
 * The entry of the base or the upper half that an entry of a composed tree shows; of any other tree
 * the entry itself.  Equal pointers: the same file, whatever is in it.
 */
const struct tree_entry *overlay_origin(const struct tree *t, const struct tree_entry *en);

/* Of an upper half: takes away what the base has at this path. */
bool overlay_is_whiteout(const struct tree_entry *en);
/* A folder of an upper half: nothing of the base's folder shows. */
bool overlay_is_opaque(const struct tree_entry *en);
