/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of packages.  All lists are sorted as of manifest_sort().  Internal to upgrade/. */
#pragma once

#include "image/manifest.h"
#include "upgrade/upgrade.h"

void package_changes_fini(struct package_changes *c);
/* out starts zeroed. */
void packages_compare(
	const struct manifest *from, const struct manifest *to, struct package_changes *out);
/* "NAME VERSION" of what is on the node, and in neither image. */
void packages_lost(const struct manifest *node, const struct manifest *from,
	const struct manifest *to, struct strv *out);
