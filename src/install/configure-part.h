/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of node_configure(), and what they share.  Internal to install/. */
#pragma once

#include "base/err.h"
#include "install/configure-node.h"
#include "storage/layout.h"

/*
 * Text of /etc/fstab.  uuids[i] is that of the file system on l->parts[i], NULL where there is none.
 * The caller frees it.
 */
char *fstab_format(const struct layout *l, const char *const uuids[]) MUST_CHECK;

struct factory_roots {
	int base_fd; /* the image's own root */
	int root_fd; /* the node's, with its volumes mounted */
};

/*
 * Give each new volume what the image has at its mount point: content, and owner, mode and attributes
 * of the folder itself.  A volume with something in it already stays as it is.  A new /var remembers
 * that it has all that the layer's image brings (upgrade/factory-add.h).
 */
int factory_fill_volumes(const struct factory_roots *roots, const struct layout *l,
	const char *layer, struct err *e) MUST_CHECK;

/* The firstboot command; a warning when the image has nothing to carry it out with. */
int firstboot_configure(int root_fd, const struct ks_doc *doc, struct err *e) MUST_CHECK;

struct node_commands {
	struct progress *p; /* may be NULL */
	int log_fd;
	bool dry_run; /* image/configure.h */
};

/* The commands that an image build knows as well, in the tree of a node. */
int node_commands(const struct ks_doc *doc, const char *tree_path, const struct node_commands *how,
	struct err *e) MUST_CHECK;

/* As node_write_record(). */
int record_write(int root_fd, const struct node_config *c, const char *log_path, struct err *e)
	MUST_CHECK;
