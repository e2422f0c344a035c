/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cache.h"

#include <stdlib.h>

#include "base/xalloc.h"

char *cache_default(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		return xasprintf("%s/bedplate", xdg);
	return xasprintf("%s/.cache/bedplate", home && home[0] ? home : "/root");
}
