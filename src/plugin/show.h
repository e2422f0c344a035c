/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin says of itself, for people and for programs. */
#pragma once

#include <jansson.h>

#include "plugin/manifest.h"
#include "plugin/record.h"

/* One field as the lines of plugin_manifest_text(). */
void plugin_field_text(struct strbuf *b, const char *name, const char *value);
/* A line for each thing in it, with a newline at the end.  The caller frees it. */
char *plugin_manifest_text(const struct plugin_manifest *m) MUST_CHECK;
/* "sha256", "manifest" and "files".  The caller owns the reference. */
json_t *plugin_record_json(const struct plugin_record *r) MUST_CHECK;
