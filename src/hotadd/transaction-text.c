/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/io.h"
#include "hotadd/copy.h"
#include "hotadd/lines.h"
#include "hotadd/transaction.h"

#define TEXT_MAX_BYTES (64 * MIB)

void undo_text_fini(struct undo_text *x)
{
	free(x->now);
	free(x->without);
	*x = (struct undo_text){0};
}

int undo_text_read(int copies_fd, const struct undo_item *item, int root_fd, const char *path,
	struct undo_text *out, struct err *e)
{
	autofree char *now = NULL, *before = NULL, *after = NULL;
	int r = file_read_in_root(copies_fd, item->copy, TEXT_MAX_BYTES, &before, e);

	if (r == 0)
		r = file_read_in_root(copies_fd, item->after, TEXT_MAX_BYTES, &after, e);
	if (r == 0)
		r = file_read_in_root(root_fd, path, TEXT_MAX_BYTES, &now, e);
	if (r < 0)
		return r;
	out->is_known = str_eq(now, after) || str_eq(now, before);
	out->without = lines_take_back(item->path, now, before, after);
	out->now = take_ptr(now);
	return 0;
}

int undo_text_put(const struct undo_text *x, const struct copy_place *at, struct err *e)
{
	autofd int fd = openat(at->fd, at->name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "opening");
	return io_write(fd, x->without, strlen(x->without), e);
}
