/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that many write to a line each: accounts, rules of the firewall. */
#pragma once

/*
 * now without the lines that made after out of before.  A line of an account that was there before in
 * another form gets that back.  The caller frees it.
 */
char *shared_text_without(const char *now, const char *before, const char *after);
