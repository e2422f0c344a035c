/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe of a plugin: a subset of kickstart, what is not in it is an error with its line.
 *
 * part / --size, bootloader --append, repo --baseurl, services --enabled, firewall --port, %pre,
 * %packages and %post; docs/plugin.md says what each does.  Nothing is included from elsewhere.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "ks/ks.h"
#include "plugin/manifest.h"

#define PLUGIN_RECIPE_MAX_BYTES (1 * MIB)

struct plugin_recipe {
	struct ks_doc *doc;       /* its scripts: ks_script_count() */
	uint64_t root_size_bytes; /* of part /; 0: as large as it is */
	struct strv kernel_add, kernel_remove;
	struct strv services; /* with their type: "agent.service" */
	struct strv ports;    /* "161:udp" */
	struct strv packages;
	unsigned kernel_line, services_line, ports_line; /* 0: not there */
	unsigned *package_lines;                         /* packages.count of them */
};

/* name is what errors call it.  -EINVAL: "NAME:LINE: text". */
int plugin_recipe_parse(const char *name, const char *text, size_t len, struct plugin_recipe **out,
	struct err *e) MUST_CHECK;
void plugin_recipe_free(struct plugin_recipe *r);
DEFINE_AUTOPTR(plugin_recipe, plugin_recipe_free)

/*
 * All that the recipe does stands in the manifest, and its packages are there.  -EINVAL, as above.
 */
int plugin_recipe_check(const char *name, const struct plugin_recipe *r,
	const struct plugin_manifest *m, struct err *e) MUST_CHECK;
