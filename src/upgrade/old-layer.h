/* SPDX-License-Identifier: Apache-2.0 */
/* The upper half of a layer, out of a snapshot that nobody else changes. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"
#include "hotadd/carry.h"
#include "upgrade/place.h"
#include "upgrade/site.h"

struct old_layer {
	char *vg, *name; /* of the snapshot; NULL: there is none */
	struct place place;
	struct tree *upper;
	int fd;                       /* of the folder upper; belongs to it */
	struct added_plugins plugins; /* that were taken out of it */
};

#define OLD_LAYER_NONE                                                                             \
	{                                                                                          \
		.place = PLACE_NONE, .fd = -1                                                      \
	}

/* Without what plugins have brought, so that what is left is the administrator's. */
int old_layer_open(const struct site *s, const char *layer, struct old_layer *out, struct err *e)
	MUST_CHECK;
/* As it is. */
int old_layer_open_all(
	const struct site *s, const char *layer, struct old_layer *out, struct err *e) MUST_CHECK;
/* The snapshot goes. */
void old_layer_fini(struct old_layer *o);
#define autooldlayer auto_with(old_layer_fini) struct old_layer
