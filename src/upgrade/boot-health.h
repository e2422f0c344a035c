/* SPDX-License-Identifier: Apache-2.0 */
/* The end of each boot of a node: hooks, and for a trial the decision. */
#pragma once

#include "base/err.h"

/*
 * Hooks of "on-boot"; in a trial also those of "on-new-image" and the health checks until their
 * deadline, then the layer is blessed.  -ECANCELED: a required check failed, the machine restarts.
 */
int upgrade_boot_health(struct err *e) MUST_CHECK;
