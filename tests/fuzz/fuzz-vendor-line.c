/* SPDX-License-Identifier: Apache-2.0 */
/* The menu of a live ISO: what is taken out of it may stand in the database, if it is not too long. */
#include <assert.h>
#include <string.h>

#include "base/xalloc.h"
#include "netroot/db.h"
#include "netroot/vendor-line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autofree char *menu = xstrndup((const char *)data, len);
	autofree char *line = vendor_line_parse(menu);

	assert(!line || strlen(line) > NETROOT_PARAMS_MAX || netroot_params_check(line, NULL) == 0);
	return 0;
}
