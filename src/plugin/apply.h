/* SPDX-License-Identifier: Apache-2.0 */
/* Put plugins into an image. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "plugin/derive.h"

struct plugin_apply_spec {
	struct derive_spec derive; /* trust: of the image's signer and of the plugins' */
	struct strv plugins;       /* paths, in the order in which they are applied */
	bool trust_plugins_only;   /* the image has been checked already */
};

/*
 * Needs root and no network.  Nothing appears unless all of it is right.  out starts zeroed.  -EINVAL,
 * -EEXIST, -ENOTUNIQ, -EACCES: a plugin does not fit the image, another plugin or what it declares.
 */
int plugin_apply(const struct plugin_apply_spec *spec, struct derive_result *out,
	struct progress *p, struct err *e) MUST_CHECK;
