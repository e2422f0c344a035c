/* SPDX-License-Identifier: Apache-2.0 */
/* Worker threads: started without signals, which stay with the thread that waits for them. */
#pragma once

#include <pthread.h>

#include "base/err.h"

int thread_start(pthread_t *out, void *(*work)(void *ctx), void *ctx, struct err *e) MUST_CHECK;

/* Processors to share work among, at least 1. */
unsigned thread_cpus(void);
