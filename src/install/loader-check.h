/* SPDX-License-Identifier: Apache-2.0 */
/* What the boot loader needs, asked before anything is written.  Internal to install/. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/tree.h"
#include "ks/model.h"
#include "storage/layout.h"

/*
 * The hash of the menu's password, NULL when there is none; the caller frees it.  c may be NULL.
 * -EINVAL: the bootloader command has a hash that GRUB does not take.
 */
int loader_menu_password(const struct ks_cmd *c, char **out, struct err *e) MUST_CHECK;

/* c is the bootloader command, or NULL. */
bool loader_is_wanted(const struct ks_cmd *c);

/* NULL: there is none. */
const struct layout_part *loader_part(
	const struct layout *l, enum layout_role role); /* boot drive */
const struct layout_part *loader_esp(const struct layout *l);

/*
 * What became of the loader for one firmware.  Firmware that this machine was not started by may go
 * without, with a warning, where the image (-ENOENT) or the disk (-EOPNOTSUPP) is not made for it.
 */
int loader_judge(int r, bool is_needed, const char *firmware, struct err *e) MUST_CHECK;

/* Can the loader for this machine's firmware be written?  Errors as loader_install_*() would have. */
int loader_precheck(const struct ks_doc *doc, const struct layout *l, bool uefi,
	struct tree *image_tree, struct err *e) MUST_CHECK;
