/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Install media out of an image: ISO, USB stick, PXE folder.  Layout: docs/node.md.
 *
 * No mounts and no loop devices.  Kernel, initramfs, shim and GRUB come out of the image; the
 * liveimg is the same, byte for byte, on every medium.  Output appears under its name only when it is
 * complete (ISO, PXE).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

struct media_spec {
	const char *image;     /* liveimg or the folder of a build */
	const char *kickstart; /* a file, or NULL */
	const char *label;     /* NULL: NAME-VERSION in the characters allowed */
	const char *append;    /* more kernel parameters, or NULL */
	const char *
		default_entry; /* id of the menu entry; NULL: "install" with a kickstart, else "live" */
	int timeout_seconds; /* of the menu; < 0: the default */
};

/* -ENOENT: the image lacks a kernel, an initramfs or a boot loader; the message says the package. */
int media_write_iso(const struct media_spec *spec, const char *output, struct progress *p,
	struct err *e) MUST_CHECK;

/* Whether the file is an ISO, ours or another. */
bool media_is_iso(const char *path);

/* Whether it is one of ours, which has a liveimg with its manifest, and whether a kickstart is on it. */
bool media_is_ours(const char *path, bool *has_kickstart);

/* What an ISO of ours was made of, so that another one can be made like it. */
struct media_iso {
	struct media_spec spec; /* its strings are those below; image is in the folder */
	char *image, *kickstart, *label, *append, *default_entry;
};

void media_iso_fini(struct media_iso *m);

/*
 * Take an ISO apart: the image with what lies beside it, and the kickstart, into folder.  out starts
 * zeroed.  -ENOENT, -EBADMSG: it is none of ours.
 */
int media_read_iso(const char *path, const char *folder, struct media_iso *out, struct progress *p,
	struct err *e) MUST_CHECK;

struct media_verify_spec {
	const char *path; /* an ISO, or a folder: PXE, a mounted medium */
	/* Called for each file that is wrong: "damaged", "missing", "not in SHA256SUMS". */
	void (*found)(void *ctx, const char *file, const char *problem);
	void *ctx;
};

/*
 * Check every file, and what an ISO has besides files, against the checksums on it.  -EBADMSG:
 * something is wrong.
 */
int media_verify(const struct media_verify_spec *spec, struct progress *p, struct err *e)
	MUST_CHECK;

struct media_usb_spec {
	struct media_spec media;
	const char *target;  /* a device, or a file that is made or updated */
	uint64_t size_bytes; /* of a new file; 0: as needed */
	bool force;          /* a device that is not removable */
	bool dry_run, yes;
	/* Called with each line of the plan before anything is done; may be NULL. */
	void (*plan)(void *ctx, const char *line);
	void *ctx;
};

/*
 * A stick of ours gets the image beside those it has; anything else is erased, with yes.  -EBUSY:
 * mounted or in use; -EPERM: not removable, or erasing needs yes; -ENOSPC: too small; -EFBIG: FAT
 * cannot hold the image.
 */
int media_write_usb(const struct media_usb_spec *spec, struct progress *p, struct err *e)
	MUST_CHECK;

/* url: where the folder will be served from, "http://10.0.0.1/node"; NULL: ${next-server}-relative. */
int media_write_pxe(const struct media_spec *spec, const char *folder, const char *url,
	struct progress *p, struct err *e) MUST_CHECK;
