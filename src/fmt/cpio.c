/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/cpio.h"

#include <assert.h>
#include <stdint.h>

#define CPIO_END   "TRAILER!!!"
#define CPIO_BLOCK 512

static void pad(struct strbuf *b, size_t align)
{
	while (b->len % align != 0)
		strbuf_putc(b, '\0');
}

void cpio_add(struct strbuf *b, const char *path, unsigned mode, const void *data, size_t len)
{
	assert(len <= UINT32_MAX);
	/* Magic, inode, mode, uid, gid, links, mtime, size, device, device file, name, checksum. */
	strbuf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0U, mode, 0U,
		0U, 1U, 0U, (unsigned)len, 0U, 0U, 0U, 0U, (unsigned)strlen(path) + 1, 0U);
	strbuf_add(b, path, strlen(path) + 1);
	pad(b, 4);
	strbuf_add(b, data, len);
	pad(b, 4);
}

void cpio_end(struct strbuf *b)
{
	cpio_add(b, CPIO_END, 0, "", 0);
	pad(b, CPIO_BLOCK);
}
