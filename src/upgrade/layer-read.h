/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roots of layers as trees to read: the running one where it is mounted, others from their volumes.
 *
 * Nothing on disk changes: volumes are activated and mounted read-only, without replaying a journal,
 * in this process's own namespace, and released again.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/tree.h"
#include "node/state.h"

struct layer_reader;

/* The state was gathered with NODE_LOOK_STORAGE and outlives the reader.  Needs root. */
int layer_reader_new(const struct node_state *s, struct layer_reader **out, struct err *e)
	MUST_CHECK;
/* Releases what was opened; trees are gone.  What cannot be released is warned of. */
void layer_reader_free(struct layer_reader *r);
DEFINE_AUTOPTR(layer_reader, layer_reader_free)

/*
 * Both belong to the reader.  layer NULL: the running one, with what a stateless boot has changed.
 * A base that two layers have in common is one tree.  -ENOENT: there is no such layer, or its base
 * is not there.
 */
int layer_reader_root(struct layer_reader *r, const char *layer, struct tree **out, struct err *e)
	MUST_CHECK;
int layer_reader_base(struct layer_reader *r, const char *layer, struct tree **out, struct err *e)
	MUST_CHECK;
