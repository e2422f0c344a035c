/* SPDX-License-Identifier: Apache-2.0 */
/* Change an image by hand: packages, files, scripts.  What comes out is marked as edited. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "plugin/derive.h"

struct image_edit_spec {
	struct derive_spec derive;
	/*
	 * In this order: "packages=NAME[,NAME...]", names or paths of .deb files; "copy=SRC:DST";
	 * "run=SCRIPT", a file of this machine.
	 */
	struct strv steps;
	bool shell;          /* behind the steps: a shell in the image, on our terminal */
	struct strv repos;   /* for packages, as of plugin_resolve(); empty: those of the image */
	const char *cache;   /* folder for what is fetched of repositories */
	const char *version; /* of the result; NULL: the image's with "+edit" */
};

/* Needs root; packages by name need their repositories.  Nothing appears unless all of it went well. */
int image_edit(const struct image_edit_spec *spec, struct derive_result *out, struct progress *p,
	struct err *e) MUST_CHECK;
