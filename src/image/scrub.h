/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remove from a tree what belongs to one node, to one build or to one moment.
 *
 * After packages are installed and again after scripts ran: both write logs, caches and keys.
 */
#pragma once

#include "base/err.h"

int scrub_tree(int root_fd, struct err *e) MUST_CHECK;
