/* SPDX-License-Identifier: Apache-2.0 */
/* From a packager's folder to a plugin, and the folder to begin with. */
#pragma once

#include "base/err.h"
#include "base/progress.h"

#define PLUGIN_DRAFT "plugin.json"

struct plugin_pack_spec {
	const char *folder;
	const char *output;   /* a file, or a folder; NULL: NAME-VERSION.plugin here */
	const char *sign_key; /* PEM, with sign_cert; NULL: not signed */
	const char *sign_cert;
};

/*
 * The same folder gives the same bytes, with one key and a signature that has no time in it.  *path is
 * that of the plugin, the caller's to free.  A failure leaves what was there before.
 */
int plugin_pack(const struct plugin_pack_spec *spec, struct progress *p, char **path, struct err *e)
	MUST_CHECK;

/* A folder with a commented template that plugin_pack() takes.  -EEXIST: there is something. */
int plugin_new(const char *name, const char *folder, struct err *e) MUST_CHECK;
