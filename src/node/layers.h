/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bases and layers of the node as a tree, out of the gathered state.
 *
 * A layer without its base, and a volume whose name is no layer's, are listed as such.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "node/state.h"

struct node_layer {
	const struct lvm_lv *lv; /* belongs to the state */
	bool current, is_default, has_entry;
	bool on_trial, staged, failed; /* failed: its trial has */
};

struct node_base {
	const struct lvm_lv *lv;
	struct node_layer *layers; /* by number */
	size_t count;
};

struct node_layers {
	struct node_base *bases; /* by name */
	size_t count;
	struct node_base orphans;      /* layers whose base is not there; lv is NULL */
	const struct lvm_lv **unknown; /* tagged as a layer, and not named like one */
	size_t unknown_count;
};

void node_layers_fini(struct node_layers *l);
#define autonodelayers auto_with(node_layers_fini) struct node_layers

/* out starts zeroed, and lives as long as s. */
void node_layers_find(const struct node_state *s, struct node_layers *out);

void node_layers_text(const struct node_layers *l, struct strbuf *out);
/* {"bases", "without_base", "unknown"}: docs/formats/nodectl.md.  The caller owns the reference. */
json_t *node_layers_json(const struct node_layers *l) MUST_CHECK;
