/* SPDX-License-Identifier: Apache-2.0 */
/* The software bill of materials of an image, as SPDX 2.3 JSON (spdx.github.io/spdx-spec/v2.3). */
#pragma once

#include "base/macro.h"
#include "image/manifest.h"

/* The document's text, the same for the same manifest.  The caller frees it. */
char *sbom_format(const struct manifest *m) MUST_CHECK;
