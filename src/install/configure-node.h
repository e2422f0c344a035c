/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a mounted target this node: fstab, hostname, the kickstart's commands, its scripts, the
 * factory record.  The commands that an image build also knows are carried out by the same code
 * (image/configure.h).
 */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "base/tree.h"
#include "image/manifest.h"
#include "install/target.h"
#include "ks/model.h"
#include "storage/layout.h"

struct node_config {
	const struct ks_doc *doc;
	const struct layout *layout;
	const struct manifest *manifest;
	const char *layer;
	const char *origin;         /* of the image, for people; NULL: unknown */
	const char *kickstart_text; /* for /var/log/bedplate/install.ks; passwords are left out */
	int log_fd;
};

/*
 * Before anything is written: fails for a command that node_configure() could not carry out with this
 * image.  The commands are carried out on a copy of the image's few files that they look at, below the
 * folder work.  What a program of the image would say against them is not asked.
 */
int node_precheck(const struct ks_doc *doc, struct tree *image_tree, const char *work,
	struct err *e) MUST_CHECK;

/*
 * What "network --activate" names is brought up on the running system, which may need it to fetch the
 * image.  That it cannot be is said, and no error; a line that is wrong is one.
 */
int node_bring_up_network(const struct ks_doc *doc, int log_fd, struct err *e) MUST_CHECK;

/* Fill volumes from the image's factory tree, write fstab, carry out the kickstart's commands. */
int node_configure(struct target *t, const struct node_config *c, struct progress *p, struct err *e)
	MUST_CHECK;
/* %pre-install before the target is configured; %post after the boot loader. */
int node_run_pre_install(const struct node_config *c, struct target *t, struct err *e) MUST_CHECK;
int node_run_post(const struct node_config *c, struct target *t, struct err *e) MUST_CHECK;
/* %onerror, on the installer's system; t is NULL when there is no target yet.  Failures are logged. */
void node_run_onerror(const struct node_config *c, struct target *t);
/* factory.json, and the log file so far. */
int node_write_record(struct target *t, const struct node_config *c, const char *log_path,
	struct err *e) MUST_CHECK;

/*
 * The kernel command line of the installed node: the layer and its root hash, the image's own
 * boot.conf, the kickstart's --append, and the console= of the running system.  The caller frees it.
 */
char *node_cmd_line(const struct node_config *c, const char *image_append,
	const char *running_cmd_line) MUST_CHECK;
