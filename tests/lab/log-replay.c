/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's dm-log-writes recorded: one sector that says how many entries there are, then of each
 * a sector that describes it, and its data.
 *
 *   log-replay apply LOG DEVICE FROM TO  write entries FROM to TO - 1 to the device
 *   log-replay points LOG COUNT DATA DATA-SECTORS METADATA METADATA-SECTORS
 *                                        moments to look at: "TO PHASE WHY WRITTEN", PHASE is the last mark
 *
 * Points are each flush since a journal of nodectl said "commit" with something new to flush, each journal,
 * and COUNT others.  WRITTEN is what was written since the point before: only to the pool's "data" (where
 * that is, in sectors of 512 bytes), only to the "pool", or "more".
 */
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/io.h"
#include "base/str.h"
#include "base/xalloc.h"

#define MAGIC     0x6a736677736872ULL
#define SECTOR    512
#define ALIGNMENT 4096
#define DATA_MAX  (64U << 20)

enum {
	FLUSH = 1 << 0,
	FUA = 1 << 1,
	DISCARD = 1 << 2,
	MARK = 1 << 3,
};

struct log_super {
	uint64_t magic, version, entries;
	uint32_t sector_bytes;
};

struct log_entry {
	uint64_t sector, sectors, flags, data_bytes;
};

struct record {
	struct source *from;
	uint64_t count, next; /* entries */
	uint64_t at;          /* byte */
	uint32_t unit;        /* bytes of a sector of the log */
	struct log_entry entry;
	uint64_t data_at;
	char *mark; /* of the entry, or NULL */
};

static void record_fini(struct record *log)
{
	free(log->mark);
	source_free(log->from);
}

static int record_open(const char *path, struct record *out, struct err *e)
{
	struct log_super super;
	autoptr(source) from = NULL;
	int r = source_open_path(path, &from, e);

	if (r == 0)
		r = source_read_at(from, &super, sizeof(super), 0, e);
	if (r < 0)
		return r;
	uint32_t unit = le32toh(super.sector_bytes);
	if (le64toh(super.magic) != MAGIC || (unit != SECTOR && unit != ALIGNMENT))
		return err_set(e, EBADMSG, "'%s' is no log of dm-log-writes", path);
	*out = (struct record){
		.from = take_ptr(from), .count = le64toh(super.entries), .at = unit, .unit = unit};
	return 0;
}

/* 1: there is one.  0: that was the last. */
static int record_next(struct record *log, struct err *e)
{
	char header[SECTOR + 1] = {0};
	struct log_entry *entry = &log->entry;

	if (log->next == log->count)
		return 0;
	int r = source_read_at(log->from, header, SECTOR, log->at, e);
	if (r < 0)
		return r;
	memcpy(entry, header, sizeof(*entry));
	*entry = (struct log_entry){.sector = le64toh(entry->sector),
		.sectors = le64toh(entry->sectors),
		.flags = le64toh(entry->flags),
		.data_bytes = le64toh(entry->data_bytes)};
	free(log->mark);
	log->mark = entry->flags & MARK ? xstrdup(header + sizeof(*entry)) : NULL;
	log->data_at = log->at + log->unit;
	log->at = log->data_at;
	if (!(entry->flags & (DISCARD | MARK)))
		log->at += entry->sectors * log->unit;
	log->next++;
	return 1;
}

static bool has_data(const struct record *log)
{
	return log->entry.sectors > 0 && !(log->entry.flags & (DISCARD | MARK));
}

/* For a file that is open with O_DIRECT. */
static int load(const struct record *log, char **data, size_t *len, struct err *e)
{
	void *room = NULL;

	if (log->entry.sectors > DATA_MAX / log->unit)
		return err_set(e, EFBIG, "an entry of %" PRIu64 " sectors", log->entry.sectors);
	*len = log->entry.sectors * log->unit;
	if (posix_memalign(&room, ALIGNMENT, *len) != 0)
		return err_set(e, ENOMEM, "%zu bytes", *len);
	*data = room;
	return source_read_at(log->from, *data, *len, log->data_at, e);
}

static int apply_one(const struct record *log, int fd, struct err *e)
{
	autofree char *data = NULL;
	uint64_t range[] = {log->entry.sector * log->unit, log->entry.sectors * log->unit};
	size_t len = 0;

	if (log->entry.flags & DISCARD)
		return ioctl(fd, BLKDISCARD, range) < 0 ? err_errno(e, "discarding") : 0;
	if (!has_data(log))
		return 0;
	int r = load(log, &data, &len, e);
	return r == 0 ? io_pwrite(fd, data, len, range[0], e) : r;
}

