/* SPDX-License-Identifier: Apache-2.0 */
/* How each operation begins.  Internal to upgrade/. */
#pragma once

#include "base/err.h"
#include "upgrade/settings.h"
#include "upgrade/site.h"

/*
 * Locked, mended, and no trial going on; settings of this system.  -EBUSY: another operation or a
 * trial is in progress; the rest as of site_open().
 */
int open_site(struct site *out, struct settings *settings, struct err *e) MUST_CHECK;
/* The same, whatever the trial. */
int open_site_mended(struct site *out, struct err *e) MUST_CHECK;
