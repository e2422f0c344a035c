/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image from wherever it is, fetched and checked: nothing of it is handed out, or even parsed,
 * before what pins it was right.  Signature, then manifest, then the digest of the image.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "image/image.h"
#include "image/manifest.h"
#include "liveimg/fetch.h"

/* Of the running system: its *.pem are who may sign.  Where there are any, a signature is needed. */
#define LIVEIMG_TRUST_FOLDER "/etc/bedplate/trust.d"

struct liveimg;

struct liveimg_from {
	/*
	 * NULL: the image that this system was booted from.  Otherwise an image; the folder of a
	 * build, of a medium or of an image on it; an ISO; a stick, as a disk or in a file, with
	 * ":NAME-VERSION" behind it when it has several images; a URL; "-": standard input.
	 */
	const char *where;
	const char *folder;    /* for what is downloaded, the caller's own */
	bool to_disk;          /* folder is on a disk; otherwise it gets a file system in memory */
	const uint8_t *sha256; /* what the image has to have, or NULL */
	const char *sha256_from; /* who says so, for messages: "FILE:LINE: liveimg: --checksum" */
	const char *manifest; /* path of the manifest when where is "-"; NULL: beside the image */
	bool signed_only;     /* also without anchors; then unsigned_ok lifts it */
	/* No signature at all is fine.  A wrong one never is; without anchors none is judged, and none counts. */
	bool unsigned_ok;
	const char *trust; /* NULL: LIVEIMG_TRUST_FOLDER */
	struct fetch_options fetch;
	/*
	 * Once signature and manifest were right, before anything of the image is fetched; may be NULL.
	 * What it says goes to the caller as it is.  l has neither image nor download.
	 */
	int (*judge)(void *ctx, const struct liveimg *l, struct err *e);
	void *ctx;
};

struct liveimg {
	struct image *img;
	struct manifest manifest;
	char *signer;       /* NULL: not signed, or no anchors to check it with */
	char *origin;       /* for people: the URL, or "the medium" */
	struct source *iso; /* that img is read out of, or NULL */
	char *download;     /* the file that a download to disk became, or NULL */
	/* As they were fetched, for who keeps them; sig is NULL when there is none. */
	char *manifest_text, *sig;
	size_t manifest_len, sig_len;
};

void liveimg_fini(struct liveimg *l);
#define autoliveimg auto_with(liveimg_fini) struct liveimg

/* Paths of the certificates in LIVEIMG_TRUST_FOLDER. */
void liveimg_anchors(struct strv *out);

/*
 * out starts zeroed.  -EBADMSG: a digest, -EKEYREJECTED: the signature, -EINVAL: of another
 * architecture, or no image that a node can run; -ENOMEM, -ENOSPC: no room for it, with numbers;
 * -ENOENT.
 *
 * A download to disk is NAME-VERSION.DIGEST.part in the folder.  It stays when it breaks off, and when
 * it is complete: the next call for the same image goes on with it.  Those of other images go.
 */
int liveimg_get(const struct liveimg_from *spec, struct liveimg *out, struct progress *p,
	struct err *e) MUST_CHECK;
/* Whether this system says who may sign images. */
bool liveimg_has_trust(void);
/* What would be downloaded into the folder, after what is there already; 0: nothing. */
uint64_t liveimg_download_bytes(const struct liveimg_from *spec, const struct manifest *m);
/* An image that is not wanted: what an earlier call has downloaded of it goes. */
void liveimg_drop_part(const struct liveimg_from *spec, const struct manifest *m);
/* The image was used: what was downloaded goes from the disk.  It can still be read. */
void liveimg_drop_download(struct liveimg *l);
