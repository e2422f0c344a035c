/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of the network (legacy-network.c), and all others (legacy.c).  Internal to install/. */
#pragma once

#include "install/legacy.h"

#define LEGACY_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* -EINVAL, with the argument and what it is to be. */
int legacy_bad(const char *name, const char *value, const char *expected, struct err *e);
/* A value out of these characters only. */
bool legacy_consists_of(const char *value, const char *chars, size_t max);

/* The network line; *hostname, if one is said, is the caller's to free. */
int legacy_write_network(
	struct strbuf *ks, const struct strv *words, char **hostname, struct err *e) MUST_CHECK;
