/* SPDX-License-Identifier: Apache-2.0 */
/* Find partitions of a medium; sys/partition.h writes them. */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct gpt_part {
	uint64_t start_bytes, size_bytes; /* size 0: there is none */
};

/*
 * The first partition of a GPT at path, a device or file, with this type (NULL: any) and label.
 * Fine when there is none, or no GPT.
 */
int gpt_find(const char *path, const char *type, const char *label, struct gpt_part *out,
	struct err *e) MUST_CHECK;
