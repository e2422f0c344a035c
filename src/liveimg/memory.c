/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/str.h"

#define MEMINFO_MAX (64 * KIB)
#define AVAILABLE   "MemAvailable:"

static int read_available(uint64_t *bytes, struct err *e)
{
	autofree char *text = NULL;
	int r = file_read("/proc/meminfo", MEMINFO_MAX, &text, NULL, e);
	char *rest = text;

	if (r < 0)
		return r;
	for (const char *line; (line = str_next_word(&rest, "\n"));) {
		if (!str_starts(line, AVAILABLE))
			continue;
		*bytes = strtoull(line + strlen(AVAILABLE), NULL, 10) * KIB;
		return 0;
	}
	return err_set(e, EBADMSG, "'/proc/meminfo' has no " AVAILABLE);
}

static uint64_t to_mib(uint64_t bytes)
{
	return bytes / MIB;
}

int memory_check(uint64_t needed_bytes, const char *what, struct err *e)
{
	uint64_t available = 0;
	int r = read_available(&available, e);

	if (r < 0 || available >= needed_bytes)
		return r;
	return err_set(e, ENOMEM, "%s needs %" PRIu64 " MiB of memory, %" PRIu64 " MiB are free",
		what, to_mib(needed_bytes + MIB - 1), to_mib(available));
}
