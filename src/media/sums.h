/* SPDX-License-Identifier: Apache-2.0 */
/* SHA256SUMS, as sha256sum(1) writes it: the digests of all other files of a medium. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"

#define SUMS_MAX_BYTES (16 * MIB)

struct sum {
	char *path;
	uint8_t sha256[SHA256_BYTES];
	bool seen; /* for the user of the list */
};

struct sums {
	struct sum *items;
	size_t count, room;
};

void sums_fini(struct sums *s);
#define autosums auto_with(sums_fini) struct sums

void sums_add(struct sums *s, const char *path, const uint8_t sha256[SHA256_BYTES]);
void sums_sort(struct sums *s); /* by path */
/* In a sorted list.  NULL when there is none. */
struct sum *sums_find(const struct sums *s, const char *path);
/* The caller frees the text. */
char *sums_format(const struct sums *s) MUST_CHECK;
/* Appended to out, sorted.  -EBADMSG: not such a list, or a path is in it twice. */
int sums_parse(const char *text, size_t len, struct sums *out, struct err *e) MUST_CHECK;
