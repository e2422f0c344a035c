/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of inventory_read().  Internal to storage/. */
#pragma once

#include <sys/types.h>

#include "storage/inventory.h"
#include "storage/lvm.h"

/*
 * A disk by its name in /sys/block: sizes, table, partitions, contents.  1 with *out filled (starts
 * zeroed), 0 when it is nothing to install on.
 */
int probe_disk(const char *sys_name, struct inv_disk *out, struct err *e) MUST_CHECK;
/* What is in a device, as type, label and uuid of part; nothing when that cannot be told. */
void probe_content(int fd, uint64_t off, uint64_t len, struct inv_part *part);

/* What keeps devices busy: read once, then asked for each. */
struct uses;

int uses_read(struct uses **out, struct err *e) MUST_CHECK;
void uses_free(struct uses *u);
DEFINE_AUTOPTR(uses, uses_free)
/*
 * "mounted on /srv" for a device node; NULL: nothing.  A disk that has partitions is held whenever
 * one of them is, which does not count.  The caller frees it.
 */
char *uses_of(const struct uses *u, const char *device, bool has_parts) MUST_CHECK;
/* Whether the live system's files are on the device. */
bool uses_live(const struct uses *u, const char *device);

/*
 * Whether a file system has a non-empty dom_md/metadata below its first folders.  When none was found
 * and not all of it could be looked at, *unsearched says why; the caller frees it.  Types that never hold
 * one are not looked at.
 */
bool domain_is_on(const char *device, const char *fstype, char **unsearched);
/* domain_is_on() for a volume that is active. */
void domain_search_volume(int fd, const char *device, struct inv_lv *lv);
/* Nothing mounted there must get out of this process. */
int domain_prepare(struct err *e) MUST_CHECK;
