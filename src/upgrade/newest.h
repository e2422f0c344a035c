/* SPDX-License-Identifier: Apache-2.0 */
/* Which layers of a site can be booted, and in what order they came. */
#pragma once

#include <stdbool.h>

#include "boot/records.h"
#include "upgrade/site.h"

/* A volume with this tag that is complete, or NULL. */
const struct lvm_lv *site_volume(const struct site *s, const char *tag, const char *name);
/* Its base is there, complete. */
bool site_has_base_of(const struct site *s, const char *layer);
/* Volume, base and entry are there, and the entry's files. */
bool site_bootable(const struct site *s, const char *layer);
/* By image, then by number: < 0, 0, > 0. */
int site_compare(const char *layer, const char *other);

/* What the last line of the history that has a layer in it says of it, the worst first. */
enum standing {
	STANDING_FAILED,
	STANDING_UNTRIED,
	STANDING_UNKNOWN, /* there is no line: it was installed, or the history is lost */
	STANDING_GOOD,    /* it was the default once */
};

enum standing site_standing(const struct history *h, const char *layer);
/* j, which may be NULL, was cut off before its commit; a rollback makes no layer. */
bool site_unfinished(const struct site *s, const struct journal *j);
/*
 * What to boot by default when the default cannot be: of the layers that can be booted those of the
 * best standing, of these the newest.  What j (may be NULL) has not come to the end of is the last
 * choice.  NULL: there is none.
 */
const char *site_best(const struct site *s, const struct history *h, const struct journal *j);
