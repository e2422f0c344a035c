/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB's environment block on any bytes, filled up or cut to its size.  What is set is there, what is
 * not named is as it was, and the result is a block again.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "boot/grubenv-block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same(const char *a, const char *b)
{
	return a && b ? str_eq(a, b) : a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = {"trial", "tries", "default", NULL};
	static const char *const values[] = {"n-1+1", "a\\b\nc=#", NULL, NULL};
	static const char *const others[] = {"saved_entry", "a", "tria", "trials", ""};
	char block[GRUBENV_BYTES];
	autofree char *lines = NULL, *again = NULL;
	autostrbuf out = {0};

	memset(block, '#', sizeof(block));
	memcpy(block, data, MIN(len, sizeof(block)));
	if (grubenv_block_parse(block, sizeof(block), &lines, NULL) < 0 ||
		grubenv_block_format(lines, names, values, &out, NULL) < 0)
		return 0;
	assert(out.len == GRUBENV_BYTES);
	int r = grubenv_block_parse(out.data, out.len, &again, NULL);
	assert(r == 0);
	for (size_t i = 0; names[i]; i++) {
		autofree char *value = grubenv_block_value(again, names[i]);

		assert(same(value, values[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		autofree char *before = grubenv_block_value(lines, others[i]);
		autofree char *after = grubenv_block_value(again, others[i]);

		assert(same(before, after));
	}
	return 0;
}
