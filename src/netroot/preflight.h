/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an initramfs can do, seen by the files in it: whether a client that starts with it finds its
 * root over NBD.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"

#define NETROOT_UNPACKED_MAX (2 * GIB)
#define NETROOT_PACKED_MAX   (1 * GIB)

/* Kernel modules that matter; those built into the kernel count. */
enum initramfs_module {
	MODULE_NBD,
	MODULE_EXT4,
	MODULE_ISOFS,
	MODULE_SQUASHFS,
	MODULE_EROFS,
	MODULE_LOOP,
	MODULE_OVERLAY,
	MODULE_SNAPSHOT,
	MODULE_COUNT,
};

#define NEEDS(module) (1U << (module))
#define NEEDS_LIVE    NEEDS(MODULE_COUNT) /* dracut's own modules for live images and NBD */

struct initramfs_info {
	uint64_t unpacked_bytes;
	bool dracut;               /* made by it */
	unsigned dracut_version;   /* 0: not known */
	bool live;                 /* its module dmsquash-live */
	bool nbd_hook, nbd_client; /* its module nbd, and the program */
	bool livenet, curl;        /* its module livenet, and the program */
	bool own;                  /* what bedplate's module needs for netroot */
	bool network;              /* something that sets up an address */
	bool network_driver;       /* of any card; built into the kernel counts */
	bool modules[MODULE_COUNT];
	struct strv releases; /* of the kernels whose modules are in it */
};

void initramfs_info_fini(struct initramfs_info *x);
#define autoinitramfs auto_with(initramfs_info_fini) struct initramfs_info

/* Look through an initramfs, compressed or not.  out starts zeroed.  -EBADMSG, -EFBIG. */
int initramfs_look(struct source *s, struct initramfs_info *out, struct err *e) MUST_CHECK;

/*
 * -ENOTSUP: it cannot boot over NBD from an image that needs these modules (NEEDS() of each; nbd and
 * loop always are); the message names all that is missing and what brings it.  -EBADMSG: it belongs
 * to another kernel.  release may be NULL.
 */
int initramfs_judge(const struct initramfs_info *x, unsigned needs, const char *release,
	struct err *e) MUST_CHECK;

/* -ENOTSUP: it cannot fetch the whole image over HTTP. */
int initramfs_judge_http(const struct initramfs_info *x, struct err *e) MUST_CHECK;

/* The release of an x86 kernel, or NULL.  The caller frees it. */
char *kernel_release(struct source *kernel) MUST_CHECK;
