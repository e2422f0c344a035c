/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of netroot have in common. */
#pragma once

#include "netroot/netroot.h"

/* type: the command's options struct, with a field `tree`. */
#define NETROOT_TREE_OPTION(type)                                                                  \
	{                                                                                          \
		't', "tree", "DIR", "the tree (default: netroot)", OPT_STRING,                     \
			offsetof(type, tree)                                                       \
	}
