/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text formats beside an image on any bytes.  What a parser takes, its writer must give back
 * such that it is taken again and is the same.
 */
#include <assert.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "image/files.h"
#include "image/manifest.h"
#include "image/package-db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_manifest(const char *text, size_t len)
{
	automanifest m = {0};
	automanifest again = {0};

	if (manifest_parse(text, len, &m, NULL) < 0)
		return;
	autofree char *first = manifest_format(&m);
	int r = manifest_parse(first, strlen(first), &again, NULL);
	assert(r == 0);
	autofree char *second = manifest_format(&again);
	assert(str_eq(first, second));
}

static void try_files(const char *text, size_t len)
{
	autofree char *copy = xstrndup(text, len);
	autoptr(files) f = NULL;
	size_t out_len;

	if (files_parse(copy, len, &f, NULL) < 0)
		return;
	autofree char *out = files_format(f, &out_len);
	autofree char *again = xmemdup(out, out_len + 1);
	autoptr(files) g = NULL;
	int r = files_parse(again, out_len, &g, NULL);
	assert(r == 0 && g->count == f->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autofree char *text = xcalloc(1, len + 1);
	automanifest packages = {0};

	memcpy(text, data, len);
	try_manifest(text, len);
	try_files(text, len);
	(void)!packages_parse(text, &packages, NULL);
	return 0;
}
