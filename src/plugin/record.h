/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image knows of the plugins in it: /usr/lib/bedplate/plugins/NAME.json, the manifest, and
 * NAME.files, what it wrote.  Format: docs/formats/plugin.md.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/tree.h"
#include "image/files.h"
#include "plugin/changes.h"
#include "plugin/manifest.h"

#define PLUGIN_RECORDS "usr/lib/bedplate/plugins"

struct plugin_record {
	uint8_t sha256[SHA256_BYTES]; /* of the plugin's file */
	struct plugin_manifest manifest;
	struct files *files; /* what it added or changed */
	struct strv removed; /* paths */
};

struct plugin_records {
	struct plugin_record *items; /* sorted by name */
	size_t count;
};

void plugin_records_fini(struct plugin_records *r);
#define auto_plugin_records auto_with(plugin_records_fini) struct plugin_records

/* out starts zeroed.  An image without plugins has none.  -EBADMSG: a damaged record. */
int plugin_records_read(struct tree *t, struct plugin_records *out, struct err *e) MUST_CHECK;
const struct plugin_record *plugin_records_find(const struct plugin_records *r, const char *name);

/* The plugin that a file is of, no folder; or NULL. */
const char *plugin_records_owner(const struct plugin_records *r, const char *path);

/* Into the tree at root_fd; files and removed are those of changes that are no common ones. */
int plugin_record_write(int root_fd, const char *tree_path, const struct plugin_manifest *m,
	const uint8_t sha256[SHA256_BYTES], const struct changes *c, int64_t source_date,
	struct err *e) MUST_CHECK;
/* The same of what t has, which has been read already; what is not of the record is taken out of it. */
int plugin_record_write_of(int root_fd, struct tree *t, const struct plugin_manifest *m,
	const uint8_t sha256[SHA256_BYTES], const struct changes *c, struct err *e) MUST_CHECK;
