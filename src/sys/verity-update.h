/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash tree and the error correction data of an image out of those of an earlier one of the same size:
 * only what depends on a changed block is computed.  The bytes are those that verity_append() makes.
 */
#pragma once

#include "sys/verity.h"

/*
 * As verity_append(), with p->before.  -ENOTSUP: the earlier image has another size, salt or kind of tree,
 * and nothing was written.
 */
int verity_update(const char *path, const struct verity_params *p, struct verity_result *out,
	struct err *e) MUST_CHECK;