static int apply(struct record *log, const char *device, uint64_t from, uint64_t to, struct err *e)
{
	autofd int fd = open(device, O_WRONLY | O_DIRECT | O_CLOEXEC);
	int r = fd < 0 ? err_errno(e, "'%s'", device) : 0;

	while (r == 0 && log->next < to) {
		r = record_next(log, e);
		if (r == 0)
			return err_set(e, ENODATA, "there are %" PRIu64 " entries", log->count);
		r = r > 0 && log->next > from ? apply_one(log, fd, e) : MIN(r, 0);
	}
	return r;
}

/* The step that a journal in these data tells of, or "". */
static int find_step(const struct record *log, char step[16], struct err *e)
{
	static const char word[] = "\"step\": \"";
	autofree char *data = NULL;
	size_t len = 0;

	step[0] = '\0';
	if (!has_data(log) || log->entry.sectors * log->unit > 1 << 20)
		return 0;
	int r = load(log, &data, &len, e);
	if (r < 0 || !memmem(data, len, "\"new_base\"", 10))
		return r;
	const char *found = memmem(data, len, word, sizeof(word) - 1);
	if (found && found + sizeof(word) + 15 < data + len)
		sscanf(found + sizeof(word) - 1, "%15[a-z]", step);
	return 0;
}

/* Of the disk, in bytes. */
struct range {
	uint64_t at, end;
};

enum written {
	TO_DATA,
	TO_POOL,
	TO_MORE,
};

static struct range range_of(char *const words[2])
{
	uint64_t at = strtoull(words[0], NULL, 10) * SECTOR;

	return (struct range){at, at + strtoull(words[1], NULL, 10) * SECTOR};
}

static enum written written_to(const struct record *log, const struct range pool[TO_MORE])
{
	uint64_t at = log->entry.sector * log->unit, end = at + log->entry.sectors * log->unit;

	for (enum written to = TO_DATA; to < TO_MORE; to++)
		if (at >= pool[to].at && end <= pool[to].end)
			return to;
	return TO_MORE;
}

static int points(
	struct record *log, uint64_t count, const struct range pool[TO_MORE], struct err *e)
{
	static const char *const words[] = {"data", "pool", "more"};
	autofree char *phase = xstrdup("before");
	char step[16];
	enum written written = TO_MORE;
	bool committing = false, changed = true;
	uint64_t first = 0, last = 0, spread = 0;
	int r;

	/* What is before the first mark and behind the last one is not of interest. */
	struct record scan = *log;
	scan.mark = NULL;
	while ((r = record_next(&scan, e)) > 0) {
		if (!scan.mark)
			continue;
		first = first ? first : scan.next;
		if (str_eq(scan.mark, "end"))
			last = scan.next;
	}
	free(scan.mark);
	while (r == 0 && log->next < last && (r = record_next(log, e)) > 0) {
		if (log->mark) {
			free(phase);
			phase = xstrdup(log->mark);
		}
		r = find_step(log, step, e);
		if (r < 0 || log->next < first)
			continue;
		committing = step[0] ? str_eq(step, "commit") || str_eq(step, "trial") : committing;
		bool writes = has_data(log) || log->entry.flags & DISCARD;
		changed = changed || writes;
		written = writes ? MAX(written, written_to(log, pool)) : written;
		bool flushed = changed && committing && log->entry.flags & (FLUSH | FUA);
		bool due = changed && !flushed && !step[0] && spread < count &&
			(log->next - first) * count >= spread * (last - first);
		spread += due;
		if (!flushed && !due && !step[0])
			continue;
		printf("%" PRIu64 " %s %s %s\n", log->next, phase,
			step[0]           ? step
				: flushed ? "flush"
					  : "spread",
			words[written]);
		changed = false;
		written = TO_DATA;
	}
	return r;
}

int main(int argc, char *argv[])
{
	auto_with(record_fini) struct record log = {0};
	struct err e = {0};
	int r;

	if (argc == 6 && str_eq(argv[1], "apply")) {
		r = record_open(argv[2], &log, &e);
		if (r == 0)
			r = apply(&log, argv[3], strtoull(argv[4], NULL, 10),
				strtoull(argv[5], NULL, 10), &e);
	} else if (argc == 8 && str_eq(argv[1], "points")) {
		const struct range pool[TO_MORE] = {
			[TO_DATA] = range_of(argv + 4), [TO_POOL] = range_of(argv + 6)};

		r = record_open(argv[2], &log, &e);
		if (r == 0)
			r = points(&log, strtoull(argv[3], NULL, 10), pool, &e);
	} else {
		fputs("usage: log-replay apply LOG DEVICE FROM TO\n"
		      "       log-replay points LOG COUNT DATA DATA-SECTORS METADATA "
		      "METADATA-SECTORS\n",
			stderr);
		return 2;
	}
	if (r < 0)
		fprintf(stderr, "log-replay: %s\n", e.msg);
	return r < 0;
}
