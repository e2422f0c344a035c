/* SPDX-License-Identifier: Apache-2.0 */
/* The tarball of a plugin as plugin_read() wants it: fixed owners and times, members in order. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/io.h"
#include "base/progress.h"

struct plugin_part {
	const char *path;
	struct source *content;
	bool is_program;
};

/* Into an empty regular file. */
int plugin_write(int fd, const struct plugin_part *parts, size_t count, struct progress *p,
	struct err *e) MUST_CHECK;
