/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/pool-metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "base/xalloc.h"

#define VIEW         "bedplate-pool-check"
#define VIEW_PATH    "/dev/mapper/" VIEW
#define BLOCK_BYTES  4096
#define SECTOR_BYTES 512
#define TRIES        20
#define PAUSE_NS     500000000

static int run_now(struct cmd *c, struct err *e)
{
	interrupt_defer();
	int r = cmd_run(c, e);
	interrupt_resume();
	return r;
}

static int close_view(struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "dmsetup", "remove", "--retry", VIEW, NULL);
	return run_now(&c, e);
}

/* thin_check wants a device for itself, so it gets another one with the same content. */
static int open_view(const char *device, struct err *e)
{
	autofree char *table = NULL;
	autoptr(source) metadata = NULL;
	autocmd c = {0};
	int r = source_open_path(device, &metadata, e);

	/* Of a process that was killed. */
	if (r == 0 && file_exists(VIEW_PATH))
		r = close_view(e);
	if (r < 0)
		return r;
	table = xasprintf("0 %" PRIu64 " linear %s 0", metadata->size_bytes / SECTOR_BYTES, device);
	cmd_add(&c, "dmsetup", "create", VIEW, "--readonly", "--table", table, NULL);
	return run_now(&c, e);
}

static int read_superblock(uint8_t *block, struct err *e)
{
	autofd int fd = open(VIEW_PATH, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, block, BLOCK_BYTES, 0);

	if (n < 0)
		return err_errno(e, "'" VIEW_PATH "'");
	return n == BLOCK_BYTES ? 0 : err_set(e, EIO, "'" VIEW_PATH "' has no superblock");
}

static int check_once(bool *changed, struct err *e)
{
	autofree uint8_t *before = xaligned(BLOCK_BYTES, BLOCK_BYTES);
	autofree uint8_t *after = xaligned(BLOCK_BYTES, BLOCK_BYTES);
	struct err found = {0};
	autocmd c = {0};
	int r = read_superblock(before, e);

	if (r < 0)
		return r;
	/* Blocks that nothing uses are no damage, see docs/upgrade.md. */
	cmd_add(&c, "thin_check", "--ignore-non-fatal-errors", VIEW_PATH, NULL);
	int checked = cmd_run(&c, &found);
	r = read_superblock(after, e);
	if (r < 0 || checked == 0)
		return r;
	*changed = memcmp(before, after, BLOCK_BYTES) != 0;
	if (checked == -EPROTO)
		return err_set(e, EBADMSG, "its metadata is damaged: %s", found.msg);
	return err_set(e, found.code, "%s", found.msg);
}

/*
 * The pool writes what changes beside what its superblock names, and the superblock last; what that freed
 * is written to only afterwards.  So what was read belongs together if the superblock has stayed.  The
 * kernel's own snapshot of it does not survive a power cut, see docs/upgrade.md.
 */
static int check_view(struct err *e)
{
	for (unsigned i = 0; i < TRIES; i++) {
		bool changed = false;
		struct err own = {0};
		int r = check_once(&changed, &own);

		if (r == 0)
			return 0;
		if (!changed || r != -EBADMSG)
			return err_set(e, own.code, "%s", own.msg);
		r = interrupt_check(e);
		if (r < 0)
			return r;
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	return err_set(e, EBUSY,
		"its metadata cannot be checked, as it changes all the time: try again when less is "
		"written");
}

int pool_metadata_check(const char *device, struct err *e)
{
	struct err closing = {0};
	int r = open_view(device, e);

	if (r < 0)
		return r;
	r = check_view(e);
	if (close_view(&closing) < 0 && r == 0)
		r = err_set(e, closing.code, "%s", closing.msg);
	return r;
}
