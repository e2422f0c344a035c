/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/base-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fmt/squashfs.h"

#define READ_BYTES (1 * MIB)

bool base_set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

int base_stream_check(struct image *img, const struct manifest *manifest, struct err *e)
{
	const struct source *rootfs = image_rootfs(img);

	if (!rootfs)
		return err_set(e, EBADMSG, "'%s' holds no file system image", image_path(img));
	if (rootfs->size_bytes != manifest->rootfs.size_bytes)
		return err_set(e, EBADMSG,
			"'%s' holds a file system image of %" PRIu64
			" bytes, its manifest has %" PRIu64,
			image_path(img), rootfs->size_bytes, manifest->rootfs.size_bytes);
	return 0;
}

/* For an image that is no squashfs: bytes as they are. */
static int stream_plain(
	struct source *s, const struct base_sink *sink, struct progress *p, struct err *e)
{
	void *data = NULL;

	if (posix_memalign(&data, BASE_BLOCK_BYTES, READ_BYTES) != 0)
		return err_set(e, ENOMEM, "copying: out of memory");
	autofree uint8_t *buf = data;
	int r = 0;
	for (uint64_t off = 0; r == 0 && off < s->size_bytes;) {
		size_t len = (size_t)MIN(READ_BYTES, s->size_bytes - off);

		r = source_read_at(s, buf, len, off, e);
		if (r == 0)
			r = sink->data(sink->ctx, buf, len, off, e);
		off += len;
		if (r == 0)
			r = progress_advance(p, off, e);
	}
	return r;
}

int base_stream(struct image *img, const struct base_sink *sink, struct progress *p, struct err *e)
{
	const struct squashfs_stream_spec spec = {.data = sink->data, .ctx = sink->ctx};
	struct source *rootfs = image_rootfs(img);

	return image_kind(img) == IMAGE_LIVE ? squashfs_stream(rootfs, &spec, p, e)
					     : stream_plain(rootfs, sink, p, e);
}
