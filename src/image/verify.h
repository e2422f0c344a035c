/* SPDX-License-Identifier: Apache-2.0 */
/* Check an image against its manifest and the signature of that, to the last block. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

struct image_verify_spec {
	const char *path;  /* of the image, or the folder of a build */
	struct strv trust; /* see sign_verify() */
	bool unsigned_ok;  /* without trust: accept a manifest without a signature */
	/* Called for each check that passed. */
	void (*passed)(void *ctx, const char *what);
	void *ctx;
};

/*
 * -EKEYREJECTED: signature missing or wrong.  -EBADMSG: content differs; the message names the
 * file and, where it is known, the block.
 */
int image_verify(const struct image_verify_spec *spec, struct progress *p, struct err *e)
	MUST_CHECK;
