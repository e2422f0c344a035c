/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there is memory for what comes next. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* -ENOMEM: "WHAT needs X MiB of memory, Y MiB are free". */
int memory_check(uint64_t needed_bytes, const char *what, struct err *e) MUST_CHECK;
