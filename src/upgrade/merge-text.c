/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging by lines, through diff3(1).  It reads files of ours that have no name, so nothing is left
 * behind and nothing of them, keys and passwords among it, is ever on a disk.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/cmd.h"
#include "base/io.h"
#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

static bool ends_line(const struct merge_text *t)
{
	return t->len == 0 || t->data[t->len - 1] == '\n';
}

/* diff3 would glue the end of one file to a line of another: each last line is made whole. */
static int make_file(const struct merge_text *t, int *out, struct err *e)
{
	autofd int fd = memfd_create("bedplate-merge", MFD_CLOEXEC);
	int r = fd < 0 ? err_errno(e, "memory for a merge") : 0;

	if (r == 0)
		r = io_write(fd, t->data, t->len, e);
	if (r == 0 && !ends_line(t))
		r = io_write(fd, "\n", 1, e);
	if (r == 0)
		*out = take_fd(&fd);
	return r;
}

static void fix_end(const struct merge_text *node, const struct merge_text *old,
	const struct merge_text *new, char *text)
{
	bool whole = ends_line(node) != ends_line(old) ? ends_line(node) : ends_line(new);
	size_t len = strlen(text);

	if (!whole && len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
}

int merge_lines(const struct merge_text *node, const struct merge_text *old,
	const struct merge_text *new, char **out, struct err *e)
{
	const struct merge_text *texts[] = {node, old, new};
	autofd int mine = -1;
	autofd int older = -1;
	autofd int yours = -1;
	int *const fds[] = {&mine, &older, &yours};
	autocmd c = {0};
	autofree char *text = NULL;
	int r = 0;

	/* -E, because without it a change that both have made is a conflict. */
	cmd_add(&c, "diff3", "-m", "-E", "-a", NULL);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		r = make_file(texts[i], fds[i], e);
		if (r < 0)
			return r;
		cmd_addf(&c, "/proc/%d/fd/%d", (int)getpid(), *fds[i]);
	}
	r = cmd_output(&c, &text, e);
	if (r == -EPROTO && WIFEXITED(c.status) && WEXITSTATUS(c.status) == 1) {
		if (e)
			*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	fix_end(node, old, new, text);
	*out = take_ptr(text);
	return 0;
}
