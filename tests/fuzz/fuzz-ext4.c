/* SPDX-License-Identifier: Apache-2.0 */
/* The ext4 reader on any bytes: list, open, read the beginning of every file. */
#include <assert.h>
#include <sys/stat.h>

#include "fmt/ext4.h"
#include "fmt/verity.h"

#define READ_MAX_BYTES (64 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_file(struct tree *t, const struct tree_entry *en)
{
	static uint8_t buf[READ_MAX_BYTES];
	autoptr(source) s = NULL;
	uint64_t start, end, last = 0;

	if (tree_open(t, en, &s, NULL) < 0)
		return;
	if (source_read_at(s, buf, (size_t)MIN(sizeof(buf), s->size_bytes), 0, NULL) < 0)
		return;
	while (source_next_data(s, last, &start, &end, NULL) == 0 && start < s->size_bytes) {
		/* A source that does not move on would hold its reader for ever. */
		assert(start >= last && end > start && end <= s->size_bytes);
		if (source_read_at(s, buf, 1, start, NULL) < 0)
			return;
		last = end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autoptr(source) image = source_memory(data, len);
	autoptr(ext4_layout) layout = NULL;
	autoptr(tree) t = NULL;
	struct verity_super sb;
	int r = verity_super_read(image, 0, &sb, NULL);

	if (ext4_tree_open(image, &t, NULL) < 0)
		return 0;
	for (size_t i = 0; i < t->count; i++)
		if (S_ISREG(t->entries[i].mode))
			read_file(t, &t->entries[i]);
	r = ext4_layout_load(image, &layout, NULL);
	if (r == 0)
		ext4_layout_compare(layout, layout);
	return 0;
}
