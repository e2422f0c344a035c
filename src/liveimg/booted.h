/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this system was started from: the liveimg, its medium, and the kernel's command line.
 *
 * dracut's dmsquash-live leaves a medium mounted on /run/initramfs/live, a copy in memory as
 * /run/initramfs/squashed.img, and what lies directly on a device or came over the network behind
 * the mount on /run/initramfs/squashfs.  Source: dracut-059, modules.d/90dmsquash-live and 90livenet.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "sys/kernel-line.h"

#define BOOTED_MEDIUM "/run/initramfs/live"
#define CMD_LINE_MAX  (64 * KIB)

struct booted {
	char *image;  /* file or block device with the squashfs */
	char *origin; /* for people */
	char *url;    /* where it was fetched from, or NULL */
	char *folder; /* of the medium that it lies in, or NULL */
};

void booted_fini(struct booted *b);
#define autobooted auto_with(booted_fini) struct booted

/* /proc/cmdline.  The caller frees it. */
int cmd_line_read(char **text, struct err *e) MUST_CHECK;

/*
 * root is "" for the running system; out starts zeroed.  -ENOENT: this system was not started from a
 * liveimg.
 */
int booted_find(const char *root, const struct strv *cmd_line, struct booted *out, struct err *e)
	MUST_CHECK;
