/* SPDX-License-Identifier: Apache-2.0 */
/* Which layers of a site can be booted, and in what order they came. */
#pragma once

#include <stdbool.h>

#include "upgrade/site.h"

/* A volume with this tag that is complete, or NULL. */
const struct lvm_lv *site_volume(const struct site *s, const char *tag, const char *name);
/* Its base is there, complete. */
bool site_has_base_of(const struct site *s, const char *layer);
/* Volume, base and entry are there, and the entry's files. */
bool site_bootable(const struct site *s, const char *layer);
/* By image, then by number: < 0, 0, > 0. */
int site_compare(const char *layer, const char *other);
/* The newest that can be booted but for `without` (may be NULL), or NULL. */
const char *site_newest(const struct site *s, const char *without);
