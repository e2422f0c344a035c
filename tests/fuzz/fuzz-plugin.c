/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin out of any bytes: as a tarball, and as a manifest, a draft, a recipe and an index alone.
 * What the manifest's parser takes, its writer must give back such that it is the same again.
 */
#include <assert.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "plugin/read.h"
#include "plugin/repo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_tarball(const void *data, size_t len)
{
	const struct plugin_demand demand = {0};
	autoptr(source) file = source_memory(data, len);
	auto_plugin p = {0};

	(void)!plugin_read(file, &demand, NULL, &p, NULL);
}

static void try_package(const void *data, size_t len)
{
	autoptr(source) file = source_memory(data, len);
	auto_plugin_manifest m = {0};
	autofree char *control = NULL;
	autostrbuf index = {0};

	if (plugin_package_add(&m, file, &control, NULL) < 0)
		return;
	plugin_index_add(&index, control, &m.packages[0]);
}

static void try_manifest(const char *text, size_t len)
{
	auto_plugin_manifest m = {0};
	auto_plugin_manifest again = {0};

	if (plugin_manifest_parse(text, len, &m, NULL) < 0)
		return;
	(void)!plugin_index_check(text, len, &m, NULL);
	autofree char *first = plugin_manifest_format(&m);
	int r = plugin_manifest_parse(first, strlen(first), &again, NULL);
	assert(r == 0);
	autofree char *second = plugin_manifest_format(&again);
	assert(str_eq(first, second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autofree char *text = xcalloc(1, len + 1);
	auto_plugin_manifest draft = {0};
	autoptr(plugin_recipe) recipe = NULL;

	memcpy(text, data, len);
	try_tarball(data, len);
	try_package(data, len);
	try_manifest(text, len);
	(void)!plugin_draft_parse(text, len, &draft, NULL);
	(void)!plugin_recipe_parse("recipe.ks", text, len, &recipe, NULL);
	return 0;
}
