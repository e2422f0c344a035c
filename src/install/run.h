/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of an install share.  Internal to install/. */
#pragma once

#include "base/progress.h"
#include "install/configure-node.h"
#include "install/install.h"
#include "install/kickstart.h"
#include "install/source.h"
#include "install/target.h"
#include "storage/apply.h"
#include "storage/inventory.h"
#include "storage/layout.h"

#define INSTALL_FOLDER "/run/bedplate/install"
#define INSTALL_TARGET INSTALL_FOLDER "/target"

struct install {
	const struct install_spec *spec;
	struct progress *p;
	FILE *out, *log; /* log may be NULL */
	int log_fd;      /* of log; -1: none */
	char *cmd_line;  /* of the running system */
	struct install_ks ks;
	struct liveimg image;
	struct inventory inv;
	struct layout layout;
	char *base, *layer; /* "NAME-VERSION", "NAME-VERSION+1" */
	struct node_config config;
	struct target *target; /* NULL: not open */
};

/* What the kickstart wants when the install is over. */
enum install_end install_end_of(const struct ks_doc *doc);

/* All that writes.  The checks are done. */
int install_write(struct install *in, struct err *e) MUST_CHECK;
