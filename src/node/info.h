/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is known of a node, for people and for programs. */
#pragma once

#include <jansson.h>

#include "node/state.h"

/* The caller frees it. */
char *node_info_text(const struct node_state *s) MUST_CHECK;
/* docs/formats/nodectl.md.  The caller owns the reference. */
json_t *node_info_json(const struct node_state *s) MUST_CHECK;
