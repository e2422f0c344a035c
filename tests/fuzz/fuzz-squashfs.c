/* SPDX-License-Identifier: Apache-2.0 */
/* The squashfs reader on any bytes: list, open, read the ends of every file, index all blocks. */
#include <assert.h>
#include <sys/stat.h>

#include "fmt/squashfs.h"

#define READ_MAX_BYTES (64 * KIB)
#define FILES_MAX      1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_file(struct tree *t, const struct tree_entry *en)
{
	static uint8_t buf[READ_MAX_BYTES];
	autoptr(source) s = NULL;
	uint64_t start, end, last = 0;

	if (tree_open(t, en, &s, NULL) < 0)
		return;
	assert(s->size_bytes == en->size_bytes);
	size_t n = (size_t)MIN(sizeof(buf), s->size_bytes);
	if (source_read_at(s, buf, n, 0, NULL) < 0 ||
		source_read_at(s, buf, n, s->size_bytes - n, NULL) < 0)
		return;
	for (int i = 0; i < 100; i++) {
		if (source_next_data(s, last, &start, &end, NULL) < 0 || start >= s->size_bytes)
			return;
		/* A source that does not move on would hold its reader for ever. */
		assert(start >= last && end > start && end <= s->size_bytes);
		last = end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autoptr(source) image = source_memory(data, len);
	autoptr(squashfs_reuse) reuse = NULL;
	autoptr(tree) t = NULL;

	if (squashfs_tree_open(image, &t, NULL) < 0)
		return 0;
	for (size_t i = 0; i < t->count && i < FILES_MAX; i++)
		if (S_ISREG(t->entries[i].mode))
			read_file(t, &t->entries[i]);
	if (len < MIB)
		(void)!squashfs_reuse_load(image, NULL, &reuse, NULL, NULL);
	return 0;
}
