/* SPDX-License-Identifier: Apache-2.0 */
/* packages/ as a repository that apt and libsolv read: one Packages file beside the packages. */
#pragma once

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "plugin/manifest.h"

/*
 * Read a .deb and add it to the manifest, named as an archive would: NAME_VERSION_ARCH.deb.  *control
 * is its control text, which the caller frees.  The member's digest is the whole file's.  -EBADMSG:
 * it is no package.
 */
int plugin_package_add(struct plugin_manifest *m, struct source *deb, char **control, struct err *e)
	MUST_CHECK;

/* Append the paragraph of a package to the text of a Packages file. */
void plugin_index_add(struct strbuf *b, const char *control, const struct plugin_package *p);

/* A Packages file lists the packages of the manifest, all of them and nothing else.  -EBADMSG. */
int plugin_index_check(const char *text, size_t len, const struct plugin_manifest *m, struct err *e)
	MUST_CHECK;
