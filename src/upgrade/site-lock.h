/* SPDX-License-Identifier: Apache-2.0 */
/* One operation on the node of this machine at a time. */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * The descriptor that holds the lock, which ends with it or with the process.  -EBUSY: somebody else
 * has it, who is named.
 */
int site_lock(const char *path, struct err *e) MUST_CHECK;
/* The same, and until that many seconds after power-on it is asked for again.  -EINTR: interrupted. */
int site_lock_until(const char *path, uint64_t boot_seconds, struct err *e) MUST_CHECK;
/* Closes fd. */
void site_unlock(int fd);
