/* SPDX-License-Identifier: Apache-2.0 */
/* A base of the node as a tree, read through dm-verity without a mount. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "image/image.h"
#include "upgrade/base-ref.h"
#include "upgrade/site.h"

#define BASE_VIEW_OLD "bedplate-upgrade-old" /* device-mapper names */
#define BASE_VIEW_NEW "bedplate-upgrade-new"

struct base_view {
	struct base_ref ref; /* of the site's report */
	char *mapper;        /* NULL: it is the running base, which stays open */
	char *device;        /* "/dev/mapper/..." */
	struct image *img;
	char *name, *version; /* of its image.json; NULL: it has none */
};

/*
 * mapper_name is taken over from a process that was killed.  The caller closes it while s lives.
 * -EKEYREJECTED: it has another root hash; -EBADMSG: it is damaged.
 */
int base_view_open(const struct site *s, const char *base, const uint8_t root_hash[32],
	const char *mapper_name, struct base_view *out, struct err *e) MUST_CHECK;
void base_view_fini(struct base_view *v);
#define autobaseview auto_with(base_view_fini) struct base_view

/* Close what processes that were killed have left open: only with the lock of the site.  true: some had. */
bool base_view_drop_leftovers(void);
