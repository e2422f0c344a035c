/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image or a live ISO, ours or another's, as netroot needs it: the file that clients read, the
 * kernel and its initramfs, and how dracut finds the root.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/manifest.h"
#include "netroot/db.h"
#include "netroot/preflight.h"

struct netroot_input {
	char *path;
	struct source *file;     /* of an ISO */
	struct image *img;       /* a liveimg, or that of an ISO of ours */
	struct source *squashfs; /* in an ISO of another's, or NULL */
	struct source *kernel, *initramfs;
	bool ours;
	struct manifest manifest; /* of ours */
	char *label, *title;
	char *release; /* of the kernel, or NULL */
	char *root;    /* "live:CDLABEL=NAME" */
	char *params;  /* of the image */
	bool own;      /* booted by our module of dracut */
	bool flat;
	unsigned needs; /* of the initramfs, see initramfs_judge() */
	bool ext3fs;    /* holds LiveOS/ext3fs.img */
	struct initramfs_info initramfs_info;
	uint8_t sha256[SHA256_BYTES]; /* of the liveimg, or of the ISO of another's */
};

/*
 * Open it and make sure that it can be booted over NBD.  in starts zeroed.  -EBADMSG: neither an image
 * nor a live ISO, or damaged; -ENOENT: no kernel; -ENOTSUP: see initramfs_judge().
 */
int netroot_input_open(
	const char *path, struct netroot_input *in, struct progress *p, struct err *e) MUST_CHECK;
void netroot_input_fini(struct netroot_input *in);
#define autonetrootinput auto_with(netroot_input_fini) struct netroot_input

/* What clients read, into an empty regular file: the ISO, or an ext4 file system around the liveimg. */
int netroot_input_write(struct netroot_input *in, int fd, struct progress *p, struct err *e)
	MUST_CHECK;
