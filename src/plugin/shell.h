/* SPDX-License-Identifier: Apache-2.0 */
/* A shell in a tree, for somebody who sits in front of it or for what stdin says. */
#pragma once

#include "base/err.h"

/* -EPROTO: it ended with another status than 0.  Needs root and chroot_enter_namespace(). */
int tree_shell(const char *tree_path, struct err *e) MUST_CHECK;
