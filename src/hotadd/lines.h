/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that many write to: take out what one of them did, and leave what others have done since. */
#pragma once

#include <stdbool.h>

#include "base/macro.h"

#define LINES_RULES "etc/nftables.conf"

/* It is one: an account file, or the rules of the firewall. */
bool lines_shared(const char *path);

/*
 * now without the difference of before and after.  path: of the text, without a leading '/'.  Account
 * files go by name: of a line that was changed, the fields and members that nobody has changed since are
 * those of before; in all others as many of equal lines go as after has more of than before.  The caller
 * frees it.
 */
char *lines_take_back(const char *path, const char *now, const char *before, const char *after)
	MUST_CHECK;
