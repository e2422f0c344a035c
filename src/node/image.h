/* SPDX-License-Identifier: Apache-2.0 */
/* What an image says of itself, wherever its tree is read from: docs/image-tree.md. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define NODE_IMAGE_JSON      "usr/lib/bedplate/image.json"
#define NODE_IMAGE_MAX_BYTES (1 * MIB)

struct node_image {
	char *name, *version, *arch;
	int64_t source_date; /* seconds since 1970 */
	struct strv plugins; /* names, in the order in which they were applied */
	bool edited;         /* by "bedplate image edit" */
};

void node_image_fini(struct node_image *i);
#define autonodeimage auto_with(node_image_fini) struct node_image

/* Of its image.json.  out starts zeroed.  -EBADMSG: that is damaged. */
int node_image_parse(const char *text, struct node_image *out, struct err *e) MUST_CHECK;
