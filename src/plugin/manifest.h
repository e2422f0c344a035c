/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest of a plugin: what it is, what it fits, all it may change, and the digest of each of
 * its members.
 *
 * Format: docs/formats/plugin.md.  Text from outside is hostile: every key is checked for its name,
 * type, form and size before it gets into the struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

#define PLUGIN_MANIFEST           "manifest.json"
#define PLUGIN_SIGNATURE          "manifest.json.sig"
#define PLUGIN_RECIPE             "recipe.ks"
#define PLUGIN_PACKAGES           "packages/"
#define PLUGIN_INDEX              "packages/Packages"
#define PLUGIN_TESTS              "tests/"
#define PLUGIN_FORMAT             1
#define PLUGIN_MANIFEST_MAX_BYTES (4 * MIB)
#define PLUGIN_MEMBER_MAX_BYTES   (4 * GIB)
#define PLUGIN_MAX_BYTES          (16 * GIB)
#define PLUGIN_LIST_MAX           4096 /* of any list in it */

/* An image it is compatible with. */
struct plugin_image {
	char *name;
	char *from;   /* the first version, or NULL */
	char *before; /* the first version that is too new, or NULL */
};

struct plugin_module {
	char *name;
	struct strv kernels; /* releases or globs of them */
};

struct plugin_member {
	char *file; /* its path in the tarball */
	uint64_t size_bytes;
	uint8_t sha256[SHA256_BYTES];
};

struct plugin_package {
	char *name, *version, *arch;
	struct plugin_member member;
};

struct plugin_manifest {
	char *name, *version, *vendor, *description;
	struct plugin_image *images;
	size_t image_count;
	struct strv writes; /* absolute paths; with a '/' at the end: the folder and all below */
	struct strv state;  /* the same, below /var: kept by upgrades and rollbacks */
	struct strv services;
	struct strv ports; /* "161:udp" */
	struct strv kernel_add, kernel_remove;
	struct plugin_module *modules;
	size_t module_count;
	struct strv conflicts;           /* names of other plugins */
	struct plugin_package *packages; /* sorted by name, then arch */
	size_t package_count;
	struct plugin_member *files; /* all other members, sorted */
	size_t file_count;
};

void plugin_manifest_fini(struct plugin_manifest *m);
#define auto_plugin_manifest auto_with(plugin_manifest_fini) struct plugin_manifest

/* One more, zeroed. */
struct plugin_package *plugin_manifest_add_package(struct plugin_manifest *m);
struct plugin_member *plugin_manifest_add_file(struct plugin_manifest *m);
void plugin_manifest_sort(struct plugin_manifest *m);

/* Canonical text: sorted keys, two blanks a level, a newline at the end.  The caller frees it. */
char *plugin_manifest_format(const struct plugin_manifest *m) MUST_CHECK;

/* out starts zeroed.  -EBADMSG: not a manifest, or a key is unknown, missing or wrong. */
int plugin_manifest_parse(const char *text, size_t len, struct plugin_manifest *out, struct err *e)
	MUST_CHECK;
/*
 * The same for what a packager writes: without packages, files and format, and with comments, lines
 * that begin with "//".
 */
int plugin_draft_parse(const char *text, size_t len, struct plugin_manifest *out, struct err *e)
	MUST_CHECK;

/*
 * Every member in the order in which they follow the manifest in the tarball.  The caller frees the
 * list, not what it points to.
 */
const struct plugin_member **plugin_manifest_members(const struct plugin_manifest *m, size_t *count)
	MUST_CHECK;
/* NULL when there is none. */
const struct plugin_package *plugin_manifest_package(
	const struct plugin_manifest *m, const char *name);
