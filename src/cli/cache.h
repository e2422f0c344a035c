/* SPDX-License-Identifier: Apache-2.0 */
/* Where commands keep what they fetch. */
#pragma once

#include "base/macro.h"

/* "bedplate" in the folder that the XDG base directory specification wants.  The caller frees it. */
char *cache_default(void) MUST_CHECK;
