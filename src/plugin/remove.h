/* SPDX-License-Identifier: Apache-2.0 */
/* Take a plugin out of an image. */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "plugin/derive.h"

struct plugin_remove_spec {
	struct derive_spec derive;
	const char *name;
	struct strv plugins; /* paths of those that came with or after it: they are applied again */
};

/*
 * The image before the plugin was applied comes back byte for byte; that needs neither root nor the
 * plugin.  Others that have to be applied again need both.  -ENOENT: it is not in the image, or the
 * file of another one is missing.  -EINVAL: the image was edited since.
 */
int plugin_remove(const struct plugin_remove_spec *spec, struct derive_result *out,
	struct progress *p, struct err *e) MUST_CHECK;
