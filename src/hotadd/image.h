/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins are judged by of an image that has no manifest beside it. */
#pragma once

#include "hotadd/hotadd.h"
#include "image/manifest.h"

/* out starts zeroed, and has only what is asked for. */
void hotadd_image_manifest(const struct hotadd_image *image, struct manifest *out);
