/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the plugins in an image are what they say. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

struct plugin_verify_spec {
	const char *image;
	struct strv trust; /* as for sign_verify(); empty: the signature is not checked */
	/* Called for each check that passed. */
	void (*passed)(void *ctx, const char *what);
	void *ctx;
};

/*
 * Every file of the image that was there before the plugins is as it was, but for those that they
 * declare; each file of a plugin is as it was written; the packages are complete.  -EBADMSG: what is
 * wrong.  -EKEYREJECTED: the signature.
 */
int plugin_verify(const struct plugin_verify_spec *spec, struct progress *p, struct err *e)
	MUST_CHECK;
