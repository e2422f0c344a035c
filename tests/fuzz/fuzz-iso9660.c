/* SPDX-License-Identifier: Apache-2.0 */
/* The ISO 9660 reader on any bytes: the files of a medium, both their ends. */
#include "fmt/iso9660.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_file(struct source *iso, const char *path)
{
	static uint8_t buf[4096];
	autoptr(source) s = NULL;

	if (iso9660_open(iso, path, &s, NULL) < 0)
		return;
	size_t n = (size_t)MIN(sizeof(buf), s->size_bytes);
	if (source_read_at(s, buf, n, 0, NULL) == 0)
		(void)!source_read_at(s, buf, n, s->size_bytes - n, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autoptr(source) iso = source_memory(data, len);

	if (!iso9660_is(iso))
		return 0;
	read_file(iso, "a");
	read_file(iso, "LiveOS/a");
	return 0;
}
