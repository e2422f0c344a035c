/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/xalloc.h"

struct fd_source {
	struct source s;
	int fd;
};

struct slice_source {
	struct source s;
	struct source *parent;
	uint64_t off;
};

struct memory_source {
	struct source s;
	const char *data;
};

void source_free(struct source *s)
{
	if (s)
		s->ops->free(s);
}

int source_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	if (off > s->size_bytes || len > s->size_bytes - off)
		return err_set(e, EIO,
			"read of %zu bytes at %" PRIu64 " is past the end (%" PRIu64 ")", len, off,
			s->size_bytes);
	return s->ops->read_at(s, buf, len, off, e);
}

int source_next_data(struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e)
{
	if (off < s->size_bytes && s->ops->next_data)
		return s->ops->next_data(s, off, start, end, e);
	*start = MIN(off, s->size_bytes);
	*end = s->size_bytes;
	return 0;
}

static int fd_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct fd_source *f = (struct fd_source *)s;

	for (size_t done = 0; done < len;) {
		ssize_t n = pread(f->fd, (char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "reading at %" PRIu64, off + done);
		if (n == 0)
			return err_set(e, EIO, "file ended at %" PRIu64 ", it was cut", off + done);
		done += (size_t)n;
	}
	return 0;
}

static int fd_next_data(
	struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e)
{
	struct fd_source *f = (struct fd_source *)s;
	off_t data = lseek(f->fd, (off_t)off, SEEK_DATA);

	if (data < 0 && errno == ENXIO) {
		*start = *end = s->size_bytes;
		return 0;
	}
	if (data < 0 && errno == EINVAL) {
		*start = off;
		*end = s->size_bytes;
		return 0;
	}
	if (data < 0)
		return err_errno(e, "looking for data at %" PRIu64, off);

	off_t hole = lseek(f->fd, data, SEEK_HOLE);
	if (hole < 0)
		return err_errno(e, "looking for a hole at %jd", (intmax_t)data);
	*start = (uint64_t)data;
	*end = (uint64_t)hole;
	return 0;
}

static void fd_free(struct source *s)
{
	close(((struct fd_source *)s)->fd);
	free(s);
}

static const struct source_ops fd_ops = {
	.read_at = fd_read_at,
	.next_data = fd_next_data,
	.free = fd_free,
};

int source_open_fd(int fd, struct source **out, struct err *e)
{
	autofd int owned = fd;
	struct fd_source *f;
	struct stat st;
	uint64_t size;

	if (fstat(owned, &st) < 0)
		return err_errno(e, "fstat");
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(owned, BLKGETSIZE64, &size) < 0)
		return err_errno(e, "asking for the size");
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "not a regular file or block device");

	f = xcalloc(1, sizeof(*f));
	f->s = (struct source){.ops = &fd_ops, .size_bytes = size};
	f->fd = take_fd(&owned);
	*out = &f->s;
	return 0;
}

int source_open_path(const char *path, struct source **out, struct err *e)
{
	/* Not to wait for the other end of a FIFO, which is refused then. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return err_errno(e, "'%s'", path);
	r = source_open_fd(fd, out, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static int slice_read_at(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct slice_source *c = (struct slice_source *)s;

	return source_read_at(c->parent, buf, len, c->off + off, e);
}

static int slice_next_data(
	struct source *s, uint64_t off, uint64_t *start, uint64_t *end, struct err *e)
{
	struct slice_source *c = (struct slice_source *)s;
	uint64_t from, to;
	int r = source_next_data(c->parent, c->off + off, &from, &to, e);

	if (r < 0)
		return r;
	*start = MIN(from - c->off, s->size_bytes);
	*end = MIN(to - c->off, s->size_bytes);
	return 0;
}

static void plain_free(struct source *s)
{
	free(s);
}

static const struct source_ops slice_ops = {
	.read_at = slice_read_at,
	.next_data = slice_next_data,
	.free = plain_free,
};

struct source *source_slice(struct source *parent, uint64_t off, uint64_t len)
{
	struct slice_source *c = xcalloc(1, sizeof(*c));

	c->s = (struct source){.ops = &slice_ops, .size_bytes = len};
	c->parent = parent;
	c->off = off;
	return &c->s;
}

static int memory_read_at(
	struct source *s, void *buf, size_t len, uint64_t off, struct err *e UNUSED)
{
	memcpy(buf, ((struct memory_source *)s)->data + off, len);
	return 0;
}

static const struct source_ops memory_ops = {.read_at = memory_read_at, .free = plain_free};

struct source *source_memory(const void *data, size_t len)
{
	struct memory_source *m = xcalloc(1, sizeof(*m));

	m->s = (struct source){.ops = &memory_ops, .size_bytes = len};
	m->data = data;
	return &m->s;
}

int io_pwrite(int fd, const void *buf, size_t len, uint64_t off, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "writing at %" PRIu64, off + done);
		done += (size_t)n;
	}
	return 0;
}

int io_write(int fd, const void *buf, size_t len, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "writing");
		done += (size_t)n;
	}
	return 0;
}
