/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read and check a plugin: a tarball (POSIX ustar, not compressed) with the manifest as its first
 * member, its signature as the second when there is one, and all members that the manifest lists in
 * the order of their paths.
 *
 * Nothing is written anywhere.  Every byte is hostile: a member is a regular file that the manifest
 * knows, of the size and digest that stand there, or the plugin is refused.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/progress.h"
#include "base/str.h"
#include "plugin/manifest.h"
#include "plugin/recipe.h"

#define PLUGIN_SUFFIX          ".plugin"
#define PLUGIN_INDEX_MAX_BYTES (16 * MIB)

/* What has to hold before anything in it is believed. */
struct plugin_demand {
	struct strv trust;     /* as for sign_verify(); empty: the signature is not checked */
	const uint8_t *sha256; /* of the whole file, or NULL */
};

struct plugin {
	struct plugin_manifest manifest;
	struct plugin_recipe *recipe;
	uint64_t size_bytes;
	uint64_t members_at; /* where those behind manifest and signature begin */
	bool has_signature;
	char *signer; /* NULL: not checked */
};

void plugin_fini(struct plugin *p);
#define auto_plugin auto_with(plugin_fini) struct plugin

/*
 * Read all of it.  out starts zeroed.  -EKEYREJECTED: not the file or not the signature that is
 * demanded, and nothing of it was looked at.  -EBADMSG: it is no plugin, or a damaged one.  -EINVAL:
 * its recipe is wrong, with the line.
 */
int plugin_read(struct source *file, const struct plugin_demand *demand, struct progress *p,
	struct plugin *out, struct err *e) MUST_CHECK;
/* Where the content of a member lies in the file.  -EBADMSG: the file is shorter now. */
int plugin_member_place(struct source *file, const struct plugin *p,
	const struct plugin_member *member, uint64_t *at, struct err *e) MUST_CHECK;
/*
 * A member of it again, into an empty regular file; file is what it was read from.  -EBADMSG: it has
 * changed since.
 */
int plugin_extract(struct source *file, const struct plugin *p, const struct plugin_member *member,
	int fd, struct err *e) MUST_CHECK;
/* The same, with the path in front of errors. */
int plugin_read_path(const char *path, const struct plugin_demand *demand, struct progress *p,
	struct plugin *out, struct err *e) MUST_CHECK;
