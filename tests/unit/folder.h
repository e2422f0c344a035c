/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for the tests of one program: cmocka's group setup and teardown. */
#pragma once

#include <stdlib.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "test.h"

static char *folder; /* its path */

static int make_folder(void **state)
{
	char template[] = "/tmp/bedplate-unit.XXXXXX";

	(void)state;
	folder = xstrdup(mkdtemp(template));
	return 0;
}

static int drop_folder(void **state)
{
	struct err e = {0};

	(void)state;
	assert_ok(file_remove_tree(folder, &e), e);
	free(folder);
	return 0;
}
