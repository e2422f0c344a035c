/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a Debian package brings, by name; nothing is unpacked to disk. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"

#define DEB_FILES_MAX 200000

struct deb_file {
	char *path; /* without a leading '/' */
	bool is_folder;
};

struct deb_files {
	struct deb_file *items; /* sorted by path */
	size_t count, room;
};

void deb_files_fini(struct deb_files *f);
#define auto_deb_files auto_with(deb_files_fini) struct deb_files

/*
 * out starts zeroed.  -EBADMSG: it is no package, or one that has what a plugin may not have: a path
 * that leads out or through a link of its own, a hard link out, a device, a socket.
 */
int deb_files_read(struct source *deb, struct deb_files *out, struct err *e) MUST_CHECK;
/* NULL when there is none. */
const struct deb_file *deb_files_find(const struct deb_files *f, const char *path);
