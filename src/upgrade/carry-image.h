/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins are judged by, out of the tree of an image.  Internal to upgrade/. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"
#include "hotadd/hotadd.h"
#include "node/image.h"

struct carry_image {
	struct hotadd_image image; /* of what is below */
	struct node_image said;
	char *kernel;
};

/* out stays where it is, and starts zeroed.  -EBADMSG: its image.json is damaged. */
int carry_image_read(struct tree *t, struct carry_image *out, struct err *e) MUST_CHECK;
void carry_image_fini(struct carry_image *c);
#define autocarryimage auto_with(carry_image_fini) struct carry_image
