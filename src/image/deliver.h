/* SPDX-License-Identifier: Apache-2.0 */
/* Put what a build has made into the folder of the user's choice, and sign it. */
#pragma once

#include "base/err.h"
#include "image/build.h"

struct deliver_spec {
	const char *from;   /* folder of liveimg_make() */
	const char *output; /* folder, made when missing */
	const char *name, *version;
	const char *sign_key, *sign_cert; /* or NULL */
};

/*
 * Files are copied under temporary names and renamed once all are complete, the manifest last.  A
 * file that is already there and the same is left alone.  Fills name, version, paths and sizes of
 * out.
 */
int deliver_image(const struct deliver_spec *spec, struct build_result *out, struct err *e)
	MUST_CHECK;
