/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new image out of another one: unpack it, let somebody change the tree, write what is different.
 *
 * The file system keeps its layout, and of the liveimg every block that did not change is copied as it
 * is.  The result depends on the image and on the changes alone.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "image/image.h"
#include "image/manifest.h"
#include "plugin/changes.h"

struct derive_spec {
	const char *image;
	const char *output;   /* folder, made when missing */
	struct strv trust;    /* as for sign_verify(); empty: the signature is not checked */
	const char *sign_key; /* PEM files; both or neither */
	const char *sign_cert;
};

struct derive {
	const struct derive_spec *spec;
	struct progress *progress;
	struct image *image;      /* as it was given */
	struct manifest manifest; /* of it */
	char *work;               /* folder for all that is large and not for long */
	char *tree_path;          /* its tree; from derive_unpack() on */
	int root_fd;              /* of the tree */
	int log_fd;
	struct image *plain; /* its file system, unpacked; the image itself when it is flat */
	struct tree *before; /* the tree as it was unpacked */
	struct tree *after;  /* as it is finished */
};

void derive_fini(struct derive *d);
#define autoderive auto_with(derive_fini) struct derive

/*
 * Open the image and check it against its manifest, and that against the trusted signers.  -EPERM: not
 * root.  Enters a mount namespace of its own.  d has spec, progress, and -1 for both descriptors.
 */
int derive_open(struct derive *d, struct err *e) MUST_CHECK;
/* The first half of it, for who only reads: no root is needed, and d->work is not there. */
int derive_load(struct derive *d, struct err *e) MUST_CHECK;
/* The .undo file beside the image, checked against the manifest.  -ENOENT: it was made from no other. */
int derive_undo_path(const struct derive *d, char **path, struct err *e) MUST_CHECK;
int derive_unpack(struct derive *d, struct err *e) MUST_CHECK;

struct derive_change {
	const char *version;
	const struct manifest_parts *plugins; /* all of them */
	bool edited;
	bool kernel;         /* modules or what goes into an initramfs have changed */
	uint64_t size_bytes; /* of the file system, at least; 0: as it is, or larger when needed */
};

struct derive_result {
	char *name, *version, *image, *manifest;
	uint64_t image_bytes, rootfs_bytes;
	uint64_t kept_blocks, new_blocks; /* of the liveimg; 0 for a flat one */
};
void derive_result_fini(struct derive_result *r);

/* The tree has been changed: make an image of it and put that into the output folder. */
int derive_finish(struct derive *d, const struct derive_change *change, struct derive_result *out,
	struct err *e) MUST_CHECK;

/* Whether a file goes into the initramfs or the index of modules, so that they are made again. */
bool derive_touches_kernel(const char *path);

/* What is made again then. */
bool derive_is_kernels(const char *path);

/*
 * Move the files of a folder to another one, in the order in which they may appear: who sees the
 * manifest sees all that it speaks of.
 */
int derive_publish(const char *folder, const char *output, struct err *e) MUST_CHECK;
/* A new, empty folder in output, which is made when missing; *made says that it was. */
int derive_staging(const char *output, char **folder, bool *made, struct err *e) MUST_CHECK;
