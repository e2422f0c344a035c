/* SPDX-License-Identifier: Apache-2.0 */
#include <ext2fs/ext2_err.h>
#include <string.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "fmt/ext4-disk.h"

void block_runs_fini(struct block_runs *l)
{
	free(l->items);
	*l = (struct block_runs){0};
}

void block_runs_add(struct block_runs *l, struct block_run run)
{
	struct block_run *last = l->count > 0 ? &l->items[l->count - 1] : NULL;
	bool adjoins = last && last->logical + last->count == run.logical &&
		(last->start == 0 ? run.start == 0 : last->start + last->count == run.start);

	if (adjoins) {
		last->count += run.count;
		return;
	}
	if (!l->items || l->count == l->room) {
		l->room = MAX(1, 2 * l->room);
		l->items = xrealloc(l->items, l->room * sizeof(*l->items));
	}
	l->items[l->count++] = run;
}

uint64_t block_runs_total(const struct block_runs *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += l->items[i].count;
	return n;
}

/*
 * The library opens by name and passes nothing else through, so the name is the address of our
 * struct in hexadecimal.
 */
void ext4_io_name(struct ext4_io *io, char out[EXT4_IO_NAME_BYTES])
{
	uint8_t address[sizeof(void *)];

	memcpy(address, &io, sizeof(address));
	hex_format(address, sizeof(address), out);
}

static errcode_t open_channel(const char *name, int flags UNUSED, io_channel *out)
{
	uint8_t address[sizeof(void *)];
	struct struct_io_channel *ch;

	if (hex_parse(name, address, sizeof(address), NULL) < 0)
		return EXT2_ET_BAD_DEVICE_NAME;
	ch = xcalloc(1, sizeof(*ch));
	ch->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	ch->manager = ext4_io_manager;
	ch->name = xstrdup(name);
	ch->block_size = 1024;
	ch->refcount = 1;
	memcpy(&ch->private_data, address, sizeof(address));
	*out = ch;
	return 0;
}

static errcode_t close_channel(io_channel ch)
{
	if (--ch->refcount > 0)
		return 0;
	free(ch->name);
	free(ch);
	return 0;
}

static errcode_t set_block_size(io_channel ch, int block_size)
{
	ch->block_size = block_size;
	return 0;
}

/* A negative count is in bytes: the library's convention. */
static size_t length_of(io_channel ch, int count)
{
	return count < 0 ? (size_t)-count : (size_t)count * (size_t)ch->block_size;
}

static int read_fd(int fd, void *data, size_t len, uint64_t off, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)data + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "reading at %ju", (uintmax_t)(off + done));
		if (n == 0) {
			memset((char *)data + done, 0, len - done);
			return 0;
		}
		done += (size_t)n;
	}
	return 0;
}

static errcode_t read_blocks64(io_channel ch, unsigned long long block, int count, void *data)
{
	struct ext4_io *io = ch->private_data;
	uint64_t off = block * (uint64_t)ch->block_size;
	size_t len = length_of(ch, count);
	struct err e = {0};
	int r;

	if (io->source)
		r = source_read_at(io->source, data, len, off, &e);
	else
		r = read_fd(io->fd, data, len, off, &e);
	if (r < 0 && io->err.code == 0)
		io->err = e;
	return r < 0 ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t write_blocks64(
	io_channel ch, unsigned long long block, int count, const void *data)
{
	struct ext4_io *io = ch->private_data;
	uint64_t off = block * (uint64_t)ch->block_size;
	struct err e = {0};
	int r;

	if (io->source)
		return EXT2_ET_RO_FILSYS;
	r = io_pwrite(io->fd, data, length_of(ch, count), off, &e);
	if (r < 0 && io->err.code == 0)
		io->err = e;
	return r < 0 ? EXT2_ET_SHORT_WRITE : 0;
}

static errcode_t read_blocks(io_channel ch, unsigned long block, int count, void *data)
{
	return read_blocks64(ch, block, count, data);
}

static errcode_t write_blocks(io_channel ch, unsigned long block, int count, const void *data)
{
	return write_blocks64(ch, block, count, data);
}

static errcode_t flush_channel(io_channel ch UNUSED)
{
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "bedplate",
	.open = open_channel,
	.close = close_channel,
	.set_blksize = set_block_size,
	.read_blk = read_blocks,
	.write_blk = write_blocks,
	.flush = flush_channel,
	.read_blk64 = read_blocks64,
	.write_blk64 = write_blocks64,
};

io_manager ext4_io_manager = &manager;

int ext4_io_error(struct ext4_io *io, errcode_t code, const char *what, struct err *e)
{
	if (io->err.code != 0)
		return err_set(e, io->err.code, "%s: %s", what, io->err.msg);
	if (code > 0 && code < 256)
		return err_set(e, (int)code, "%s: %s", what, strerror((int)code));
	if (code == EXT2_ET_NO_MEMORY)
		return err_set(e, ENOMEM, "%s: out of memory", what);
	initialize_ext2_error_table();
	return err_set(e, EUCLEAN, "%s: %s", what, error_message(code));
}
