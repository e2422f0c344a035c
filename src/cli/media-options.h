/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that write media have in common. */
#pragma once

#include "base/cli.h"
#include "media/media.h"

struct media_options {
	const char *kickstart, *label, *append;
};

static inline struct media_spec media_spec_of(const char *image, const struct media_options *o)
{
	return (struct media_spec){.image = image,
		.kickstart = o->kickstart,
		.label = o->label,
		.append = o->append,
		.timeout_seconds = -1};
}
